"""
Finds cache backends by name.
"""

from twisted.plugin import getPlugins
from twisted.python.reflect import namedModule

from eliop2p.base.errors import StartError
from eliop2p.interfaces import ICacheBackendFactory

# By name: the modules in there import this package.
_PLUGINS = "eliop2p.plugins"


def backend_factories() -> dict[str, ICacheBackendFactory]:
    """
    Find every backend that is installed, by name.
    """
    found = getPlugins(ICacheBackendFactory, namedModule(_PLUGINS))
    return {factory.name: factory for factory in found}


def find_backend(name: str, setting: str) -> ICacheBackendFactory:
    """
    Find one backend.

    Args:
        name: Its name.
        setting: The key that holds the name: ``memory_backend`` or ``disk_backend``.

    Raises:
        StartError: No backend is called so; the text names those that there are.
    """
    factories = backend_factories()
    if name not in factories:
        raise StartError(
            f"[cache] {setting} = {name!r}: there is no such cache backend; "
            f"installed are {', '.join(sorted(factories))}"
        )
    return factories[name]

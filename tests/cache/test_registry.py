"""
Tests for :mod:`eliop2p.cache.registry`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import StartError
from eliop2p.cache.registry import backend_factories, find_backend
from eliop2p.interfaces import ICacheBackendFactory


class RegistryTests(SynchronousTestCase):
    """
    How backends are found.
    """

    def test_ours(self) -> None:
        """
        The backends that come with the package are found by name.
        """
        self.assertLessEqual({"memory", "directory"}, set(backend_factories()))
        for name in ("memory", "directory"):
            factory = find_backend(name, "disk_backend")
            verifyObject(ICacheBackendFactory, factory)
            self.assertEqual(factory.name, name)

    def test_unknown(self) -> None:
        """
        An unknown name is refused with the key that holds it and the names there are.
        """
        error = self.assertRaises(StartError, find_backend, "disc", "disk_backend")
        for part in ("[cache] disk_backend", "'disc'", "directory", "memory"):
            self.assertIn(part, str(error))

"""
Makes the LMDB tier, where its library is installed.
"""

from collections.abc import Callable
from importlib import import_module

from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from eliop2p.base.errors import StartError
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    ICacheBackendFactory,
    IWorker,
)
from eliop2p.model.chunk import ChunkId

# By name: the library is optional, and looking for backends must not need it.
_BACKEND = "eliop2p.cache.lmdb_backend"


@implementer(IPlugin, ICacheBackendFactory)
class LmdbFactory:
    """
    Makes a tier that keeps chunks in one LMDB file.
    """

    name = "lmdb"

    def make(
        self,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> ICacheBackend:
        """
        Claim the directory and make a backend.

        Raises:
            StartError: The library is missing, or the directory cannot be used.
        """
        try:
            module = import_module(_BACKEND)
        except ModuleNotFoundError as error:
            if error.name != "lmdb":
                raise
            raise StartError(
                "[cache] disk_backend = 'lmdb': the Python package lmdb is not "
                "installed; install eliop2p[lmdb], or choose directory"
            ) from None
        if not settings.path:
            raise StartError(
                "[cache] memory_backend = 'lmdb': this backend keeps chunks on a disk; "
                "name it in disk_backend"
            )
        backend: ICacheBackend = module.make_backend(settings, worker, clock, dropped)
        return backend

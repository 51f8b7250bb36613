"""
How the disk tier is found by name.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    ICacheBackendFactory,
    IWorker,
)
from eliop2p.model.chunk import ChunkId


@implementer(IPlugin, ICacheBackendFactory)
class DirectoryFactory:
    """
    Makes the disk tier.
    """

    name = "directory"

    def make(
        self,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> ICacheBackend:
        """
        Claim the directory and make a backend.
        """
        files = ChunkFiles(settings.path, settings.min_free)
        files.claim()
        return DirectoryBackend(files, settings, worker, clock, dropped)

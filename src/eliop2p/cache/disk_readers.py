"""
Opens the files of chunks, and finds out what is wrong when that fails.
"""

import errno

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.disk_claim import DirectoryGone
from eliop2p.cache.disk_handle import DiskEntry, DiskHandle
from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.files import ChunkFiles
from eliop2p.interfaces import IChunkHandle, IWorker

_log = Logger()

_OF_ONE_FILE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR}
"""
Errors that say nothing about the rest of the disk.
"""


class Readers:
    """
    Who reads from the disk tier. A file is checked once while it is open.

    Attributes:
        open_handles: How many handles have not been closed.
        corrupt: How many chunks were found damaged.

    Args:
        files: The directory.
        shelf: The chunks.
        worker: Where files are read.
    """

    def __init__(self, files: ChunkFiles, shelf: Shelf, worker: IWorker) -> None:
        self.open_handles = 0
        self.corrupt = 0
        self._files = files
        self._shelf = shelf
        self._worker = worker

    async def open(self, entry: DiskEntry) -> IChunkHandle | None:
        """
        Open a chunk that is held; None when it cannot be read.
        """
        # Pinned before it is waited for, so that no other reader closes the file.
        self._shelf.holdings.pin(entry)
        try:
            if entry.fd < 0:
                await self._descriptor(entry)
        finally:
            if entry.fd < 0:
                self._shelf.unpin(entry)
        if entry.fd < 0:
            return None
        self.open_handles += 1
        return DiskHandle(entry, self._closed)

    def open_at_once(self, entry: DiskEntry) -> IChunkHandle | None:
        """
        Open a chunk that is held if nothing has to come from the disk for it.
        """
        if entry.fd < 0 and entry.waiting is None:
            entry.fd = self._files.open_at_once(entry.name)
        if entry.fd < 0:
            return None
        self._shelf.holdings.pin(entry)
        self.open_handles += 1
        return DiskHandle(entry, self._closed)

    async def unreadable(self, entry: DiskEntry, error: CorruptChunk | OSError) -> bool:
        """
        Drop a chunk if it is the chunk that is wrong and not the disk.

        Returns:
            Whether it was damaged.
        """
        if isinstance(error, OSError):
            one = error.errno in _OF_ONE_FILE and not isinstance(error, DirectoryGone)
            if not one:
                self._shelf.health.failed(error)
            if not one and error.errno != errno.EIO:
                return False
        if not entry.held:
            return False
        _log.warn(
            "disk cache: dropping a chunk that cannot be read: {error}", error=error
        )
        await self._shelf.drop((entry,))
        return not isinstance(error, FileNotFoundError)

    async def _descriptor(self, entry: DiskEntry) -> None:
        if entry.waiting is not None:
            waiter: Deferred[None] = Deferred()
            entry.waiting.append(waiter)
            await waiter
            return
        entry.waiting = []
        try:
            entry.fd = await self._worker.run(self._files.open_checked, entry.name)
        except (CorruptChunk, OSError) as error:
            if await self.unreadable(entry, error):
                self.corrupt += 1
        finally:
            waiting, entry.waiting = entry.waiting, None
            for waiter in waiting:
                waiter.callback(None)

    def _closed(self, entry: DiskEntry) -> None:
        self.open_handles -= 1
        self._shelf.unpin(entry)

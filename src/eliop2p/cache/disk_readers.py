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
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.open_files import OpenFiles
from eliop2p.interfaces import IChunkHandle, IWorker
from eliop2p.model.span import FileSpan

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
        corrupt: How many chunks were found damaged when they were opened.
        corrupt_scrubbed: How many besides.

    Args:
        files: The directory.
        shelf: The chunks.
        open_files: Those that are open.
        worker: Where files are read.
    """

    def __init__(
        self,
        files: ChunkFiles,
        shelf: Shelf,
        open_files: OpenFiles,
        worker: IWorker,
    ) -> None:
        self.open_handles = 0
        self.corrupt = 0
        self.corrupt_scrubbed = 0
        self._files = files
        self._shelf = shelf
        self._open_files = open_files
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
        if self._open_files.descriptor(entry) < 0:
            return None
        self._shelf.holdings.pin(entry)
        self.open_handles += 1
        return DiskHandle(entry, self._closed)

    def view(self, entry: DiskEntry, start: int, stop: int) -> FileSpan | None:
        """
        Show a part of a chunk that is held if nothing has to come from the disk for it.
        """
        fd = self._open_files.descriptor(entry)
        return None if fd < 0 else FileSpan(fd, start, stop - start, entry.valid)

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

    def is_to_scrub(self, name: ChunkName) -> bool:
        """
        Tell whether a file is a chunk that is held and not being read.
        """
        entry = self._shelf.holdings.get(name.chunk_id)
        return entry is not None and entry.digest == name.digest and not entry.pins

    async def drop_bad(self, name: ChunkName, error: CorruptChunk | OSError) -> None:
        """
        Drop a chunk that was found damaged without having been opened.
        """
        entry = self._shelf.holdings.get(name.chunk_id)
        if entry is None or entry.digest != name.digest:
            return
        if await self.unreadable(entry, error):
            self.corrupt_scrubbed += 1

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

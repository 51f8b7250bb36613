"""
The chunks on the disk and the bytes they take: what puts, listing and scrubbing share.
"""

import errno
from collections.abc import Callable, Iterable

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from eliop2p.cache.disk_ceiling import Ceiling
from eliop2p.cache.disk_handle import DiskEntry
from eliop2p.cache.files import Begun, ChunkFiles, ShortOfSpace
from eliop2p.cache.health import Health
from eliop2p.cache.holdings import Holdings
from eliop2p.cache.layout import ChunkName, size_on_disk
from eliop2p.cache.open_files import OpenFiles
from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import ChunkId

_log = Logger()

_TRIES = 3
"""
How often a chunk is written when the disk has no space, each time after others have
been dropped.
"""

_FULL = {errno.ENOSPC, errno.EDQUOT}


class Shelf:
    """
    Drops chunks and counts their bytes until their files are gone; finds room.

    Args:
        files: The directory.
        holdings: The chunks.
        ceiling: What the directory does not exceed.
        worker: Where files are removed.
        health: Told when that fails.
        open_files: Keeps files open.
        dropped: Told of chunks that are evicted, corrupt or have vanished.

    Attributes:
        leaving: Chunks whose files are being removed.
        stuck: Bytes in files that could not be removed, until they are listed again.
    """

    def __init__(
        self,
        files: ChunkFiles,
        *,
        holdings: Holdings[DiskEntry],
        ceiling: Ceiling,
        worker: IWorker,
        health: Health,
        open_files: OpenFiles,
        dropped: Callable[[ChunkId], None],
    ) -> None:
        self.holdings = holdings
        self.health = health
        self.leaving: set[ChunkId] = set()
        self.stuck = 0
        self._files = files
        self._ceiling = ceiling
        self._worker = worker
        self._dropped = dropped
        self._open_files = open_files
        self._room = DeferredLock()

    async def reserve(self, size: int) -> bool:
        """
        Reserve bytes that are free.
        """
        return not size or await self._reserve(size, evict=False)

    async def make_room(self, chunk_id: ChunkId, size: int) -> bool:
        """
        Reserve bytes for a chunk, dropping others and what has the same name.
        """
        earlier = self.holdings.get(chunk_id)
        if earlier is not None:
            await self.drop((earlier,))
        return await self._reserve(size, evict=True)

    async def make_way(self, size: int) -> bool:
        """
        Reserve bytes for what is no chunk yet, dropping chunks.
        """
        return await self._reserve(size, evict=True)

    async def settle(self) -> None:
        """
        Let the ceiling come down to what is there, and the chunks to the capacity.

        Raises:
            OSError: The ceiling could not be written.
        """
        await self._room.acquire()
        try:
            await self.drop(self.holdings.victims(0))
            await self._ceiling.settle(self.holdings.used)
        finally:
            self._room.release()

    async def write(
        self, name: ChunkName, data: memoryview, begun: Begun | None
    ) -> bool:
        """
        Write a chunk for which there is room; dropping others when the disk has less
        space than it should.

        Args:
            name: Its name.
            data: Its content.
            begun: A file with a part of it, if there is one.

        Returns:
            Whether it is there; if not its bytes have been given back.
        """
        size = size_on_disk(name.length)
        for _ in range(_TRIES):
            try:
                await self._worker.run(self._files.write, name, data, begun)
            except OSError as error:
                if await self._failed(error, name):
                    continue
                return False
            self.health.worked()
            self.holdings.release(size)
            return True
        self.holdings.release(size)
        return False

    async def drop(self, entries: tuple[DiskEntry, ...]) -> None:
        """
        Remove chunks and tell of it.
        """
        if entries:
            self.take_out(entries)
            for entry in entries:
                self._dropped(entry.chunk_id)
            await self.unlink(entries)

    def take_out(self, entries: tuple[DiskEntry, ...]) -> None:
        """
        Forget chunks; their bytes count until :meth:`unlink` is done.
        """
        for entry in entries:
            entry.withdraw()
            self.holdings.pin(entry)
            self.holdings.remove(entry)
            self.leaving.add(entry.chunk_id)

    async def unlink(self, entries: tuple[DiskEntry, ...]) -> None:
        """
        Remove the files of chunks that have been taken out.
        """
        names = tuple(entry.name for entry in entries)
        errors = await self._worker.run(self._files.remove, names)
        for entry, error in zip(entries, errors, strict=True):
            self.leaving.discard(entry.chunk_id)
            if error is not None:
                self.health.failed(error)
                self.holdings.reserve(entry.size)
                self.stuck += entry.size
            self.unpin(entry)

    def synced(self, names: Iterable[ChunkName]) -> None:
        """
        Take that chunks would survive a power failure, those that are still here.
        """
        for name in names:
            entry = self.holdings.get(name.chunk_id)
            if entry is not None and entry.digest == name.digest:
                entry.synced = True

    def unpin(self, entry: DiskEntry) -> None:
        """
        Let go of a chunk, whose file may stay open for others.
        """
        if entry.pins > 1 or entry.fd < 0:
            self.holdings.unpin(entry)
        elif entry.held:
            self.holdings.unpin(entry)
            self._open_files.keep(entry)
        else:
            self._open_files.forget(entry)
            # This frees the blocks of a file that has no name any more: milliseconds.
            closing = self._worker.run(entry.close_file)
            closing.addErrback(lambda _: entry.close_file())
            closing.addBoth(lambda _: self.holdings.unpin(entry))

    async def _reserve(self, size: int, *, evict: bool) -> bool:
        # One caller at a time: a later one must not take the room that an earlier one
        # has had made.
        await self._room.acquire()
        try:
            if evict:
                await self.drop(self.holdings.victims(size))
            if not self.holdings.fits(size):
                return False
            await self._ceiling.allow(self.holdings.used + size)
            self.holdings.reserve(size)
        except OSError as error:
            self.health.failed(error)
            return False
        finally:
            self._room.release()
        return True

    async def _failed(self, error: OSError, name: ChunkName) -> bool:
        """
        Clean up after a write that failed, and drop chunks if that may help.

        Returns:
            Whether to try again; otherwise the bytes have been given back.
        """
        removed = await self._worker.run(self._files.remove_temporary, name)
        if removed and error.errno in _FULL:
            missing = error.missing if isinstance(error, ShortOfSpace) else name.length
            self.health.short(error)
            if await self._give_up(missing):
                return True
        else:
            self.health.failed(error)
        if removed:
            self.holdings.release(size_on_disk(name.length))
        else:
            self.stuck += size_on_disk(name.length)
        return False

    async def _give_up(self, amount: int) -> bool:
        """
        Drop chunks of so many bytes in all.
        """
        free = self.holdings.capacity - self.holdings.used
        victims = self.holdings.victims(free + amount)
        await self.drop(victims)
        return bool(victims)

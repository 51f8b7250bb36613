"""
The disk tier: one file per chunk in one directory.
"""

import errno
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.disk_handle import DiskEntry, DiskHandle, close_unwanted
from eliop2p.cache.files import ChunkFiles, Found
from eliop2p.cache.health import Health
from eliop2p.cache.layout import FOLDERS, ChunkName, size_on_disk
from eliop2p.cache.lru import LruOrder
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    ICacheBackendFactory,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest

_log = Logger()


@implementer(ICacheBackend)
class DirectoryBackend:
    """
    Keeps chunks in files, within a number of bytes that is never exceeded on the disk.

    Victims are gone before new bytes are written, and files that are being written or
    that are not ours count too. Until :meth:`start` has fired nothing is taken in,
    because nobody knows yet how much there is.

    Attributes:
        open_handles: How many handles have not been closed.

    Args:
        files: The directory, claimed.
        settings: The bounds.
        worker: Where files are touched.
        clock: Says when to try a failing disk again.
        dropped: Told of chunks that are evicted, corrupt or have vanished.
    """

    def __init__(
        self,
        files: ChunkFiles,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> None:
        self.open_handles = 0
        self._files = files
        self._worker = worker
        self._dropped = dropped
        self._order: LruOrder[DiskEntry] = LruOrder(
            settings.capacity, settings.eviction_threshold, settings.eviction_target
        )
        self._health = Health(str(files.root), clock)
        self._tasks = Tasks()
        self._room = DeferredLock()
        self._writing: set[ChunkId] = set()
        self._leaving: set[ChunkId] = set()
        self._complete = False
        self._stopping = False

    def start(self) -> Deferred[None]:
        """
        List the directory.
        """
        return self._tasks.run(self._scan())

    def stop(self) -> Deferred[None]:
        """
        Finish what is being written and unlock the directory.
        """
        self._stopping = True
        return self._tasks.idle().addCallback(lambda _: self._files.release())

    def contains(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether the chunk has been found or written.
        """
        return self._order.get(chunk_id) is not None

    def digest_of(self, chunk_id: ChunkId) -> Digest | None:
        """
        Give the digest in the name of a chunk.
        """
        entry = self._order.get(chunk_id)
        return entry.digest if entry else None

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk after reading it through; a chunk that is open is not read again.
        """
        entry = self._order.get(chunk_id)
        if entry is None:
            return succeed(None)
        self._order.touch(entry)
        return self._tasks.run(self._open(entry), close_unwanted)

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Write a chunk. One whose file is just being written or removed is refused.
        """
        entry = self._order.get(chunk_id)
        if entry is not None and entry.digest == digest:
            self._order.touch(entry)
            return succeed(True)
        if not self._takes(chunk_id):
            return succeed(False)
        return self._tasks.run(self._put(chunk_id, data, digest))

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        Drop a chunk.
        """
        entry = self._order.get(chunk_id)
        if entry is None:
            return succeed(False)
        self._take_out((entry,))
        return self._tasks.run(self._unlink((entry,))).addCallback(lambda _: True)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk found or written.
        """
        return iter([entry.chunk_id for entry in self._order])

    def usage(self) -> CacheUsage:
        """
        Tell how full the directory is.
        """
        return CacheUsage(
            self._order.used,
            self._order.capacity,
            len(self._order),
            self._health.trouble,
        )

    def _takes(self, chunk_id: ChunkId) -> bool:
        return (
            self._complete
            and not self._stopping
            and chunk_id not in self._writing
            and chunk_id not in self._leaving
            and self._health.allows()
        )

    async def _scan(self) -> None:
        try:
            await self._worker.run(self._files.clear_temporary)
            self._order.reserve(await self._worker.run(self._files.scan_root))
            for folder in FOLDERS:
                if self._stopping:
                    return
                await self._take(await self._worker.run(self._files.scan, folder))
        except OSError as error:
            self._health.failed(error)
            return
        self._complete = True
        await self._drop(self._order.victims(0))

    async def _take(self, found: Found) -> None:
        self._order.reserve(found.unknown)
        double = []
        for name in found.names:
            entry = DiskEntry(
                name.chunk_id, name.digest, name.length, size_on_disk(name.length)
            )
            if self.contains(name.chunk_id):
                double.append(entry)
            else:
                self._order.add(entry)
        if double:
            names = tuple(entry.name for entry in double)
            for entry, error in zip(
                double, await self._worker.run(self._files.remove, names), strict=True
            ):
                self._order.reserve(entry.size if error else 0)

    async def _open(self, entry: DiskEntry) -> IChunkHandle | None:
        # Pinned before it is waited for, so that no other reader closes the file.
        self._order.pin(entry)
        try:
            if entry.fd < 0:
                await self._descriptor(entry)
        finally:
            if entry.fd < 0:
                self._unpin(entry)
        if entry.fd < 0:
            return None
        self.open_handles += 1
        return DiskHandle(entry, self._closed)

    async def _descriptor(self, entry: DiskEntry) -> None:
        if entry.waiting is not None:
            waiter: Deferred[None] = Deferred()
            entry.waiting.append(waiter)
            await waiter
            return
        entry.waiting = []
        try:
            entry.fd = await self._worker.run(self._files.open_checked, entry.name)
        except (FileNotFoundError, CorruptChunk) as error:
            await self._lost(entry, error)
        except OSError as error:
            self._health.failed(error)
            if error.errno == errno.EIO:
                await self._lost(entry, error)
        finally:
            waiting, entry.waiting = entry.waiting, None
            for waiter in waiting:
                waiter.callback(None)

    async def _lost(self, entry: DiskEntry, error: Exception) -> None:
        _log.warn(
            "disk cache: dropping a chunk that cannot be read: {error}", error=error
        )
        if entry.held:
            await self._drop((entry,))

    def _closed(self, entry: DiskEntry) -> None:
        self.open_handles -= 1
        self._unpin(entry)

    def _unpin(self, entry: DiskEntry) -> None:
        if entry.pins == 1:
            entry.close_file()
        self._order.unpin(entry)

    async def _put(self, chunk_id: ChunkId, data: memoryview, digest: Digest) -> bool:
        self._writing.add(chunk_id)
        size = size_on_disk(len(data))
        try:
            if not await self._make_room(chunk_id, size):
                return False
            name = ChunkName(chunk_id, len(data), digest)
            if not await self._write(name, data, size):
                return False
        finally:
            self._writing.discard(chunk_id)
        self._order.add(DiskEntry(chunk_id, digest, len(data), size))
        return True

    async def _make_room(self, chunk_id: ChunkId, size: int) -> bool:
        """
        Reserve bytes, one caller at a time: a later one must not take the room that an
        earlier one has had made.
        """
        await self._room.acquire()
        try:
            earlier = self._order.get(chunk_id)
            if earlier is not None:  # With another digest.
                await self._drop((earlier,))
            await self._drop(self._order.victims(size))
            if not self._order.fits(size):
                return False
            self._order.reserve(size)
        finally:
            self._room.release()
        return True

    async def _write(self, name: ChunkName, data: memoryview, size: int) -> bool:
        try:
            await self._worker.run(self._files.write, name, data)
        except OSError as error:
            self._health.failed(error)
            if await self._worker.run(self._files.remove_temporary, name):
                self._order.release(size)
            return False
        self._health.worked()
        self._order.release(size)
        return True

    async def _drop(self, entries: tuple[DiskEntry, ...]) -> None:
        if entries:
            self._take_out(entries)
            for entry in entries:
                self._dropped(entry.chunk_id)
            await self._unlink(entries)

    def _take_out(self, entries: tuple[DiskEntry, ...]) -> None:
        """
        Forget chunks; their bytes count until :meth:`_unlink` is done.
        """
        for entry in entries:
            self._order.pin(entry)
            self._order.remove(entry)
            self._leaving.add(entry.chunk_id)

    async def _unlink(self, entries: tuple[DiskEntry, ...]) -> None:
        names = tuple(entry.name for entry in entries)
        errors = await self._worker.run(self._files.remove, names)
        for entry, error in zip(entries, errors, strict=True):
            self._leaving.discard(entry.chunk_id)
            if error is not None:
                self._health.failed(error)
                self._order.reserve(entry.size)
            self._unpin(entry)


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
        files = ChunkFiles(settings.path)
        files.claim()
        return DirectoryBackend(files, settings, worker, clock, dropped)

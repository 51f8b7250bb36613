"""
The disk tier for many small objects: chunks in one LMDB file.
"""

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.disk_handle import close_unwanted
from eliop2p.cache.health import Health
from eliop2p.cache.holdings import Holdings
from eliop2p.cache.lmdb_changes import Changes
from eliop2p.cache.lmdb_files import LmdbFiles
from eliop2p.cache.lmdb_handle import LmdbEntry, LmdbHandle
from eliop2p.cache.lmdb_rows import Row
from eliop2p.cache.lmdb_store import Drop, Keep, LmdbStore
from eliop2p.cache.policies import make_holdings
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest

_log = Logger()

_FOUND_AT_ONCE = 4096
"""
How many chunks are taken over in one turn of the reactor at the start.
"""


@implementer(ICacheBackend)
class LmdbBackend:
    """
    Keeps chunks in one file, within a number of bytes that neither the file nor the
    chunks in it ever exceed.

    The file does not shrink: the room of chunks that are gone is used again. Until
    :meth:`start` has fired nothing is taken in.

    Attributes:
        open_handles: How many handles have not been closed.

    Args:
        store: The file, not open yet.
        settings: The bounds.
        worker: Where LMDB runs.
        clock: Says when to try a failing disk again.
        dropped: Told of chunks that are evicted, corrupt or have vanished.
    """

    def __init__(
        self,
        store: LmdbStore,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> None:
        self.open_handles = 0
        self._store = store
        self._changes = Changes(worker, store)
        self._worker = worker
        self._dropped = dropped
        self._holdings: Holdings[LmdbEntry] = make_holdings(settings, clock.seconds)
        self._health = Health(str(store.path), clock)
        self._tasks = Tasks()
        self._room = DeferredLock()
        self._writing: set[ChunkId] = set()
        self._serial = 0
        self._corrupt = 0
        self._complete = False
        self._stopping = False

    def start(self) -> Deferred[None]:
        """
        Open the file and read its index.
        """
        return self._tasks.run(self._find())

    def stop(self) -> Deferred[None]:
        """
        Finish what is being written, bring it to the disk and unlock the directory.
        """
        self._stopping = True
        return Deferred.fromCoroutine(self._stop())

    def contains(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether the chunk has been found or written.
        """
        return self._holdings.get(chunk_id) is not None

    def digest_of(self, chunk_id: ChunkId) -> Digest | None:
        """
        Give the digest that the index has of a chunk.
        """
        entry = self._holdings.get(chunk_id)
        return entry.digest if entry else None

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Copy a chunk and check the copy; all who have it open share one.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None:
            return succeed(None)
        self._holdings.touch(entry)
        return self._tasks.run(self._open(entry), close_unwanted)

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Write a chunk. One that is just being written is refused.
        """
        entry = self._holdings.get(chunk_id)
        if entry is not None and entry.digest == digest:
            self._holdings.touch(entry)
            return succeed(True)
        if not self._takes(chunk_id):
            return succeed(False)
        return self._tasks.run(self._put(chunk_id, data, digest))

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        Drop a chunk.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None:
            return succeed(False)
        self._take_out((entry,))
        return self._tasks.run(self._erase((entry,))).addCallback(lambda _: True)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk found or written.
        """
        return iter([entry.chunk_id for entry in self._holdings])

    def usage(self) -> CacheUsage:
        """
        Tell how full the file is.
        """
        return CacheUsage(
            self._holdings.used,
            self._holdings.capacity,
            len(self._holdings),
            self._health.trouble,
            corrupt=self._corrupt,
        )

    def _takes(self, chunk_id: ChunkId) -> bool:
        return (
            self._complete
            and not self._stopping
            and chunk_id not in self._writing
            and self._health.allows()
        )

    async def _stop(self) -> None:
        await self._tasks.idle()
        await self._worker.run(self._store.close)

    async def _find(self) -> None:
        try:
            rows = await self._worker.run(self._store.open)
        except OSError as error:
            self._health.failed(error)
            return
        self._holdings.reserve(self._holdings.capacity - self._store.room)
        for start in range(0, len(rows), _FOUND_AT_ONCE):
            if self._stopping:
                return
            some = rows[start : start + _FOUND_AT_ONCE]
            self._holdings.found(await self._worker.run(self._entries, some))
        self._serial = rows[-1].serial if rows else 0
        self._complete = True
        await self._evict(self._holdings.victims(0))

    def _entries(self, rows: list[Row]) -> list[LmdbEntry]:
        sizes = {row.length: 0 for row in rows}
        for length in sizes:
            sizes[length] = self._store.size_of(length)
        return [
            LmdbEntry(chunk_id, digest, length, sizes[length], serial=serial)
            for chunk_id, serial, length, digest in rows
        ]

    async def _open(self, entry: LmdbEntry) -> IChunkHandle | None:
        # Counted before it is waited for, so that no other reader drops the copy.
        entry.readers += 1
        try:
            if entry.copy is None:
                await self._copy(entry)
        except BaseException:
            self._left(entry)
            raise
        if entry.copy is None:
            self._left(entry)
            return None
        self.open_handles += 1
        return LmdbHandle(entry, entry.copy, self._closed)

    async def _copy(self, entry: LmdbEntry) -> None:
        if entry.waiting is not None:
            waiter: Deferred[None] = Deferred()
            entry.waiting.append(waiter)
            await waiter
            return
        entry.waiting = []
        try:
            entry.copy = await self._worker.run(self._store.read, entry.row)
        except CorruptChunk as error:
            await self._lost(entry, error)
        except OSError as error:
            self._health.failed(error)
            await self._lost(entry, error)
        finally:
            waiting, entry.waiting = entry.waiting, None
            for waiter in waiting:
                waiter.callback(None)

    async def _lost(self, entry: LmdbEntry, error: Exception) -> None:
        if entry.held:
            self._corrupt += 1
            _log.warn(
                "disk cache: dropping a chunk that cannot be read: {error}", error=error
            )
            await self._evict((entry,))

    def _closed(self, entry: LmdbEntry) -> None:
        self.open_handles -= 1
        self._left(entry)

    def _left(self, entry: LmdbEntry) -> None:
        entry.readers -= 1
        if not entry.readers:
            entry.copy = None

    async def _put(self, chunk_id: ChunkId, data: memoryview, digest: Digest) -> bool:
        self._writing.add(chunk_id)
        size = self._store.size_of(len(data))
        try:
            if not await self._make_room(chunk_id, size):
                return False
            self._serial += 1
            row = Row(chunk_id, self._serial, len(data), digest)
            written = await self._write(Keep(row, data))
            self._holdings.release(size)
            if written:
                (entry,) = self._entries([row])
                self._holdings.add(entry)
        finally:
            self._writing.discard(chunk_id)
        return written

    async def _make_room(self, chunk_id: ChunkId, size: int) -> bool:
        """
        Reserve bytes, one caller at a time: a later one must not take the room that an
        earlier one has had made.
        """
        await self._room.acquire()
        try:
            earlier = self._holdings.get(chunk_id)
            if earlier is not None:  # With another digest.
                await self._evict((earlier,))
            await self._evict(self._holdings.victims(size))
            if not self._holdings.fits(size):
                return False
            self._holdings.reserve(size)
        finally:
            self._room.release()
        return True

    async def _write(self, change: Keep) -> bool:
        try:
            await self._changes.make((change,))
        except OSError as error:
            self._health.failed(error)
            return False
        self._health.worked()
        return True

    async def _evict(self, entries: tuple[LmdbEntry, ...]) -> None:
        if entries:
            self._take_out(entries)
            for entry in entries:
                self._dropped(entry.chunk_id)
            await self._erase(entries)

    def _take_out(self, entries: tuple[LmdbEntry, ...]) -> None:
        """
        Forget chunks; their bytes count until :meth:`_erase` is done.
        """
        for entry in entries:
            self._holdings.pin(entry)
            self._holdings.remove(entry)

    async def _erase(self, entries: tuple[LmdbEntry, ...]) -> None:
        try:
            await self._changes.make(tuple(Drop(entry.row) for entry in entries))
        except OSError as error:
            self._health.failed(error)
            return  # They are in the file still, and count.
        for entry in entries:
            self._holdings.unpin(entry)


def make_backend(
    settings: BackendSettings,
    worker: IWorker,
    clock: IReactorTime,
    dropped: Callable[[ChunkId], None],
) -> LmdbBackend:
    """
    Claim the directory and make a backend.

    Raises:
        StartError: The directory cannot be used.
    """
    files = LmdbFiles(settings.path)
    files.claim()
    store = LmdbStore(files, settings.capacity, settings.min_free)
    return LmdbBackend(store, settings, worker, clock, dropped)

"""
The disk tier: one file per chunk in one directory.
"""

from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.cache.disk_ceiling import Ceiling
from eliop2p.cache.disk_handle import DiskEntry, close_unwanted
from eliop2p.cache.disk_inventory import Inventory
from eliop2p.cache.disk_partials import Partials
from eliop2p.cache.disk_readers import Readers
from eliop2p.cache.disk_recent import Recency
from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.disk_survey import Survey
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.health import Health
from eliop2p.cache.holdings import Holdings
from eliop2p.cache.layout import ChunkName, size_on_disk
from eliop2p.cache.open_files import OpenFiles
from eliop2p.cache.policies import make_holdings
from eliop2p.cache.scrub import Scrubber
from eliop2p.cache.sync import GroupSync
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    IChunkHandle,
    IPagedChunks,
    IPartialChunks,
    IReplicaAware,
    IWorker,
    PartialChunk,
)
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.span import FileSpan


@implementer(ICacheBackend, IPagedChunks, IPartialChunks, IReplicaAware)
class DirectoryBackend:
    """
    Keeps chunks in files, within a number of bytes that is never exceeded on the disk.

    Victims are gone before new bytes are written, and files that are being written or
    that are not ours count too.

    Args:
        files: The directory, claimed.
        settings: The bounds.
        worker: Where files are touched.
        clock: Says when to sync, to scrub and to try a failing disk again.
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
        self._files = files
        self._worker = worker
        self._holdings: Holdings[DiskEntry] = make_holdings(settings, clock.seconds)
        self._tasks = Tasks()
        self._writing: set[ChunkId] = set()
        self._stopping = False
        self._largest = 0
        self._health = Health(str(files.root), clock, self._probe)
        self._ceiling = Ceiling(files, settings.capacity, worker)
        self._open_files = OpenFiles(files, clock.seconds)
        self._shelf = Shelf(
            files,
            holdings=self._holdings,
            ceiling=self._ceiling,
            worker=worker,
            health=self._health,
            open_files=self._open_files,
            dropped=dropped,
        )
        self._partials = Partials(files, self._shelf, worker, settings.capacity)
        self._readers = Readers(files, self._shelf, self._open_files, worker)
        self._recency = Recency(files, self._shelf, worker, clock)
        self._survey = Survey(
            files,
            shelf=self._shelf,
            inventory=Inventory(files, self._shelf, worker, self._writing),
            ceiling=self._ceiling,
            recency=self._recency,
            partials=self._partials,
            worker=worker,
            clock=clock,
        )
        self._sync = GroupSync(
            files, worker, clock, self._shelf.synced, self._health.failed
        )
        self._scrubber = Scrubber(
            files,
            worker,
            clock,
            rate=settings.scrub_rate,
            wanted=self._readers.is_to_scrub,
            failed=lambda *bad: self._tasks.run(self._readers.drop_bad(*bad)),
        )

    @property
    def open_handles(self) -> int:
        """
        How many handles have not been closed.
        """
        return self._readers.open_handles

    def start(self) -> Deferred[None]:
        """
        List the directory. When that fails it is done later.
        """
        return self._tasks.run(self._start())

    def stop(self) -> Deferred[None]:
        """
        Finish what is being written, sync it, and unlock the directory.
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
        Give the digest in the name of a chunk.
        """
        entry = self._holdings.get(chunk_id)
        return entry.digest if entry else None

    def is_synced(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether a chunk is known to survive a power failure, which is not known of
        those that an earlier process left.
        """
        entry = self._holdings.get(chunk_id)
        return entry is not None and entry.synced

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk after reading it through; a chunk that is open is not read again.

        While the directory is being listed, a chunk is looked for where it would be.
        """
        handle = self.open_at_once(chunk_id)
        if handle is not None:
            return succeed(handle)
        if not (self.contains(chunk_id) or self._is_to_be_found(chunk_id)):
            return succeed(None)
        return self._tasks.run(self._open(chunk_id), close_unwanted)

    def open_at_once(self, chunk_id: ChunkId) -> IChunkHandle | None:
        """
        Open a chunk that the page cache holds, and of which nothing has changed.
        """
        entry = self._holdings.get(chunk_id)
        handle = self._readers.open_at_once(entry) if entry is not None else None
        if entry is not None and handle is not None:
            self._recency.touch(entry)
        return handle

    def view(
        self, chunk_id: ChunkId, digest: Digest | None, start: int, stop: int
    ) -> FileSpan | None:
        """
        Show a part of a chunk that the page cache holds.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None or entry.digest != digest:
            return None
        span = self._readers.view(entry, start, stop)
        if span is not None:
            self._recency.touch(entry)
        return span

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Write a chunk. One whose file is just being written or removed is refused.
        """
        if self._has(chunk_id, digest):
            return succeed(True)
        if not self._takes(chunk_id):
            return succeed(False)
        return self._tasks.run(self._put(chunk_id, data, digest))

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        Drop a chunk.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None and not self._is_to_be_found(chunk_id):
            return succeed(False)
        return self._tasks.run(self._remove(chunk_id))

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk found or written.
        """
        return iter([entry.chunk_id for entry in self._holdings])

    def usage(self) -> CacheUsage:
        """
        Tell how full the directory is.
        """
        return CacheUsage(
            self._holdings.used,
            self._holdings.capacity,
            len(self._holdings),
            self._health.trouble,
            self._scrubber.bytes,
            self._readers.corrupt,
            self._readers.corrupt_scrubbed,
            len(self._partials),
        )

    def note_replicas(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk.
        """
        self._holdings.note_replicas(chunk_id, replicas)

    def extents_of(self, chunk_id: ChunkId) -> tuple[Interval, ...]:
        """
        Tell which bytes of a chunk are kept that is not whole.
        """
        return self._partials.extents_of(chunk_id)

    def load(self, chunk_id: ChunkId) -> Deferred[PartialChunk | None]:
        """
        Read and check what is kept of a chunk.
        """
        return self._tasks.run(self._partials.load(chunk_id))

    def checkpoint(
        self, chunk: Chunk, pieces: Sequence[tuple[int, memoryview]], from_store: bool
    ) -> Deferred[bool]:
        """
        Write more of a chunk; synced before it is listed as being there.
        """
        takes = self._takes(chunk.id) and not self.contains(chunk.id)
        if not (takes and pieces):
            return succeed(False)
        return self._tasks.run(
            self._partials.checkpoint(chunk, pieces, from_store=from_store)
        )

    def discard(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Drop what is kept of a chunk.
        """
        return self._tasks.run(self._partials.discard(chunk_id))

    # --- life

    async def _start(self) -> None:
        try:
            await self._survey.run()
        except OSError as error:
            self._health.failed(error)
        else:
            self._listed()

    def _listed(self) -> None:
        if not self._stopping:
            self._tasks.run(self._survey.recall())
            self._scrubber.start()

    async def _stop(self) -> None:
        self._survey.stop()
        self._health.stop()
        await self._scrubber.stop()
        await self._tasks.idle()
        await self._sync.flush()
        await self._recency.close()
        self._open_files.close_all()
        if self._survey.inventory.complete and not self._health.gone:
            try:
                await self._shelf.settle()
            except OSError as error:
                self._health.failed(error)
        self._files.release()

    def _probe(self) -> Deferred[None]:
        return self._tasks.run(self._recover())

    async def _recover(self) -> None:
        """
        Try the disk, and take stock of it if that is necessary.

        Raises:
            OSError: It is not well.
        """
        await self._worker.run(self._files.probe, self._largest)
        if self._health.gone or self._shelf.stuck:
            await self._survey.run_again()
        elif not self._survey.inventory.complete:
            await self._survey.run()
        else:
            return
        self._listed()

    # --- reading

    def _is_to_be_found(self, chunk_id: ChunkId) -> bool:
        return not (self._stopping or self._survey.inventory.covers(chunk_id))

    async def _find(self, chunk_id: ChunkId) -> DiskEntry | None:
        if self._is_to_be_found(chunk_id):
            try:
                await self._survey.inventory.list_folder(chunk_id[0])
            except OSError as error:
                self._health.failed(error)
        return self._holdings.get(chunk_id)

    async def _open(self, chunk_id: ChunkId) -> IChunkHandle | None:
        entry = await self._find(chunk_id)
        if entry is None:
            return None
        self._recency.touch(entry)
        return await self._readers.open(entry)

    # --- writing

    def _has(self, chunk_id: ChunkId, digest: Digest) -> bool:
        entry = self._holdings.get(chunk_id)
        if entry is None or entry.digest != digest:
            return False
        self._recency.touch(entry)
        return True

    def _takes(self, chunk_id: ChunkId) -> bool:
        return (
            self._survey.accepts
            and not self._stopping
            and chunk_id not in self._writing
            and chunk_id not in self._shelf.leaving
            and self._health.allows()
        )

    async def _put(self, chunk_id: ChunkId, data: memoryview, digest: Digest) -> bool:
        self._largest = max(self._largest, len(data))
        await self._find(chunk_id)
        await self._sync.room()
        if self._has(chunk_id, digest):
            return True
        if not self._takes(chunk_id):
            return False
        self._writing.add(chunk_id)
        try:
            size = size_on_disk(len(data))
            if not await self._make_room(chunk_id, size):
                return False
            name = ChunkName(chunk_id, len(data), digest)
            if not await self._write(name, data):
                return False
        finally:
            self._writing.discard(chunk_id)
        self._holdings.add(DiskEntry(chunk_id, digest, len(data), size))
        self._sync.written(name)
        self._recency.note(chunk_id, 0)
        return True

    async def _make_room(self, chunk_id: ChunkId, size: int) -> bool:
        if await self._shelf.make_room(chunk_id, size):
            return True
        if size > self._holdings.capacity or not await self._partials.give_up_all():
            return False
        return await self._shelf.make_room(chunk_id, size)

    async def _write(self, name: ChunkName, data: memoryview) -> bool:
        taken = await self._partials.take(name.chunk_id, name.length)
        kept = await self._shelf.write(name, data, taken.begun if taken else None)
        if taken is not None:
            await taken.done(kept=kept)
        return kept

    async def _remove(self, chunk_id: ChunkId) -> bool:
        entry = await self._find(chunk_id)
        if entry is None:
            return False
        self._shelf.take_out((entry,))
        await self._shelf.unlink((entry,))
        return True

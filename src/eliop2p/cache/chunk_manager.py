"""
The one door to a chunk.
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.cache.flights import Flights
from eliop2p.cache.keeper import Keeper
from eliop2p.cache.part import within
from eliop2p.cache.promotion import Promotion
from eliop2p.cache.readings import HandleReading
from eliop2p.cache.room import Room
from eliop2p.interfaces import (
    CacheUsage,
    ICacheBackend,
    IChunkHandle,
    IChunkOrigin,
    IChunkParts,
    IChunkReader,
    IChunkReading,
    IChunksAtOnce,
    IChunkSource,
    IChunkViews,
    IHeldChunks,
    ILocalChunks,
    IPagedChunks,
    IPartialChunks,
    IPartSink,
    ISmallChunks,
    IWorker,
)
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span

PAGED_BYTES = 1024 * 1024
"""
From which length on a chunk in memory is sent from its file, if the page cache has it:
the kernel then refers to its pages and copies nothing. Opening the file costs as much
as copying some 100 KiB.
"""

VIEWED_BYTES = 32 * 1024
"""
From which length on a part of a chunk in memory is shown in its file. A file that is
open already costs no more than a system call for the head.
"""

_PARTS = 4
"""
Parts of chunks take at most this part of the memory for chunks in flight, besides it.
"""


@implementer(IChunkReader, IChunkParts, IChunkViews, ILocalChunks, IHeldChunks)
class ChunkManager:
    """
    Gives a chunk from memory, from its arrival if it is under way, from disk, or by
    having it fetched; in this order.

    Tells a client's request that a chunk will not be read with its right
    (:meth:`eliop2p.interfaces.IChunkOrigin.passed_over`) when it comes from a tier or
    with the right of another.

    Attributes:
        hits_memory: Chunks opened or shown in memory.
        hits_disk: Chunks opened on disk.
        joined: Chunks opened while they were arriving.
        flights: Chunks that had to be fetched.

    Args:
        memory: The memory tier.
        disk: The disk tier, if there is one.
        source: Gets chunks, and is told of those that are held.
        worker: Where chunks are hashed and copied.
        clock: Measures the time between two uses of a chunk.
        inflight_bytes: The most memory for chunks that are in no tier yet.
    """

    def __init__(
        self,
        memory: ICacheBackend,
        disk: ICacheBackend | None,
        source: IChunkSource,
        worker: IWorker,
        clock: IReactorTime,
        *,
        inflight_bytes: int,
    ) -> None:
        self.hits_memory = 0
        self.hits_disk = 0
        self.joined = 0
        self.flights = 0
        self._opened = source.opened
        self._memory = memory
        self._at_once: IChunksAtOnce | None = IChunksAtOnce(memory, None)
        self._views: IChunkViews | None = IChunkViews(memory, None)
        self._small: ISmallChunks | None = ISmallChunks(memory, None)
        self._disk = disk
        self._paged = IPagedChunks(disk, None) if disk is not None else None
        self._room = Room(inflight_bytes)
        self._keeper = Keeper(memory, disk, source, clock)
        self._flights = Flights(
            source,
            worker,
            clock,
            self._room,
            self._keeper,
            partials=IPartialChunks(disk, None) if disk is not None else None,
            memory=inflight_bytes // _PARTS,
        )
        self._parts = self._flights.parts
        self._promotion: Promotion | None = None
        if disk is not None:
            self._promotion = Promotion(self._keeper, disk, worker, clock, self._room)
        self._stopped = False

    @property
    def inflight(self) -> int:
        """
        Bytes in flight.
        """
        return self._room.used

    @property
    def parts_in_memory(self) -> int:
        """
        Bytes of chunks that are not whole and not in flight.
        """
        return self._parts.used

    def start(self) -> Deferred[None]:
        """
        Start the tiers. What an earlier run left is announced afterwards.
        """
        return self._keeper.start()

    def stop(self) -> Deferred[None]:
        """
        Stop what is arriving, keep what has arrived, and stop the tiers.
        """
        self._stopped = True
        return Deferred.fromCoroutine(self._stop())

    def open(self, chunk: Chunk, origin: IChunkOrigin) -> Deferred[IChunkReading]:
        """
        Open a chunk. One that has to be fetched is open at once; its first bytes wait
        until there is room for it.
        """
        return Deferred.fromCoroutine(self._open(chunk, origin))

    def open_at_once(
        self, chunk: Chunk, origin: IChunkOrigin
    ) -> tuple[IChunkHandle, str] | None:
        """
        Open a chunk that is in memory, or that the disk has and the kernel in memory.
        """
        if self._memory.contains(chunk.id):
            handle, tier = self._memory_at_once(chunk), "memory"
        elif self._flights.get(chunk.id) is None:
            handle, tier = self._disk_at_once(chunk.id), "disk"
        else:
            return None
        if handle is None:
            return None
        self._given(chunk, origin, tier)
        return handle, tier

    def open_local(self, chunk_id: ChunkId) -> Deferred[IChunkReading | None]:
        """
        Open a chunk that is held or arriving.
        """
        return Deferred.fromCoroutine(self._open_local(chunk_id))

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        Give a small chunk that is in memory.
        """
        return None if self._small is None else self._small.small(chunk_id, limit)

    def view(self, chunk_id: ChunkId, start: int, stop: int) -> Span | None:
        """
        Show a part of a chunk that is in memory.
        """
        if self._views is None:
            return None
        span = self._views.view(chunk_id, start, stop)
        if span is None:
            return None
        self.used(chunk_id)
        if self._paged is not None and stop - start >= VIEWED_BYTES:
            digest = self._memory.digest_of(chunk_id)
            return self._paged.view(chunk_id, digest, start, stop) or span
        return span

    def used(self, chunk_id: ChunkId) -> None:
        """
        Count that a chunk was used that had been shown before.
        """
        self.hits_memory += 1
        self._opened(chunk_id)

    def used_elsewhere(self, chunk_id: ChunkId, times: int) -> None:
        """
        Count uses of a chunk in memory that others have made of what they were given
        of it.
        """
        self.hits_memory += times
        if self._views is not None and self._views.view(chunk_id, 0, 0) is not None:
            for _ in range(times):
                self._opened(chunk_id)

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell which tier holds a chunk.
        """
        return self._keeper.where(chunk_id)

    def where_part(self, chunk: Chunk, part: Interval) -> str:
        """
        Tell where bytes are, whether their chunk is whole or not.
        """
        where = self._keeper.where(chunk.id)
        if not where and self._flights.get(chunk.id) is not None:
            return "arriving"
        return where or self._parts.where(chunk, within(chunk, part))

    def open_part(self, chunk: Chunk, part: Interval) -> Deferred[IChunkReading]:
        """
        Open bytes that are here, whether their chunk is whole or not.
        """
        return Deferred.fromCoroutine(self._open_part(chunk, within(chunk, part)))

    def receive(self, chunk: Chunk, part: Interval) -> IPartSink:
        """
        Keep bytes that the store sends now.
        """
        return self._parts.receive(chunk, within(chunk, part))

    def inspect(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk that a tier holds, which does not count as a use of it.
        """
        return Deferred.fromCoroutine(self._inspect(chunk_id))

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Take a chunk out of every tier, with what there is of it while it is not whole,
        and tell others.
        """
        return Deferred.fromCoroutine(self._drop(chunk_id))

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name every chunk held with its digest.
        """
        return self._keeper.holdings()

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        What the tiers are to call.
        """
        self._keeper.dropped(chunk_id)
        if self._promotion is not None and not self._memory.contains(chunk_id):
            self._promotion.dropped(chunk_id)

    def usage(self) -> dict[str, CacheUsage]:
        """
        Tell how full each tier is: ``memory``, and ``disk`` if there is one.
        """
        usage = {"memory": self._memory.usage()}
        if self._disk is not None:
            usage["disk"] = self._disk.usage()
        return usage

    async def _open(self, chunk: Chunk, origin: IChunkOrigin) -> IChunkReading:
        reading = await self._open_memory(chunk.id)
        if reading is None and self._flights.get(chunk.id) is None:
            reading = await self._open_disk(chunk.id)
        if reading is not None:
            self._given(chunk, origin, reading.source)
            return reading
        if self._stopped:
            raise ChunkUnavailable("the node is stopping")
        flight = self._flights.get(chunk.id)
        if flight is not None:
            self.joined += 1
            return flight.join(origin)
        self.flights += 1
        return self._flights.begin(chunk, origin)

    def _given(self, chunk: Chunk, origin: IChunkOrigin, tier: str) -> None:
        """
        Count that a tier has given a chunk to a client.
        """
        if tier == "memory":
            self.hits_memory += 1
        else:
            self.hits_disk += 1
        self._opened(chunk.id)
        origin.passed_over(chunk)

    async def _open_part(self, chunk: Chunk, wanted: Interval) -> IChunkReading:
        reading = await self._open_local(chunk.id)
        return reading or await self._parts.open(chunk, wanted)

    async def _drop(self, chunk_id: ChunkId) -> None:
        await self._parts.discard(chunk_id)
        await self._keeper.drop(chunk_id)

    async def _open_local(self, chunk_id: ChunkId) -> IChunkReading | None:
        reading = await self._open_memory(chunk_id)
        if reading is None and self._flights.get(chunk_id) is None:
            reading = await self._open_disk(chunk_id)
        if reading is not None:
            return reading
        flight = self._flights.get(chunk_id)
        return flight.join(None) if flight is not None else None

    async def _inspect(self, chunk_id: ChunkId) -> IChunkHandle | None:
        for tier in (self._memory, self._disk):
            if tier is not None and tier.contains(chunk_id):
                handle = await tier.open(chunk_id)
                if handle is not None:
                    return handle
        return None

    async def _open_memory(self, chunk_id: ChunkId) -> IChunkReading | None:
        if not self._memory.contains(chunk_id):
            return None
        handle = await self._memory.open(chunk_id)
        if handle is None:
            return None
        paged = self._in_its_file(chunk_id, handle.length)
        if paged is not None:
            handle.close()
        return HandleReading(paged or handle, "memory")

    def _memory_at_once(self, chunk: Chunk) -> IChunkHandle | None:
        if self._views is not None:
            paged = self._in_its_file(chunk.id, chunk.length)
            if paged is not None:
                # It counts as a use of what is in memory.
                self._views.view(chunk.id, 0, 0)
                return paged
        return self._at_once.open_at_once(chunk.id) if self._at_once else None

    def _in_its_file(self, chunk_id: ChunkId, length: int) -> IChunkHandle | None:
        """
        Open the file of a chunk in memory, if that pays.
        """
        if self._paged is None or length < PAGED_BYTES:
            return None
        return self._paged.open_at_once(chunk_id)

    def _disk_at_once(self, chunk_id: ChunkId) -> IChunkHandle | None:
        handle = self._paged.open_at_once(chunk_id) if self._paged else None
        if handle is not None and self._promotion is not None:
            self._promotion.used(chunk_id, handle.length)
        return handle

    async def _open_disk(self, chunk_id: ChunkId) -> IChunkReading | None:
        if self._disk is None:
            return None
        # Also one that is not known yet: it looks for it while it lists what it has.
        handle = await self._disk.open(chunk_id)
        if handle is None:
            return None
        if self._promotion is not None:
            self._promotion.used(chunk_id, handle.length)
        return HandleReading(handle, "disk")

    async def _stop(self) -> None:
        await self._flights.stop()
        if self._promotion is not None:
            await self._promotion.stop()
        await self._keeper.stop()

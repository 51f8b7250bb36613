"""
Chunks of which only parts are wanted: what ranges bring that cannot be asked for anew.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.cache.buffer import ChunkBuffer
from eliop2p.cache.part import Part, PartReading, PartSink
from eliop2p.cache.saver import Saver
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import IChunkReading, IPartialChunks, IPartSink, PartialChunk
from eliop2p.model.chunk import Chunk, ChunkId
from eliop2p.model.pieces import Contradiction
from eliop2p.model.ranges import Extents, Interval

_log = Logger()


class Parts:
    """
    The parts of chunks that are in memory, and on a disk if one keeps them.

    Memory is bounded: what nobody uses goes first, the one used longest ago before
    others; when that is not enough, what comes is not kept.

    Args:
        partials: The disk, if it keeps parts.
        clock: Says when it was waited long enough.
        limit: Bytes that may be in memory.
        whole: Called when a chunk has all its bytes.

    Attributes:
        used: Bytes in memory.
    """

    def __init__(
        self,
        partials: IPartialChunks | None,
        clock: IReactorTime,
        limit: int,
        whole: Callable[[Chunk], None],
    ) -> None:
        self.used = 0
        self._partials = partials
        self._clock = clock
        self._limit = limit
        self._whole = whole
        self._table: dict[ChunkId, Part] = {}
        self._tasks = Tasks()

    def where(self, chunk: Chunk, wanted: Interval) -> str:
        """
        Tell where bytes are, by their places in the chunk.
        """
        part = self._table.get(chunk.id)
        known = Extents()
        for extent in part.pieces.extents if part else ():
            known.add(extent.start, extent.stop)
        if known.covers(wanted.start, wanted.stop):
            return "memory"
        for extent in self._on_disk(chunk.id):
            known.add(extent.start, extent.stop)
        if known.covers(wanted.start, wanted.stop):
            return "disk"
        for sink in part.arriving if part else ():
            known.add(sink.position, sink.stop)
        return "arriving" if known.covers(wanted.start, wanted.stop) else ""

    async def open(self, chunk: Chunk, wanted: Interval) -> IChunkReading:
        """
        Read bytes that are there or arriving.

        Raises:
            ChunkUnavailable: They are not.
        """
        if not self.where(chunk, wanted):
            raise ChunkUnavailable("these bytes are not here")
        part = self._part(chunk)
        reading = PartReading(part, self._clock, self._closed)
        known = Extents()
        for extent in part.pieces.extents:
            known.add(extent.start, extent.stop)
        for sink in part.arriving:
            known.add(sink.position, sink.stop)
        if not known.covers(wanted.start, wanted.stop):
            try:
                await self._load(part)
            except BaseException:
                reading.close()
                raise
        return reading

    def receive(self, chunk: Chunk, wanted: Interval) -> IPartSink:
        """
        Keep bytes that are coming.
        """
        return PartSink(self._part(chunk), wanted, self._came, self._ended)

    async def fill(self, buffer: ChunkBuffer) -> bool:
        """
        Give what there is to a chunk that is going to be whole.

        Returns:
            Whether the disk has to be told of it anew.
        """
        chunk_id = buffer.chunk.id
        partial: PartialChunk | None = None
        if self._partials is not None:
            partial = await self._partials.load(chunk_id)
        part = self._table.get(chunk_id)
        pieces = partial.pieces if partial else ()
        if part is not None:
            pieces += tuple(part.pieces.within(Interval(0, buffer.chunk.length)))
        doubtful = partial.doubtful if partial else ()
        if pieces or doubtful:
            buffer.source = "peer" if doubtful else "origin"
        for offset, data in (*pieces, *doubtful):
            buffer.supply(offset, data)
        return not self._on_disk(chunk_id)

    async def discard(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk that is whole, or wrong; those who read go on with what is there.
        """
        part = self._table.pop(chunk_id, None)
        if part is not None:
            if part.saver is not None:
                part.saver.close()
            if part.idle:
                self.used -= part.pieces.size
        if self._partials is not None:
            await self._partials.discard(chunk_id)

    def stop(self) -> Deferred[None]:
        """
        Wait until everything is saved.
        """
        return self._tasks.idle()

    # --- what sinks and readings tell

    def _came(self, part: Part, offset: int, data: memoryview) -> bool:
        """
        Take bytes.

        Returns:
            Whether they are kept.
        """
        if self.used + len(data) > self._limit and not self._shrink(len(data)):
            return False
        try:
            self.used += part.pieces.add(offset, data)
        except Contradiction as error:
            _log.warn("Parts of a chunk contradict each other: {error}", error=error)
            self._tasks.run(self.discard(part.chunk.id))
            return False
        if part.saver is not None:
            part.saver.came(offset, offset + len(data), from_store=True)
        part.wake()
        if part.pieces.complete and self._table.get(part.chunk.id) is part:
            self._whole(part.chunk)
        return True

    def _ended(self, part: Part) -> None:
        """
        One brings no more.
        """
        part.wake()
        self._closed(part)
        if not part.arriving and part.saver is not None:
            self._tasks.run(_flush(part.saver))

    # --- inside

    def _closed(self, part: Part) -> None:
        if part.idle and self._table.get(part.chunk.id) is not part:
            self.used -= part.pieces.size

    def _part(self, chunk: Chunk) -> Part:
        part = self._table.pop(chunk.id, None) or Part(chunk, self._partials)
        self._table[chunk.id] = part  # Behind all others.
        return part

    def _on_disk(self, chunk_id: ChunkId) -> tuple[Interval, ...]:
        return self._partials.extents_of(chunk_id) if self._partials else ()

    def _shrink(self, needed: int) -> bool:
        for part in tuple(self._table.values()):
            if self.used + needed <= self._limit:
                break
            if part.idle:
                del self._table[part.chunk.id]
                self.used -= part.pieces.size
        return self.used + needed <= self._limit

    async def _load(self, part: Part) -> None:
        if part.loading is not None:
            waiter: Deferred[None] = Deferred()
            part.loading.append(waiter)
            await waiter
            return
        assert self._partials is not None
        part.loading = []
        try:
            partial = await self._partials.load(part.chunk.id)
            for offset, data in partial.pieces if partial else ():
                if self._shrink(len(data)):
                    self.used += part.pieces.add(offset, data)
                    part.from_disk = True
        except Contradiction as error:
            _log.warn("Parts of a chunk contradict each other: {error}", error=error)
        finally:
            waiting, part.loading = part.loading, None
            for waiter in waiting:
                waiter.callback(None)


async def _flush(saver: Saver) -> None:
    await saver.flush()

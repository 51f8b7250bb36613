"""
The memory that a chunk arrives in.
"""

from collections.abc import Callable

from blake3 import blake3
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable, CorruptChunk, WrongAnswer
from eliop2p.cache.memory_pages import allocate
from eliop2p.interfaces import IChunkSink, IWorker
from eliop2p.model.chunk import Chunk, Digest
from eliop2p.model.ranges import Extents, Interval
from eliop2p.model.trail import Arrival

_LAG = 64 * 1024
"""
Bytes of a chunk that come before they are worth a call to be hashed.
"""

_HASHED_AT_ONCE = 2 * 1024 * 1024
"""
The most bytes that are hashed where they are received: a third of a millisecond.
"""


def digest_of(data: memoryview) -> Digest:
    """
    Compute the digest of a chunk; without the interpreter's lock, so in a thread.
    """
    return Digest(blake3(data).digest())


@implementer(IChunkSink)
class ChunkBuffer:
    """
    A chunk of which more and more is there.

    Attributes:
        source: Where the bytes come from, as their writer says.
        arrival: Told of what is tried to fill it.

    Args:
        chunk: Which one.
        worker: Where it is hashed.
        grown: Called when there is more from the start without a gap.
        arrival: That of an earlier try, if there was one.
    """

    def __init__(
        self,
        chunk: Chunk,
        worker: IWorker,
        grown: Callable[[], None],
        arrival: Arrival | None = None,
    ) -> None:
        self.chunk = chunk
        self.filled = 0
        self.source = ""
        self.arrival = arrival or Arrival()
        self._worker = worker
        self._grown = grown
        self._memory = allocate(chunk.length)
        self._extents = Extents()
        self._open = True
        self._hasher = blake3()
        self._hashed = 0

    @property
    def view(self) -> memoryview:
        """
        The memory, to be read.
        """
        return self._memory.toreadonly()

    @property
    def missing(self) -> Interval:
        """
        The first run of bytes that is not there.
        """
        length = self.chunk.length
        gaps = self._extents.gaps(self.filled, length)
        return next(gaps, Interval(length, length))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """
        Put bytes in their place: see :class:`eliop2p.interfaces.IChunkSink`.

        Those below :attr:`filled` are never changed: somebody may be reading them, and
        the digest must be that of what was read.
        """
        if not self._open:
            raise ChunkUnavailable("the chunk is no longer wanted")
        stop = offset + len(data)
        if offset < 0 or stop > self.chunk.length:
            raise WrongAnswer(
                f"bytes {offset}-{stop} of a chunk of {self.chunk.length}"
            )
        start = max(offset, self.filled)
        if offset < start:
            self._compare(offset, memoryview(data)[: start - offset])
        if start >= stop:
            return
        self._memory[start:stop] = memoryview(data)[start - offset :]
        self._came(start, stop)

    def room(self, offset: int, limit: int) -> memoryview | None:
        """
        Give the place of bytes that come next: see
        :class:`eliop2p.interfaces.IChunkSink`.
        """
        stop = offset + limit
        if not self._open or offset < self.filled or stop > self.chunk.length:
            return None
        return self._memory[offset:stop]

    def wrote(self, offset: int, size: int) -> None:
        """
        Bytes are in their place: see :class:`eliop2p.interfaces.IChunkSink`.
        """
        if self._open:
            self._came(offset, offset + size)

    def _came(self, start: int, stop: int) -> None:
        self._extents.add(start, stop)
        filled = self._extents.reach(0)
        if filled > self.filled:
            self.filled = filled
            self._hash(_LAG)
            self._grown()

    def _hash(self, lag: int) -> None:
        """
        Catch up with what has come, while the processor still has it at hand.

        Args:
            lag: How many bytes are not worth a call.
        """
        behind = self.filled - self._hashed
        if lag < behind <= _HASHED_AT_ONCE:
            self._hasher.update(self._memory[self._hashed : self.filled])
            self._hashed = self.filled

    def supply(self, offset: int, data: memoryview) -> None:
        """
        Put bytes where there are none yet.
        """
        for gap in list(self._extents.gaps(offset, offset + len(data))):
            self.write(gap.start, data[gap.start - offset : gap.stop - offset])

    def _compare(self, offset: int, data: memoryview) -> None:
        # As bytes, because views are compared one element at a time.
        if bytes(self._memory[offset : offset + len(data)]) != bytes(data):
            raise CorruptChunk("bytes of a chunk contradict those that came before")

    def digest(self) -> Deferred[Digest]:
        """
        Compute the digest of what is there.
        """
        self._hash(0)
        if self._hashed == self.filled:
            return succeed(Digest(self._hasher.digest()))
        # Much of it came at once, from the disk say.
        return self._worker.run(digest_of, self._memory[: self.filled])

    def close(self) -> None:
        """
        Take no more bytes.
        """
        self._open = False

    def release(self) -> None:
        """
        Take no more bytes and let go of the memory: whoever brought them may refer to
        this for long.
        """
        self._open = False
        self._memory = memoryview(b"")

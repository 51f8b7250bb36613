"""
The memory that a chunk arrives in.
"""

import mmap
import sys
from collections.abc import Callable
from contextlib import suppress

from blake3 import blake3
from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable, CorruptChunk, WrongAnswer
from eliop2p.interfaces import IChunkSink, IWorker
from eliop2p.model.chunk import Chunk, Digest
from eliop2p.model.ranges import Extents, Interval
from eliop2p.model.trail import Arrival

_MAPPED = 256 * 1024
"""
From this length on memory is mapped: it goes back to the system when it is freed, but
there are only so many mappings.
"""

_HUGE = 2 * 1024 * 1024
"""
From this length on huge pages are asked for: the faults of small ones cost more than
all else that a received chunk goes through.
"""


def allocate(length: int) -> memoryview:
    """
    Give zeroed memory.

    Args:
        length: At least 1.
    """
    if length < _MAPPED:
        return memoryview(bytearray(length))
    if sys.platform != "linux":
        return memoryview(mmap.mmap(-1, length))
    memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if length >= _HUGE:
        with suppress(OSError):  # A kernel without them.
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


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
        self._extents.add(start, stop)
        filled = self._extents.reach(0)
        if filled > self.filled:
            self.filled = filled
            self._grown()

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
        return self._worker.run(digest_of, self._memory)

    def close(self) -> None:
        """
        Take no more bytes.
        """
        self._open = False

"""
Memory that a node shares with one of its worker processes.

Each field has one writer. The node writes which answers are still good, which is then
so at once, whatever the worker is doing; the worker writes what it has done, which the
node can read also when the worker has died.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence

import attrs

ANSWERS = 4096
"""
How many answers a worker may be lent at one time.
"""

CONNECTIONS = 4096
"""
How many connections.
"""

_HITS, _BYTES, _SECONDS, _NOTED, _BOUNDS = range(5)
_MAX_BOUNDS = 32
_FIRST_BOUND = 8
_SPREAD = _FIRST_BOUND + _MAX_BOUNDS
_GOOD = 128
_USED = _GOOD + ANSWERS
_BUSY = _USED + ANSWERS
_NOTES = _BUSY + CONNECTIONS

NOTES = 1024
_NOTE = struct.Struct("=Q16sdd")
_NOTE_WORDS = _NOTE.size // 8

SIZE = 8 * (_NOTES + NOTES * _NOTE_WORDS)
"""
Of the memory in bytes.
"""


@attrs.frozen
class Note:
    """
    A request that a worker has answered.

    Attributes:
        lease: With what.
        name: The request's id.
        started: When it had come, in seconds since the epoch.
        seconds: How long the answer took.
    """

    lease: int
    name: bytes
    started: float
    seconds: float


@attrs.frozen
class Totals:
    """
    What a worker has answered so far.

    Attributes:
        hits: Requests.
        sent: Bytes of their bodies.
        seconds: How long they took in all.
        spread: How many took how long, by the bounds.
    """

    hits: int
    sent: int
    seconds: float
    spread: tuple[int, ...]


class Board:
    """
    One process's view of the memory.

    Args:
        descriptor: Of the memory; may be closed afterwards.

    Attributes:
        good: The lease that is good in each place, 0 for none. Written by the node.
        used: How often what is in each place has been. Written by the worker.
        busy: What the worker does on the connection in each place: 0 for nothing, 1
            when it may have taken a request, and more when it answers one: 1 and the
            bytes given to the connection since it was lent, once that is done. Written
            by the worker.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SIZE)
        words = memoryview(self._memory).cast("Q")
        self._words = words
        self._doubles = memoryview(self._memory).cast("d")
        self.good = words[_GOOD : _GOOD + ANSWERS]
        self.used = words[_USED : _USED + ANSWERS]
        self.busy = words[_BUSY : _BUSY + CONNECTIONS]

    @property
    def bounds(self) -> tuple[float, ...]:
        """
        By what answers are sorted.
        """
        count = self._words[_BOUNDS]
        return tuple(self._doubles[_FIRST_BOUND : _FIRST_BOUND + count])

    def set_bounds(self, bounds: Sequence[float]) -> None:
        """
        Say by how many seconds answers are to be sorted. For the node, once.
        """
        self._words[_BOUNDS] = len(bounds)
        for place, bound in enumerate(bounds):
            self._doubles[_FIRST_BOUND + place] = bound

    def count(self, place: int, bucket: int, size: int) -> None:
        """
        Count an answer. For the worker.

        Args:
            place: Of the lease.
            bucket: Which of the bounds its time fell under.
            size: Bytes of the body.
        """
        words = self._words
        words[_HITS] += 1
        words[_BYTES] += size
        words[_SPREAD + bucket] += 1
        self.used[place] += 1

    def note(self, lease: int, name: bytes, started: float, seconds: float) -> None:
        """
        Note an answer; the arguments are those of :class:`Note`. For the worker.
        """
        words = self._words
        number = words[_NOTED]
        place = 8 * (_NOTES + number % NOTES * _NOTE_WORDS)
        _NOTE.pack_into(self._memory, place, lease, name, started, seconds)
        words[_NOTED] = number + 1
        self._doubles[_SECONDS] += seconds

    def totals(self) -> Totals:
        """
        Read what has been counted.
        """
        words = self._words
        spread = words[_SPREAD : _SPREAD + words[_BOUNDS] + 1]
        seconds = self._doubles[_SECONDS]
        return Totals(words[_HITS], words[_BYTES], seconds, tuple(spread))

    def notes(self, after: int) -> Iterator[Note]:
        """
        Read the answers after a number of them, or those that are still there.

        Args:
            after: How many have been read.
        """
        noted = self._words[_NOTED]
        # What the worker writes at this moment is half a round away.
        for number in range(max(after, noted - NOTES // 2), noted):
            place = 8 * (_NOTES + number % NOTES * _NOTE_WORDS)
            yield Note(*_NOTE.unpack_from(self._memory, place))

    def noted(self) -> int:
        """
        Tell how many answers have been noted.
        """
        return self._words[_NOTED]


def make_board() -> tuple[Board, int]:
    """
    Make the memory.

    Returns:
        The node's view of it, and a descriptor for the worker.
    """
    descriptor = os.memfd_create("eliop2p-worker", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, SIZE)
    return Board(descriptor), descriptor

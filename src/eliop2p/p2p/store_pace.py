"""
How long the store takes to begin an answer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from twisted.internet.interfaces import IReactorTime

MOST_SECONDS = 30.0
"""
The longest that an answer is taken to need, in seconds.
"""

_SMOOTHING = 0.3


class StorePace:
    """
    How long this node's own reads of the store wait for their first bytes.

    A peer that reads a chunk from a store that is slow for everybody has nothing to
    pass on for as long. Whoever took it for stalled would read the store once more, and
    make it slower still.

    Args:
        clock: The time.
        came: Told of all that comes, in bytes.
    """

    def __init__(self, clock: IReactorTime, came: Callable[[int], None]) -> None:
        self._clock = clock
        self._tell = came
        self._usual = 0.0
        self._waiting: dict[object, float] = {}

    @contextmanager
    def reading(self) -> Iterator[Callable[[int], None]]:
        """
        Time a read of the store, and give what is to be told of its bytes.
        """
        read = object()
        self._waiting[read] = self._clock.seconds()
        try:
            yield partial(self._came, read)
        finally:
            self._waiting.pop(read, None)

    @property
    def seconds(self) -> float:
        """
        How long the first byte of an answer takes: as it did of late, or longer where a
        read has waited for longer already, :data:`MOST_SECONDS` at most; 0 before the
        first read.
        """
        oldest = min(self._waiting.values(), default=self._clock.seconds())
        waited = self._clock.seconds() - oldest
        return min(max(self._usual, waited), MOST_SECONDS)

    def _came(self, read: object, size: int) -> None:
        self._tell(size)
        begun = self._waiting.pop(read, None)
        if begun is None:
            return
        seconds = self._clock.seconds() - begun
        if not self._usual:
            self._usual = seconds
        self._usual += _SMOOTHING * (seconds - self._usual)

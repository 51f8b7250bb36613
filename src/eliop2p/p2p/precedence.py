"""
What comes first on a slow link: that for which others wait.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

MOST_DEFERRED = 10.0
"""
For how many seconds, at most, a chunk is not asked for while others come first.
"""


class Precedence:
    """
    Lets chunks from peers make way for those that a slow node reads from the store.

    The whole crowd waits for the one that has the lease on a chunk. While a slow node
    has any, it asks for nothing else.

    Args:
        clock: The time.
        is_slow: Tells whether this node is slow.
    """

    def __init__(self, clock: IReactorTime, is_slow: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_slow = is_slow
        self._reads = 0
        self._yielding: dict[Callable[[], None], None] = {}
        self._waiting: list[Deferred[None]] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """
        A chunk is being read from the store.
        """
        self._reads += 1
        self.changed()
        try:
            yield
        finally:
            self._reads -= 1
            self.changed()

    @contextmanager
    def yielding(self, give_way: Callable[[], None]) -> Iterator[None]:
        """
        A chunk comes from a peer, and can be given up.
        """
        self._yielding[give_way] = None
        try:
            yield
        finally:
            del self._yielding[give_way]

    def clear(self) -> "Deferred[None]":
        """
        Wait until nothing comes first, or for long enough.
        """
        if not self._reads or not self._is_slow():
            return succeed(None)
        clear: Deferred[None] = Deferred(self._waiting.remove)
        clear.addTimeout(MOST_DEFERRED, self._clock, lambda *_: None)
        self._waiting.append(clear)
        return clear

    def changed(self) -> None:
        """
        The node reads more or less, or has become slow, or is no longer.
        """
        if self._reads and self._is_slow():
            for give_way in tuple(self._yielding):
                give_way()
        else:
            waiting, self._waiting = self._waiting, []
            for clear in waiting:
                clear.callback(None)

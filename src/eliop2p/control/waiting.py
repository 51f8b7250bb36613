"""
Requests that wait for something to happen.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SETTLE = 0.2
"""
Seconds from a change until those who wait hear of it, along with what follows it: a
thousand nodes that start together are told of each other a few times, not a thousand.
"""


class Waiters:
    """
    Those who wait for the next change, each for a bounded time.

    Args:
        clock: Measures the time.
        limit: How many may wait; further ones are told at once that nothing happened.
    """

    def __init__(self, clock: IReactorTime, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._waiting: dict[Deferred[None], IDelayedCall] = {}
        self._due: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, seconds: float) -> Deferred[None]:
        """
        Wait for a change. Cancelling it is to stop waiting.

        Args:
            seconds: How long at most.

        Returns:
            Fires with None in either case.
        """
        waiting = Deferred[None](self._cancelled)
        if seconds <= 0 or len(self._waiting) >= self._limit:
            waiting.callback(None)
        else:
            timer = self._clock.callLater(seconds, self._end, waiting)
            self._waiting[waiting] = timer
        return waiting

    def wake(self) -> None:
        """
        Something has changed: tell those who wait, :data:`SETTLE` from now.
        """
        if self._waiting and self._due is None:
            self._due = self._clock.callLater(SETTLE, self._tell)

    def close(self) -> None:
        """
        Let nobody wait any more.
        """
        if self._due is not None:
            self._due.cancel()
        self._tell()

    def _tell(self) -> None:
        self._due = None
        for waiting in list(self._waiting):
            self._end(waiting)

    def _end(self, waiting: Deferred[None]) -> None:
        if self._forget(waiting):
            waiting.callback(None)

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self._forget(waiting)

    def _forget(self, waiting: Deferred[None]) -> bool:
        timer = self._waiting.pop(waiting, None)
        if timer is None:
            return False
        if timer.active():
            timer.cancel()
        return True

"""
Work that outlives the interest in its result.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

_T = TypeVar("_T")


def _ignore(result: object) -> None:
    """
    Most results need no care when nobody wants them.
    """


class Tasks:
    """
    Runs coroutines to their end, even when the caller cancels.

    A thread cannot be cancelled: what waits for one must see it through, or its
    accounts would be wrong.
    """

    def __init__(self) -> None:
        self._running = 0
        self._idle: list[Deferred[None]] = []

    def run(
        self,
        coroutine: Coroutine[Deferred[Any], Any, _T],
        unwanted: Callable[[_T], None] = _ignore,
    ) -> Deferred[_T]:
        """
        Start a coroutine.

        Args:
            coroutine: What to run.
            unwanted: Takes the result when the caller has cancelled meanwhile.

        Returns:
            Its result. Cancelling ends the waiting, not the coroutine.
        """
        outer: Deferred[_T] = Deferred()

        def deliver(result: _T) -> None:
            if outer.called:
                unwanted(result)
            else:
                outer.callback(result)

        self._running += 1
        inner = Deferred.fromCoroutine(coroutine)
        inner.addBoth(self._ended)
        inner.addCallbacks(deliver, outer.errback)
        return outer

    @property
    def running(self) -> bool:
        """
        Whether anything runs.
        """
        return self._running > 0

    def idle(self) -> Deferred[None]:
        """
        Wait until nothing runs.
        """
        if not self._running:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._idle.append(waiter)
        return waiter

    def _ended(self, result: _T) -> _T:
        self._running -= 1
        if not self._running:
            waiters, self._idle = self._idle, []
            for waiter in waiters:
                waiter.callback(None)
        return result

"""
Notices that nothing moves any more.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class StallTimer:
    """
    Calls back when it has been running for some time without a touch.

    A touch only notes the time, so that it may come with every read.

    Args:
        clock: Time.
        seconds: How long is too long.
        stalled: What to call, once; the timer has stopped then.
    """

    def __init__(
        self, clock: IReactorTime, seconds: float, stalled: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._stalled = stalled
        self._running = False
        self._last = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """
        Run from now on; nothing has stalled so far.
        """
        self._running = True
        self._last = self._clock.seconds()
        if self._call is None:
            self._call = self._clock.callLater(self._seconds, self._check)

    def touch(self) -> None:
        """
        Something has moved.
        """
        self._last = self._clock.seconds()

    def stop(self) -> None:
        """
        Run no longer, until started again.
        """
        self._running = False

    def cancel(self) -> None:
        """
        Run never again.
        """
        self._running = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _check(self) -> None:
        self._call = None
        if not self._running:
            return
        left = self._last + self._seconds - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._check)
        else:
            self._running = False
            self._stalled()

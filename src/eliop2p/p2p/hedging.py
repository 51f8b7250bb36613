"""
Asks a second holder for the rest of a chunk when the first takes unusually long.
"""

import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from eliop2p.wire.events import Done

SHARE = 0.1
"""
The part of the bytes received from peers that may be asked for twice.
"""

MOST_SAVED = 64 * 1024 * 1024
"""
Bytes that may be asked for twice at once, after a long time in which none were.
"""

KNOWN = 128
LEAST_KNOWN = 16
"""
From how many chunks of late it is known what is usual, at most and at least.
"""

QUANTILE = 0.95
SPREAD = 2.0
"""
A chunk takes unusually long when it takes longer than this part of the others, and this
many times longer than half of them: where all take about the same, there is no tail.
"""

LEAST_DELAY = 0.02
LOOK_AGAIN = 0.1
"""
Seconds until the first look at a chunk at least, and from one look to the next while it
is not known what is usual, or after a second request that brought nothing.
"""

Getting = Coroutine[Any, Any, Done | None]


class Hedges:
    """
    What is usual, and what second requests may cost.

    Attributes:
        won: How many second requests brought the chunk first.
        lost: How many came too late.
        failed: How many brought nothing, as their peers were busy or failed.
        denied: How many were not made, as too many had been.
        asked: Bytes that were asked for twice.
    """

    def __init__(self) -> None:
        self.won = self.lost = self.failed = self.denied = 0
        self.asked = 0
        self._allowed = 0.0
        self._seconds: deque[float] = deque(maxlen=KNOWN)

    def received(self, size: int) -> None:
        """
        Bytes have come from a peer.
        """
        self._allowed = min(self._allowed + SHARE * size, MOST_SAVED)

    def took(self, seconds: float) -> None:
        """
        A chunk has come whole from a peer that was asked for it.
        """
        self._seconds.append(seconds)

    @property
    def delay(self) -> float | None:
        """
        After how many seconds a chunk takes unusually long; None while that is unknown.
        """
        if len(self._seconds) < LEAST_KNOWN:
            return None
        known = sorted(self._seconds)
        late = known[math.ceil(QUANTILE * len(known)) - 1]
        return max(late, SPREAD * known[len(known) // 2], LEAST_DELAY)

    def spend(self, size: int) -> bool:
        """
        Ask for bytes twice, if that may be.
        """
        if size > self._allowed:
            self.denied += 1
            return False
        self._allowed -= size
        self.asked += size
        return True


class Race:
    """
    One request for a chunk, and perhaps a second one.

    Whichever delivers first wins, and the other is given up; one that fails leaves the
    field to the other.

    Args:
        hedges: What is usual.
        clock: The time.
        first: The request.
        second: Makes the second request; gives None when there is nobody to ask, or
            the budget is spent.
    """

    def __init__(
        self,
        hedges: Hedges,
        clock: IReactorTime,
        first: Getting,
        second: Callable[[], Getting | None],
    ) -> None:
        self._hedges = hedges
        self._clock = clock
        self._make_second = second
        self._begun = clock.seconds()
        self._call: IDelayedCall | None = None
        self._second: Deferred[Done | None] | None = None
        self._over = False
        self._result: Deferred[Done | None] = Deferred(self._cancelled)
        self._look()
        self._first: Deferred[Done | None] = Deferred.fromCoroutine(first)
        self._first.addCallbacks(self._first_ended, self._failed)

    @property
    def result(self) -> Deferred[Done | None]:
        """
        Fires with what the winner gave; None when nobody gave anything.
        """
        return self._result

    def _look(self) -> None:
        self._call = None
        delay = self._hedges.delay
        waited = self._clock.seconds() - self._begun
        if delay is None:
            self._call = self._clock.callLater(LOOK_AGAIN, self._look)
        elif waited < delay:
            self._call = self._clock.callLater(delay - waited, self._look)
        else:
            getting = self._make_second()
            if getting is not None:
                self._second = Deferred.fromCoroutine(getting)
                self._second.addCallbacks(self._second_ended, self._failed)

    def _first_ended(self, done: Done | None) -> None:
        if self._over:
            return
        if done is None and self._second is not None and not self._second.called:
            return
        if self._second is not None and done is not None:
            self._hedges.lost += not self._second.called
        self._end(done)

    def _second_ended(self, done: Done | None) -> None:
        if self._over:
            return
        if done is None:
            self._hedges.failed += 1
            if self._first.called:
                self._end(None)
            else:
                self._second = None
                self._call = self._clock.callLater(LOOK_AGAIN, self._look)
            return
        self._hedges.won += 1
        self._end(done)

    def _failed(self, failure: Failure) -> None:
        """
        A request ended as none should; or was given up, when that is expected.
        """
        if self._over:
            failure.trap(CancelledError)
        else:
            self._stop()
            self._result.errback(failure)

    def _end(self, done: Done | None) -> None:
        self._stop()
        self._result.callback(done)

    def _stop(self) -> None:
        self._over = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        for getting in (self._first, self._second):
            if getting is not None and not getting.called:
                getting.cancel()

    def _cancelled(self, _: "Deferred[Done | None]") -> None:
        self._stop()

"""
A rate that several parties share, each getting as much as the others.
"""

import math
from collections import deque
from collections.abc import Hashable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.base.token_bucket import TokenBucket

BURST_SECONDS = 0.05
"""
What may pass at once, in seconds of the rate: short enough to be smooth, longer than
timers are late.
"""

TURN_SECONDS = 0.02
LEAST_TURN = 4096
MOST_TURN = 256 * 1024
"""
How much one party should ask for at a time: seconds of the rate, within these bytes.
"""


_REMEMBERED = 256
"""
How many parties that do not wait are remembered before those that are owed nothing,
and owe nothing, are forgotten.
"""


class Throttle:
    """
    Lets bytes pass at a rate, in fair turns.

    The party that has had the least among those that wait comes next (start-time fair
    queueing, Goyal et al. 1996), whatever the number and size of its requests; a party
    that was away is not owed anything.

    Args:
        rate: Bytes per second; infinite for no limit.
        clock: The time.
        least: The shortest turn, which may always pass at once: bytes by default.

    Attributes:
        passed: Bytes that were let pass.
        waited: When somebody last had to wait, in seconds of the clock.
        held_seconds: For how many seconds somebody waited, as of the last turn.
    """

    def __init__(
        self, rate: float, clock: IReactorTime, least: int = LEAST_TURN
    ) -> None:
        self.passed = 0.0
        self.waited = -math.inf
        self.held_seconds = 0.0
        self._clock = clock
        self._least = least
        self._bucket = TokenBucket(rate, self._burst(rate), clock.seconds())
        self._waiting: dict[Hashable, deque[tuple[float, Deferred[None]]]] = {}
        # The virtual time, and for each party that at which its next turn begins.
        self._virtual = 0.0
        self._starts: dict[Hashable, float] = {}
        self._timer: IDelayedCall | None = None

    @property
    def limited(self) -> bool:
        """
        Whether there is a limit at all.
        """
        return not math.isinf(self._bucket.rate)

    @property
    def turn(self) -> int:
        """
        How many bytes one party should ask for at a time.
        """
        if not self.limited:
            return MOST_TURN
        size = int(self._bucket.rate * TURN_SECONDS)
        return max(self._least, min(size, MOST_TURN))

    @property
    def waiting(self) -> int:
        """
        How many parties wait.
        """
        return len(self._waiting)

    def change(self, rate: float) -> None:
        """
        Go on at another rate.
        """
        if rate != self._bucket.rate:
            self._bucket.change(rate, self._burst(rate), self._clock.seconds())
            self._stop_timer()
            self._serve()

    def take(self, party: Hashable, size: float) -> Deferred[None]:
        """
        Wait for one's turn; may be cancelled.

        Args:
            party: Who asks; equal ones share one share.
            size: Bytes.
        """
        now = self._clock.seconds()
        if not self._waiting and not self._bucket.wait(size, now):
            self._pass(party, size, now)
            return succeed(None)
        self._note_waiting(now)
        turn: Deferred[None] = Deferred(lambda turn: self._give_up(party, turn))
        self._waiting.setdefault(party, deque()).append((size, turn))
        if self._timer is None:
            self._serve()
        return turn

    def ready(self, size: float) -> bool:
        """
        Tell whether what must not wait would pass at once.
        """
        waits = self._waiting or self._bucket.wait(size, self._clock.seconds())
        return not waits

    def charge(self, party: Hashable, size: float) -> None:
        """
        Let pass what must not wait, at the expense of those that do; or give back, as
        less than nothing, what was not needed.
        """
        self._pass(party, size, self._clock.seconds())

    def _note_waiting(self, now: float) -> None:
        if self._waiting:
            self.held_seconds += now - self.waited
        self.waited = now

    def _pass(self, party: Hashable, size: float, now: float) -> None:
        self.passed += size
        if not self.limited:
            return
        self._bucket.take(size, now)
        self._virtual = self._start(party)
        self._starts[party] = self._virtual + size
        if len(self._starts) > _REMEMBERED + len(self._waiting):
            self._forget()

    def _forget(self) -> None:
        self._starts = {
            name: start
            for name, start in self._starts.items()
            if self._waiting and start > self._virtual
        }

    def _start(self, party: Hashable) -> float:
        return max(self._virtual, self._starts.get(party, 0.0))

    def _give_up(self, party: Hashable, turn: Deferred[None]) -> None:
        left = deque(one for one in self._waiting[party] if one[1] is not turn)
        if left:
            self._waiting[party] = left
        else:
            del self._waiting[party]
        # The next one may be due sooner than this one was.
        self._stop_timer()
        self._serve()

    def _serve(self) -> None:
        """
        Let pass whoever may, and come back when the next one may.
        """
        self._timer = None
        now = self._clock.seconds()
        ready: list[Deferred[None]] = []
        self._note_waiting(now)
        while self._waiting:
            party = min(self._waiting, key=self._start)
            size, turn = self._waiting[party][0]
            seconds = self._bucket.wait(size, now)
            if seconds:
                self._timer = self._clock.callLater(seconds, self._serve)
                break
            self._pass(party, size, now)
            self._waiting[party].popleft()
            if not self._waiting[party]:
                del self._waiting[party]
            ready.append(turn)
        for turn in ready:
            if not turn.called:  # Another one's turn may have ended this one.
                turn.callback(None)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _burst(self, rate: float) -> float:
        if math.isinf(rate):
            return MOST_TURN
        return max(rate * BURST_SECONDS, self._least)

"""
How time passes in a simulation.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.python.failure import Failure

_T = TypeVar("_T")

AT_ONE_INSTANT = 1_000_000
"""
Events that may happen without time passing before it is called a live-lock.
"""

STEPS = 10_000_000
"""
Calls that a simulation may make unless it is told otherwise.
"""

Event = Callable[[], None]


class LiveLock(Exception):
    """
    A simulation goes on and on without getting anywhere.
    """


class SimClock(Clock):
    """
    A ``twisted.internet.task.Clock`` for thousands of scheduled calls: that one
    sorts all of them for each new one, this one keeps a heap. What is scheduled is told
    by getDelayedCalls, not by the attribute calls.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._order = itertools.count()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002  # Twisted's name.
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        """
        See ``twisted.internet.interfaces.IReactorTime.callLater``.
        """
        time = self.seconds() + delay
        if delay > 0:
            # A reactor's clock has moved on when such a call is made, however little
            # the delay was; a sum that is rounded down must not make it stand still.
            time = max(time, math.nextafter(self.seconds(), math.inf))
        call = DelayedCall(
            time, callable, args, kw, lambda _: None, self._schedule, self.seconds
        )
        self._schedule(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:  # noqa: N802
        """
        See ``twisted.internet.interfaces.IReactorTime.getDelayedCalls``.
        """
        active = {call: None for _, _, call in sorted(self._heap) if call.active()}
        return list(active)

    def advance(self, amount: float) -> None:
        """
        Let time pass. Each call sees the time that it was scheduled for.
        """
        let_pass(self, amount)

    def step(self, deadline: float) -> bool:
        """
        Make the next scheduled call.

        Returns:
            False when none is due before the deadline.
        """
        while self._heap and self._heap[0][0] <= deadline:
            time, _, call = heapq.heappop(self._heap)
            if not call.active():
                continue
            if call.getTime() > time:
                self._schedule(call)
                continue
            self.rightNow = max(self.rightNow, time)
            _make(call)
            return True
        return False

    def _schedule(self, call: DelayedCall) -> None:
        heapq.heappush(self._heap, (call.getTime(), next(self._order), call))


class Agenda:
    """
    Events in the order of their times, and of their making where the times are equal.

    Only the next one is on the clock, because a ``twisted.internet.task.Clock``
    sorts all of its calls whenever it is given one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[tuple[float, int, Event]] = []
        self._order = itertools.count()
        self._call: IDelayedCall | None = None
        self._running = False
        self._instant = -math.inf
        self._at_this_instant = 0

    @property
    def now(self) -> float:
        """
        The time, in seconds.
        """
        return self._clock.seconds()

    def at(self, time: float, event: Event) -> None:
        """
        Let something happen at a time, and not before the caller has returned.
        """
        entry = (time, next(self._order), event)
        heapq.heappush(self._events, entry)
        if self._events[0] is entry and not self._running:
            self._wait()

    def soon(self, event: Event) -> None:
        """
        Let something happen as soon as the caller has returned.
        """
        self.at(self.now, event)

    def _wait(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._events:
            delay = max(0.0, self._events[0][0] - self.now)
            self._call = self._clock.callLater(delay, self._run)

    def _run(self) -> None:
        self._running = True
        try:
            while self._events and self._events[0][0] <= self.now:
                self._count()
                heapq.heappop(self._events)[2]()
        finally:
            self._running = False
            self._wait()

    def _count(self) -> None:
        if self.now > self._instant:
            self._instant, self._at_this_instant = self.now, 0
        self._at_this_instant += 1
        if self._at_this_instant > AT_ONE_INSTANT:
            raise LiveLock(f"{AT_ONE_INSTANT} events at {self.now} s")


def advance_until(
    clock: Clock, deferred: Deferred[_T], limit: float, steps: int = STEPS
) -> _T:
    """
    Let time pass, from one scheduled call to the next, until a Deferred fires.

    Args:
        clock: What the calls are scheduled on.
        deferred: What to wait for.
        limit: Seconds of the clock's time that may pass.
        steps: Calls that may be made.

    Returns:
        The Deferred's result; its failure is raised.

    Raises:
        LiveLock: It took too many steps, too much time, or nothing is scheduled that
            could make it fire.
    """
    results: list[_T | Failure] = []
    deferred.addBoth(results.append)
    deadline = clock.seconds() + limit
    while not results:
        if not steps or not _step(clock, deadline):
            raise LiveLock(f"no result at {clock.seconds()} s, {steps} steps left")
        steps -= 1
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result


def let_pass(clock: Clock, seconds: float, steps: int = STEPS) -> None:
    """
    Let time pass, from one scheduled call to the next. Calls see the time that they
    were scheduled for, where Clock.advance shows them the end of the advance.

    Args:
        clock: What the calls are scheduled on.
        seconds: How much time passes.
        steps: Calls that may be made.

    Raises:
        LiveLock: It took too many steps.
    """
    deadline = clock.seconds() + seconds
    while _step(clock, deadline):
        if not steps:
            raise LiveLock(f"too many steps, at {clock.seconds()} s")
        steps -= 1
    clock.rightNow = deadline


def _step(clock: Clock, deadline: float) -> bool:
    """
    Make the next scheduled call, and only that one, which Clock.advance cannot.

    Returns:
        False when none is due before the deadline.
    """
    if isinstance(clock, SimClock):
        return clock.step(deadline)
    call = min(clock.calls, key=DelayedCall.getTime, default=None)
    if call is None or call.getTime() > deadline:
        return False
    clock.calls.remove(call)
    clock.rightNow = max(clock.rightNow, call.getTime())
    _make(call)
    return True


def _make(call: DelayedCall) -> None:
    call.called = 1
    call.func(*call.args, **call.kw)

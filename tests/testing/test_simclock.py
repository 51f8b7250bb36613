"""
Tests for :mod:`eliop2p.testing.simclock`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.testing.simclock import (
    Agenda,
    LiveLock,
    SimClock,
    advance_until,
    let_pass,
)

operations = st.lists(
    st.tuples(
        st.sampled_from(["call", "cancel", "move", "delay", "pass"]),
        st.integers(0, 10),
        st.integers(0, 20),
    ),
    max_size=40,
)


def history(clock: Clock, steps: list[tuple[str, int, int]]) -> list[object]:
    """
    Carry out operations on a clock and tell which calls were made, and when.
    """
    made: list[object] = []
    calls: list[IDelayedCall] = []
    now = clock.seconds
    for number, (operation, which, amount) in enumerate(steps):
        known = calls[which % len(calls)] if calls else None
        if operation == "call":
            calls.append(
                clock.callLater(amount, lambda n=number: made.append((n, now())))
            )
        elif operation == "pass":
            let_pass(clock, amount)
        elif known is not None and known.active():
            if operation == "cancel":
                known.cancel()
            elif operation == "move":
                known.reset(amount)
            else:
                known.delay(amount)
    made.append(sorted(call.getTime() for call in clock.getDelayedCalls()))
    return made


class SimClockTests(SynchronousTestCase):
    """
    Tests for :class:`.SimClock`.
    """

    def test_interface(self) -> None:
        """
        It provides a reactor's time.
        """
        verifyObject(IReactorTime, SimClock())

    @given(operations)
    def test_twin(self, steps: list[tuple[str, int, int]]) -> None:
        """
        Whatever is scheduled, moved and cancelled, the calls made, and those left, are
        those of Twisted's own clock.
        """
        ours, theirs = history(SimClock(), steps), history(Clock(), steps)
        self.assertEqual(sorted(map(repr, ours)), sorted(map(repr, theirs)))

    def test_advance(self) -> None:
        """
        Advancing shows each call the time that it was scheduled for.
        """
        clock = SimClock()
        seen: list[float] = []
        for delay in (3.0, 1.0):
            clock.callLater(delay, lambda: seen.append(clock.seconds()))
        clock.advance(5.0)
        self.assertEqual(seen, [1.0, 3.0])
        self.assertEqual(clock.seconds(), 5.0)


class AdvanceUntilTests(SynchronousTestCase):
    """
    Tests for :func:`.advance_until`, on both clocks.
    """

    def test_result(self) -> None:
        """
        Time passes just until the Deferred fires, and its result or failure is given.
        """
        for clock in (Clock(), SimClock()):
            good, bad = Deferred[int](), Deferred[int]()
            clock.callLater(1.5, good.callback, 7)
            clock.callLater(2.5, bad.errback, ValueError("no"))
            self.assertEqual(advance_until(clock, good, 10.0), 7)
            self.assertEqual(clock.seconds(), 1.5)
            with self.assertRaises(ValueError):
                advance_until(clock, bad, 10.0)

    def test_order(self) -> None:
        """
        Calls are made in the order of their times, also when one was moved.
        """
        for clock in (Clock(), SimClock()):
            made: list[str] = []
            moved = clock.callLater(1.0, made.append, "moved")
            clock.callLater(2.0, made.append, "second")
            done = Deferred[None]()
            clock.callLater(4.0, done.callback, None)
            moved.reset(3.0)
            advance_until(clock, done, 10.0)
            self.assertEqual(made, ["second", "moved"])

    def test_limits(self) -> None:
        """
        It gives up when the time is over, when nothing is left to happen, and after
        too many steps, even when time stands still.
        """
        for clock in (Clock(), SimClock()):
            with self.assertRaises(LiveLock):
                advance_until(clock, Deferred[None](), 1.0)
            clock.callLater(2.0, lambda: None)
            with self.assertRaises(LiveLock):
                advance_until(clock, Deferred[None](), 1.0)
            self._repeat(clock)
            with self.assertRaises(LiveLock):
                advance_until(clock, Deferred[None](), 1.0, steps=100)
            with self.assertRaises(LiveLock):
                let_pass(clock, 1.0, steps=100)

    def _repeat(self, clock: Clock) -> None:
        clock.callLater(0, self._repeat, clock)


class AgendaTests(SynchronousTestCase):
    """
    Tests for :class:`.Agenda`.
    """

    def test_order(self) -> None:
        """
        Events happen in the order of their times, and as they were made where the
        times are equal; none happens before its maker has returned.
        """
        clock = Clock()
        agenda = Agenda(clock)
        made: list[object] = []
        agenda.at(2.0, lambda: made.append("third"))
        agenda.at(1.0, lambda: made.append("first"))
        agenda.at(1.0, lambda: agenda.soon(lambda: made.append("second")))
        agenda.soon(lambda: made.append("zeroth"))
        self.assertEqual(made, [])
        let_pass(clock, 3.0)
        self.assertEqual(made, ["zeroth", "first", "second", "third"])

    def test_failing_event(self) -> None:
        """
        An event that raises does not keep those after it from happening.
        """
        clock = Clock()
        agenda = Agenda(clock)
        made: list[str] = []
        agenda.at(1.0, lambda: made.append(made[7]))
        agenda.at(1.0, lambda: made.append("after"))
        with self.assertRaises(IndexError):
            clock.advance(1.0)
        clock.advance(0)
        self.assertEqual(made, ["after"])

    def test_live_lock(self) -> None:
        """
        Events that follow each other while time stands still are ended.
        """
        clock = Clock()
        agenda = Agenda(clock)
        self._repeat(agenda)
        with self.assertRaises(LiveLock):
            clock.advance(1.0)

    def _repeat(self, agenda: Agenda) -> None:
        agenda.soon(lambda: self._repeat(agenda))

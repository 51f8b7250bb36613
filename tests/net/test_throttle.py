"""
Tests for :mod:`eliop2p.net.throttle`.
"""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.net.throttle import BURST_SECONDS, LEAST_TURN, MOST_TURN, Throttle

RATE = 1_000_000.0
BURST = RATE * BURST_SECONDS


class ThrottleTests(SynchronousTestCase):
    """
    Tests for :class:`.Throttle`.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.clock = Clock()
        self.throttle = Throttle(RATE, self.clock)
        self.given: Counter[str] = Counter()
        self.times: list[tuple[float, float]] = []

    def keep_asking(self, party: str, size: int, side_by_side: int = 1) -> None:
        """
        Let a party ask again whenever it has got something.
        """

        def got(_: None) -> None:
            self.given[party] += size
            self.times.append((self.clock.seconds(), size))
            ask()

        def ask() -> None:
            turn = self.throttle.take(party, size)
            if turn.called:
                self.clock.callLater(0, turn.addCallback, got)
            else:
                turn.addCallback(got)

        for _ in range(side_by_side):
            ask()

    def let_pass(self, seconds: float, step: float = 0.001) -> None:
        """
        Let time pass in small steps.
        """
        self.clock.pump([step] * round(seconds / step))

    def test_no_limit(self) -> None:
        """
        Without a limit nothing waits, and turns are long.
        """
        throttle = Throttle(math.inf, self.clock)
        self.assertFalse(throttle.limited)
        self.assertEqual(throttle.turn, MOST_TURN)
        for _ in range(100):
            self.successResultOf(throttle.take("a", 1e9))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """
        Turns are as long as the rate is high, within bounds.
        """
        self.assertEqual(self.throttle.turn, 20_000)
        self.assertEqual(Throttle(1000.0, self.clock).turn, LEAST_TURN)
        self.assertEqual(Throttle(1e12, self.clock).turn, MOST_TURN)

    def test_rate(self) -> None:
        """
        Who asks without end gets the rate, neither more nor noticeably less.
        """
        self.keep_asking("a", 20_000)
        self.let_pass(2.0)
        self.assertLessEqual(self.throttle.passed, 2 * RATE + BURST)
        self.assertGreaterEqual(self.throttle.passed, 0.98 * 2 * RATE)
        self.assertGreater(self.throttle.held_seconds, 1.8)

    def test_fair(self) -> None:
        """
        One that asks for much, side by side, gets no more than one that asks for
        little.
        """
        self.keep_asking("greedy", 20_000, side_by_side=16)
        self.keep_asking("modest", 5_000)
        self.let_pass(2.0)
        ratio = self.given["modest"] / self.given["greedy"]
        self.assertLess(abs(ratio - 1.0), 0.05)

    def test_newcomer(self) -> None:
        """
        One that comes later gets its share from then on, and nothing for before.
        """
        self.keep_asking("old", 20_000, side_by_side=4)
        self.let_pass(2.0)
        before = self.given["old"]
        self.keep_asking("new", 20_000, side_by_side=4)
        self.let_pass(1.0)
        self.assertLessEqual(
            abs(self.given["new"] - (self.given["old"] - before)), 40_000
        )

    def test_cancelled(self) -> None:
        """
        A turn that is given up costs nobody anything.
        """
        self.successResultOf(self.throttle.take("a", BURST))
        given_up = self.throttle.take("a", 1_000_000)
        turn = self.throttle.take("b", 10_000)
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.let_pass(0.011)
        self.successResultOf(turn)
        self.assertEqual(self.throttle.waiting, 0)
        self.let_pass(1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_change(self) -> None:
        """
        A new rate counts at once for those that wait.
        """
        slow = Throttle(1000.0, self.clock)
        self.successResultOf(slow.take("a", LEAST_TURN))
        turn = slow.take("a", LEAST_TURN)
        self.assertNoResult(turn)
        slow.change(math.inf)
        self.successResultOf(turn)

    def test_forgets(self) -> None:
        """
        Parties that have gone are forgotten.
        """
        for number in range(2000):
            self.throttle.take(number, 1000)
            self.let_pass(0.001)
        self.assertLess(len(self.throttle._starts), 600)

    @given(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(1, 20_000), st.floats(0, 0.05)),
            max_size=80,
        )
    )
    def test_bound_and_progress(self, asked: list[tuple[int, int, float]]) -> None:
        """
        Never more than rate * t + burst passes, and everybody's turn comes as soon as
        that allows.
        """
        clock = Clock()
        throttle = Throttle(RATE, clock)
        passed: list[tuple[float, int]] = []

        def ask(party: int, size: int) -> Deferred[None]:
            turn = throttle.take(party, size)
            return turn.addCallback(lambda _: passed.append((clock.seconds(), size)))

        for party, size, pause in asked:
            ask(party, size)
            clock.advance(pause)
        total = sum(size for _, size, _ in asked)
        self.let_go_on(clock, total / RATE + 0.05)
        self.assertEqual(len(passed), len(asked))
        for first, (begun, _) in enumerate(passed):
            seen = 0
            for at, size in passed[first:]:
                seen += size
                self.assertLessEqual(seen, RATE * (at - begun) + BURST + 1)

    def let_go_on(self, clock: Clock, seconds: float) -> None:
        """
        Let time pass on a clock of its own, in small steps.
        """
        clock.pump([0.001] * (int(seconds / 0.001) + 1))

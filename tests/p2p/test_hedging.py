"""
Tests for :mod:`eliop2p.p2p.hedging`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import Digest
from eliop2p.p2p.hedging import (
    LEAST_KNOWN,
    LOOK_AGAIN,
    SHARE,
    Getting,
    Hedges,
    Race,
)
from eliop2p.wire.events import Done

DONE = Done(1, Digest(b"d" * 32))


class HedgesTests(SynchronousTestCase):
    """
    Tests for :class:`.Hedges`.
    """

    def test_unknown(self) -> None:
        """
        Before enough chunks have come it is not known what is unusual.
        """
        hedges = Hedges()
        for _ in range(LEAST_KNOWN - 1):
            hedges.took(0.1)
        self.assertIsNone(hedges.delay)

    def test_tail(self) -> None:
        """
        Unusual is what takes longer than 95 in a hundred, and twice as long as half of
        them.
        """
        hedges = Hedges()
        for number in range(100):
            hedges.took(1.0 if number >= 96 else 0.1)
        self.assertEqual(hedges.delay, 0.2)
        for number in range(100):
            hedges.took(1.0 if number >= 90 else 0.1)
        self.assertEqual(hedges.delay, 1.0)

    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 10_000_000))))
    def test_budget(self, steps: list[tuple[bool, int]]) -> None:
        """
        Never is more asked for twice than a tenth of what has come.
        """
        hedges, received = Hedges(), 0
        for comes, size in steps:
            if comes:
                hedges.received(size)
                received += size
            else:
                hedges.spend(size)
            self.assertLessEqual(hedges.asked, SHARE * received + 1)


class RaceTests(SynchronousTestCase):
    """
    Tests for :class:`.Race`.
    """

    def setUp(self) -> None:
        """
        Begin a race when chunks usually take 0.1 s.
        """
        self.clock = Clock()
        self.hedges = Hedges()
        for _ in range(LEAST_KNOWN):
            self.hedges.took(0.1)
        self.given_up: list[str] = []
        give_up = self.given_up.append
        self.first: Deferred[Done | None] = Deferred(lambda _: give_up("first"))
        self.second: Deferred[Done | None] = Deferred(lambda _: give_up("second"))
        self.asked = 0
        self.race = Race(
            self.hedges, self.clock, self.wait_for(self.first), self.ask_second
        )

    async def wait_for(self, deferred: "Deferred[Done | None]") -> Done | None:
        """
        Be a request.
        """
        return await deferred

    def ask_second(self) -> Getting:
        """
        Make the second request.
        """
        self.asked += 1
        return self.wait_for(self.second)

    def outcomes(self) -> tuple[int, int, int]:
        """
        Tell how second requests ended: won, lost, failed.
        """
        return self.hedges.won, self.hedges.lost, self.hedges.failed

    def test_in_time(self) -> None:
        """
        Where the first is in time there is no second, and nothing is left scheduled.
        """
        self.clock.advance(0.19)
        self.first.callback(DONE)
        self.assertIs(self.successResultOf(self.race.result), DONE)
        self.assertEqual((self.asked, self.clock.getDelayedCalls()), (0, []))

    def test_second_wins(self) -> None:
        """
        The second wins when it delivers first, and the first is given up.
        """
        self.clock.advance(0.2)
        self.assertEqual(self.asked, 1)
        self.second.callback(DONE)
        self.assertIs(self.successResultOf(self.race.result), DONE)
        self.assertEqual(self.given_up, ["first"])
        self.assertEqual(self.outcomes(), (1, 0, 0))

    def test_second_loses(self) -> None:
        """
        The second is given up when the first delivers.
        """
        self.clock.advance(0.2)
        self.first.callback(DONE)
        self.assertIs(self.successResultOf(self.race.result), DONE)
        self.assertEqual(self.given_up, ["second"])
        self.assertEqual(self.outcomes(), (0, 1, 0))

    def test_first_fails(self) -> None:
        """
        A first that fails leaves the field to the second.
        """
        self.clock.advance(0.2)
        self.first.callback(None)
        self.assertNoResult(self.race.result)
        self.second.callback(DONE)
        self.assertIs(self.successResultOf(self.race.result), DONE)

    def test_both_fail(self) -> None:
        """
        When both fail, in whichever order, that is the result.
        """
        self.clock.advance(0.2)
        self.second.callback(None)
        self.assertNoResult(self.race.result)
        self.first.callback(None)
        self.assertIsNone(self.successResultOf(self.race.result))
        self.assertEqual(self.outcomes(), (0, 0, 1))

    def test_another(self) -> None:
        """
        A second that brings nothing is followed by another one a moment later.
        """
        self.clock.advance(0.2)
        self.second.callback(None)
        self.second = Deferred()
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(self.asked, 2)
        self.second.callback(DONE)
        self.assertIs(self.successResultOf(self.race.result), DONE)
        self.assertEqual(self.outcomes(), (1, 0, 1))

    def test_cancelled(self) -> None:
        """
        A race that nobody wants any more gives both up.
        """
        self.clock.advance(0.2)
        self.race.result.cancel()
        self.failureResultOf(self.race.result, CancelledError)
        self.assertEqual(self.given_up, ["first", "second"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_broken(self) -> None:
        """
        An error that no request should end with is the result.
        """
        self.clock.advance(0.2)
        self.second.errback(ZeroDivisionError())
        self.failureResultOf(self.race.result, ZeroDivisionError)
        self.assertEqual(self.given_up, ["first"])

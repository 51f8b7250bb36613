"""
Tests for :mod:`eliop2p.p2p.precedence`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.precedence import MOST_DEFERRED, Precedence


class PrecedenceTests(SynchronousTestCase):
    """
    A node that may be slow.
    """

    def setUp(self) -> None:
        """
        It is not yet.
        """
        self.clock = Clock()
        self.slow = False
        self.precedence = Precedence(self.clock, lambda: self.slow)
        self.given_up: list[str] = []

    def become(self, *, slow: bool) -> None:
        """
        Let it be slow, or no longer.
        """
        self.slow = slow
        self.precedence.changed()

    def test_fast(self) -> None:
        """
        On a link that is not slow nothing makes way.
        """
        give_way = self.given_up.append
        with (
            self.precedence.yielding(lambda: give_way("a")),
            self.precedence.reading(),
        ):
            self.successResultOf(self.precedence.clear())
        self.assertEqual(self.given_up, [])

    def test_slow(self) -> None:
        """
        On one that is, what comes from peers makes way for what is read from the store,
        and waits until that has come.
        """
        give_way = self.given_up.append
        with self.precedence.reading(), self.precedence.reading():
            with self.precedence.yielding(lambda: give_way("a")):
                self.become(slow=True)
            waiting = self.precedence.clear()
            self.assertNoResult(waiting)
        self.successResultOf(waiting)
        self.assertEqual(self.given_up, ["a"])
        self.successResultOf(self.precedence.clear())

    def test_begins_to_read(self) -> None:
        """
        It makes way when the read begins later, too.
        """
        self.become(slow=True)
        with (
            self.precedence.yielding(lambda: self.given_up.append("a")),
            self.precedence.reading(),
        ):
            pass
        self.assertEqual(self.given_up, ["a"])

    def test_no_longer(self) -> None:
        """
        Who waits goes on when the link is no longer slow, or after a bounded time; who
        gives up waiting is forgotten.
        """
        self.become(slow=True)
        with self.precedence.reading():
            first = self.precedence.clear()
            self.become(slow=False)
            self.successResultOf(first)
            self.become(slow=True)
            second, third = self.precedence.clear(), self.precedence.clear()
            third.addErrback(lambda _: None).cancel()
            self.clock.advance(MOST_DEFERRED)
            self.successResultOf(second)
            self.assertEqual(self.precedence._waiting, [])

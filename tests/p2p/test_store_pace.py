"""
Tests for :mod:`eliop2p.p2p.store_pace`.
"""

from contextlib import ExitStack

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.store_pace import MOST_SECONDS, StorePace


class StorePaceTests(SynchronousTestCase):
    """
    A node that reads the store.
    """

    def setUp(self) -> None:
        """
        It has read nothing yet.
        """
        self.clock = Clock()
        self.sizes: list[int] = []
        self.pace = StorePace(self.clock, self.sizes.append)

    def read(self, seconds: float) -> None:
        """
        Read something that begins after a while, and goes on.
        """
        with self.pace.reading() as came:
            self.clock.advance(seconds)
            came(3)
            self.clock.advance(100.0)
            came(4)

    def test_nothing_read(self) -> None:
        """
        Nothing is expected of a store that was never read.
        """
        self.assertEqual(self.pace.seconds, 0.0)

    def test_first_byte(self) -> None:
        """
        What counts is the time until the first byte; all that comes is told of.
        """
        self.read(2.0)
        self.assertEqual(self.pace.seconds, 2.0)
        self.assertEqual(self.sizes, [3, 4])

    def test_changes(self) -> None:
        """
        A store that has become quick is trusted again after some reads, not at once.
        """
        self.read(8.0)
        self.read(0.0)
        self.assertGreater(self.pace.seconds, 4.0)
        for _ in range(10):
            self.read(0.0)
        self.assertLess(self.pace.seconds, 0.5)

    def test_waiting(self) -> None:
        """
        The read that has waited longest tells before it ends, up to a bound; one that
        fails tells nothing afterwards.
        """
        with ExitStack() as reads:
            reads.enter_context(self.pace.reading())
            self.clock.advance(5.0)
            reads.enter_context(self.pace.reading())
            self.clock.advance(1.0)
            self.assertEqual(self.pace.seconds, 6.0)
            self.clock.advance(1000.0)
            self.assertEqual(self.pace.seconds, MOST_SECONDS)
        self.assertEqual(self.pace.seconds, 0.0)

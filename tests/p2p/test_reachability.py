"""
Tests for :mod:`eliop2p.p2p.reachability`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.reachability import LOOK_AGAIN, Reachability


class ReachabilityTests(SynchronousTestCase):
    """
    Peers that come and go.
    """

    def setUp(self) -> None:
        """
        Watch.
        """
        self.clock = Clock()
        self.suspects: set[str] = set()
        self.told: list[str] = []
        self.reachability = Reachability(self.clock, self.suspects.__contains__)
        self.reachability.watch(self.told.append)

    def test_there_and_back(self) -> None:
        """
        It is told once when a peer is lost, and once when it is there again.
        """
        self.suspects.add("a")
        self.reachability.lost("a")
        self.reachability.lost("a")
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(self.told, ["a"])
        self.suspects.clear()
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(self.told, ["a", "a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_lost(self) -> None:
        """
        A peer that another connection reaches is not lost.
        """
        self.reachability.lost("a")
        self.assertEqual(self.told, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        After the end nothing is told, nor waited for.
        """
        self.suspects.update("ab")
        self.reachability.lost("a")
        self.reachability.stop()
        self.reachability.lost("b")
        self.assertEqual(self.told, ["a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

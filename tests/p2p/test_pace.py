"""
Tests for :mod:`eliop2p.p2p.pace`.
"""

from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import PeerError, PeerSlow, PeerUnreachable
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.pace import FIRST_PATIENCE, LEAST_PATIENCE, Pace, Watch


class Links:
    """
    What is heard of one peer.

    Attributes:
        heard: When it was heard last; asked for a sign of life it answers at once.
        answers: Whether it does.
        doubted: How often it was doubted.
        probed: How often it was asked.
    """

    def __init__(self, clock: Clock, *, answers: bool) -> None:
        self.heard = 0.0
        self.answers = answers
        self.doubted = self.probed = 0
        self._clock = clock

    def silence(self, _: str) -> float:
        """
        Tell how long ago that was.
        """
        return self._clock.seconds() - self.heard

    def probe(self, _: PeerInfo) -> None:
        """
        Ask.
        """
        self.probed += 1
        if self.answers:
            self.heard = self._clock.seconds()

    def held_back(self) -> bool:
        """
        This node does not hold its peers back.
        """
        return False

    def doubt(self, _: str) -> None:
        """
        Count.
        """
        self.doubted += 1


class WatchTests(SynchronousTestCase):
    """
    A request that is watched.
    """

    def watch(
        self,
        *,
        answers: bool,
        patience: float,
        usual: float = 0.0,
        upstream: float = 0.0,
    ) -> Watch:
        """
        Watch a request that brings nothing.
        """
        self.clock = Clock()
        self.links = Links(self.clock, answers=answers)
        self.told: list[float] = []
        self.getting: Deferred[Any] = Deferred()
        self.getting.addErrback(lambda _: None)
        self.sink = SimpleNamespace(filled=0, chunk=SimpleNamespace(length=100))
        return Watch(
            PeerInfo("peer", "", 0),
            self.getting,
            cast("Any", self.sink),
            links=cast("Any", self.links),
            clock=self.clock,
            patience=patience,
            usual=lambda _: usual,
            upstream=lambda: upstream,
            silent=self.told.append,
        )

    def test_silent(self) -> None:
        """
        A peer that does not even answer a ping is given up within a second, however
        patient one is with slow ones.
        """
        watch = self.watch(answers=False, patience=10.0)
        self.clock.pump([0.05] * 20)
        self.assertIsInstance(watch.error, PeerUnreachable)
        self.assertTrue(self.getting.called)
        self.assertEqual(self.links.doubted, 1)

    def test_tells(self) -> None:
        """
        Others are looked at when a peer has not answered a ping for a moment, before it
        is given up; not for one that answers.
        """
        watch = self.watch(answers=False, patience=10.0)
        self.clock.pump([0.05] * 12)
        self.assertIsNone(watch.error)
        self.assertEqual(len(self.told), 1)
        self.watch(answers=True, patience=10.0)
        self.clock.pump([0.05] * 60)
        self.assertEqual(self.told, [])

    def test_asked_less(self) -> None:
        """
        One that answers its pings and brings nothing is asked the less the longer that
        lasts.
        """
        self.watch(answers=True, patience=10.0)
        self.clock.pump([0.05] * 60)
        self.assertEqual(self.links.probed, 4)
        self.clock.pump([0.05] * 80)
        self.assertEqual(self.links.probed, 7)
        self.assertEqual(self.links.doubted, 0)

    def test_owes_sign(self) -> None:
        """
        A peer owes a sign of life from when it is asked for one until it is heard of.
        """
        watch = self.watch(answers=False, patience=10.0)
        self.assertFalse(watch.owes_sign)
        self.clock.pump([0.05] * 6)
        self.assertTrue(watch.owes_sign)
        self.links.heard = self.clock.seconds()
        self.assertFalse(watch.owes_sign)

    def test_busy_itself(self) -> None:
        """
        A node whose own chunks take long hears everybody late, and waits as long.
        """
        watch = self.watch(answers=False, patience=10.0, usual=3.0)
        self.clock.pump([0.05] * 60)
        self.assertIsNone(watch.error)
        self.clock.pump([0.05] * 20)
        self.assertIsInstance(watch.error, PeerUnreachable)

    def test_slow(self) -> None:
        """
        A peer that is there and brings less than half of what was missing is too slow
        when the patience is over, and not doubted.
        """
        watch = self.watch(answers=True, patience=2.0)
        self.sink.filled = 40
        self.clock.pump([0.05] * 38)
        self.assertIsNone(watch.error)
        self.clock.pump([0.05] * 4)
        self.assertIsInstance(watch.error, PeerSlow)
        self.assertEqual(self.links.doubted, 0)

    def test_slow_itself(self) -> None:
        """
        No peer is too slow before twice the time that all takes which is on its way.
        """
        watch = self.watch(answers=True, patience=2.0, usual=3.0)
        self.clock.pump([0.05] * 118)
        self.assertIsNone(watch.error)
        self.clock.pump([0.05] * 10)
        self.assertIsInstance(watch.error, PeerSlow)

    def test_waits_itself(self) -> None:
        """
        One that may have to wait for the store has twice that time for its first byte;
        when it has brought some it can go on.
        """
        watch = self.watch(answers=True, patience=2.0, upstream=3.0)
        self.clock.pump([0.05] * 118)
        self.assertIsNone(watch.error)
        self.clock.pump([0.05] * 10)
        self.assertIsInstance(watch.error, PeerSlow)
        watch = self.watch(answers=True, patience=2.0, upstream=3.0)
        self.sink.filled = 1
        self.clock.pump([0.05] * 42)
        self.assertIsInstance(watch.error, PeerSlow)

    def test_brings_nothing(self) -> None:
        """
        One that brings nothing for ten seconds is no slow one, and this node's own link
        no excuse.
        """
        watch = self.watch(answers=True, patience=2.0, usual=10.0)
        self.clock.pump([0.05] * 198)
        self.assertIsNone(watch.error)
        self.clock.pump([0.05] * 10)
        self.assertIsInstance(watch.error, PeerError)
        self.assertNotIsInstance(watch.error, PeerSlow)

    def test_waits_itself_silent(self) -> None:
        """
        It must answer pings meanwhile.
        """
        watch = self.watch(answers=False, patience=2.0, upstream=30.0)
        self.clock.pump([0.05] * 20)
        self.assertIsInstance(watch.error, PeerUnreachable)

    def test_goes_on(self) -> None:
        """
        One that has brought half has as long again for half of the rest.
        """
        watch = self.watch(answers=True, patience=1.0)
        for filled in (50, 75, 88):
            self.sink.filled = filled
            self.clock.pump([0.05] * 20)
            self.assertIsNone(watch.error)
        watch.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_patience(self) -> None:
        """
        The patience is four times what chunks take, and doubles with each
        disappointment, within bounds.
        """
        pace = Pace()
        self.assertEqual(pace.patience(0), FIRST_PATIENCE)
        pace.took(0.01)
        self.assertEqual(pace.patience(0), LEAST_PATIENCE)
        pace = Pace()
        pace.took(0.5)
        self.assertEqual((pace.patience(0), pace.patience(1)), (2.0, 4.0))
        self.assertEqual(pace.patience(9), 10.0)

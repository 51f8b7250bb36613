"""
Tests for :mod:`eliop2p.p2p.speed`.
"""

import random

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.speed import (
    BUSY,
    FRESH,
    LEAST_KNOWN,
    MAX_SLOW,
    MOST_KNOWN,
    PAUSES,
    SAY_AGAIN,
    SLOW_FOR,
    SPAN,
    Meter,
    SlowNodes,
    Speed,
    is_slower,
)
from eliop2p.wire.cluster_events import Rate
from tests.p2p.tiny_cluster import Cluster, FakeLinks
from tests.p2p.tiny_parts import FakeMembership, membership_of


class MeterTests(SynchronousTestCase):
    """
    The rate of what comes.
    """

    def setUp(self) -> None:
        """
        Nothing has come.
        """
        self.clock = Clock()
        self.meter = Meter(self.clock)

    def come(self, size: int) -> None:
        """
        Let a span pass in which bytes come.
        """
        self.clock.advance(SPAN)
        self.meter.came(size)

    def test_rate(self) -> None:
        """
        The rate is that of the better of the last two spans, and unknown before one has
        passed.
        """
        self.meter.came(100)
        self.assertEqual(self.meter.rate, 0.0)
        for size, best in ((900, 1000), (500, 1000), (400, 500), (0, 400), (0, 0)):
            self.come(size)
            self.assertAlmostEqual(self.meter.rate, best / SPAN)

    def test_idle(self) -> None:
        """
        Time in which nothing was on its way does not count.
        """
        self.come(1000)
        self.clock.advance(99.0)
        self.meter.restart()
        self.assertAlmostEqual(self.meter.rate, 1000 / SPAN)


class DecisionTests(SynchronousTestCase):
    """
    Who is slow.
    """

    def test_slower(self) -> None:
        """
        Slow is who has a third of the rate of half of the others, when some are known.
        """
        self.assertTrue(is_slower(10.0, (31.0, 31.0, 1.0)))
        self.assertFalse(is_slower(10.0, (29.0, 29.0, 99.0)))
        self.assertFalse(is_slower(10.0, (1e12, 29.0, 11.0)))
        self.assertFalse(is_slower(10.0, (100.0,) * (LEAST_KNOWN - 1)))
        self.assertFalse(is_slower(0.0, (100.0,) * LEAST_KNOWN))

    def test_slow_nodes(self) -> None:
        """
        What nodes say of themselves counts for a while, or until they say otherwise; of
        no more than so many.
        """
        clock = Clock()
        slow = SlowNodes(clock)
        slow.note("a", slow=True)
        slow.note("b", slow=True)
        slow.note("b", slow=False)
        self.assertEqual(("a" in slow, "b" in slow), (True, False))
        clock.advance(SLOW_FOR)
        self.assertNotIn("a", slow)
        for number in range(MAX_SLOW + 1):
            slow.note(f"n{number}", slow=True)
        self.assertEqual(len(slow), MAX_SLOW)
        self.assertNotIn("n0", slow)


class TellingLinks(FakeLinks):
    """
    Links to everybody, that remember what was told.
    """

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        super().__init__(cluster, node_id)
        self.messages: list[tuple[str, Rate]] = []

    def tell(self, peer: PeerInfo, message: object) -> None:
        """
        Remember it.
        """
        assert isinstance(message, Rate)
        self.messages.append((peer.node_id, message))

    def take(self) -> list[tuple[str, Rate]]:
        """
        Give what was told since.
        """
        taken, self.messages = self.messages, []
        return taken


class SpeedTests(SynchronousTestCase):
    """
    A node among five others that is receiving.
    """

    def setUp(self) -> None:
        """
        Let it begin to receive.
        """
        cluster = Cluster(6)
        cluster.run(1.0)
        self.clock = cluster.clock
        self.names = [node.node_id for node in cluster]
        self.me = self.names[0]
        members = FakeMembership(membership_of(*self.names))
        self.links = TellingLinks(cluster, self.me)
        self.speed = Speed(self.me, members, clock=self.clock, rng=random.Random(1))
        self.speed.connect(self.links)
        self.on_their_way = BUSY
        self.changes: list[bool] = []
        self.speed.watch(lambda: self.changes.append(self.speed.is_slow))
        self.speed.began(lambda: self.on_their_way)

    def pass_time(self, seconds: float, rate: float = 1000.0) -> None:
        """
        Receive for a while.
        """
        steps = round(seconds / 0.01)
        for _ in range(steps):
            self.clock.advance(seconds / steps)
            self.speed.meter.came(round(rate * 0.01))

    def hear(
        self, rate: int, *, count: int = LEAST_KNOWN, wanted: bool = False
    ) -> None:
        """
        Let others say how fast they are.
        """
        for name in self.names[1 : 1 + count]:
            self.speed.heard(name, Rate(rate, wanted, slow=False))

    def test_asks(self) -> None:
        """
        Who receives asks some others, and not again when it is as fast as they are.
        """
        self.pass_time(PAUSES[0] + 0.01)
        asked = self.links.take()
        self.assertEqual(len({name for name, _ in asked}), LEAST_KNOWN)
        self.assertNotIn(self.me, {name for name, _ in asked})
        self.assertTrue(all(message.wanted for _, message in asked))
        self.hear(1200)
        self.pass_time(1.0)
        self.assertEqual((self.links.take(), self.changes), ([], []))

    def test_answers(self) -> None:
        """
        Who is asked says how fast it is, once; 0 while it hardly receives.
        """
        self.pass_time(SPAN)
        self.hear(1000, count=1, wanted=True)
        self.hear(1000, count=1)
        self.on_their_way = BUSY - 1
        self.hear(1000, count=1, wanted=True)
        told = [(name, message.wanted) for name, message in self.links.messages]
        self.assertEqual(told, [(self.names[1], False)] * 2)
        rates = [message.rate for _, message in self.links.take()]
        self.assertAlmostEqual(rates[0], 1000, delta=250)
        self.assertEqual(rates[1], 0)

    def test_slow(self) -> None:
        """
        Who is found slower in two looks running is slow, says so to all and in its log,
        and again later; and says so when it is no longer.
        """
        self.pass_time(PAUSES[0] + 0.01)
        self.links.take()
        self.hear(9000)
        self.assertFalse(self.speed.is_slow)
        with capturedLogs() as logs:
            self.pass_time(PAUSES[1])
        (event,) = logs
        self.assertIn("much more slowly than to its peers", formatEvent(event) or "")
        self.assertEqual((self.changes, self.speed.is_slow), ([True], True))
        told = self.links.take()[-5:]
        self.assertEqual({name for name, _ in told}, set(self.names[1:]))
        self.assertTrue(all(message.slow for _, message in told))
        self.hear(9000)
        while self.clock.seconds() < SAY_AGAIN + 2:
            self.pass_time(FRESH / 2)
            self.hear(9000)
        again = [name for name, message in self.links.take() if not message.wanted]
        self.assertEqual(len(again), 5)
        self.pass_time(2.0, rate=9000.0)
        self.assertEqual(self.changes, [True, False])
        self.assertFalse(any(message.slow for _, message in self.links.take()[-5:]))

    def test_not_for_sources(self) -> None:
        """
        Who waits for a few chunks only may have slow sources, and is not called slow.
        """
        self.on_their_way = BUSY - 1
        self.pass_time(PAUSES[0] + 0.01)
        self.hear(9000)
        self.pass_time(2.0)
        self.assertEqual(self.changes, [])

    def test_liar(self) -> None:
        """
        One that claims any rate does not make others slow; rates of no more than so
        many nodes are remembered.
        """
        self.pass_time(PAUSES[0] + 0.01)
        self.hear(1000, count=5)
        self.speed.heard(self.names[1], Rate(2**64 - 1, wanted=False, slow=False))
        self.pass_time(2.0)
        self.assertEqual(self.changes, [])
        for number in range(2 * MOST_KNOWN):
            self.speed.heard(f"n{number}", Rate(1, wanted=False, slow=False))
        self.assertEqual(len(self.speed._known), MOST_KNOWN)

    def test_ends(self) -> None:
        """
        Who receives nothing looks no more, until it does again.
        """
        self.on_their_way = 0
        self.clock.advance(PAUSES[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.speed.began(lambda: self.on_their_way)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.speed.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

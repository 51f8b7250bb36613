"""
Tests for :mod:`eliop2p.p2p.speed`.
"""

import random
from collections.abc import Callable

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.speed import (
    BUSY,
    CONFIRM,
    FRESH,
    LATE,
    LEAST_KNOWN,
    MOST_KNOWN,
    PAUSES,
    RECENT,
    SAY_AGAIN,
    SILENT,
    SPAN,
    UNEVEN,
    Speed,
)
from eliop2p.wire.cluster_events import Rate
from tests.p2p.tiny_cluster import Cluster, FakeLinks
from tests.p2p.tiny_parts import FakeMembership, membership_of


class TellingLinks(FakeLinks):
    """
    Links to everybody, that remember what was told.

    Attributes:
        answer: Called with whom this node asked; nobody answers when it is not given.
    """

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        super().__init__(cluster, node_id)
        self.messages: list[tuple[str, Rate]] = []
        self.answer: Callable[[str], None] | None = None

    def tell(self, peer: PeerInfo, message: object) -> None:
        """
        Remember it.
        """
        assert isinstance(message, Rate)
        self.messages.append((peer.node_id, message))
        if message.wanted and self.answer is not None:
            self._cluster.clock.callLater(0.001, self.answer, peer.node_id)

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
        steps = round(seconds / 0.002)
        for _ in range(steps):
            self.clock.advance(seconds / steps)
            self.speed.meter.came(round(rate * 0.002))

    def hear(
        self, rate: int, *, count: int = LEAST_KNOWN, wanted: bool = False
    ) -> None:
        """
        Let others say how fast they are.
        """
        for name in self.names[1 : 1 + count]:
            self.speed.heard(name, Rate(rate, wanted, slow=False))

    def answer(self, rate: int) -> None:
        """
        Let others say how fast they are whenever they are asked.
        """

        def say(node_id: str) -> None:
            self.speed.heard(node_id, Rate(rate, wanted=False, slow=False))

        self.links.answer = say

    def test_asks(self) -> None:
        """
        Who receives asks some others, and when it is as fast as they are again only
        after it has received for much longer.
        """
        self.pass_time(PAUSES[0] + 0.01)
        asked = self.links.take()
        self.assertEqual(len({name for name, _ in asked}), LEAST_KNOWN)
        self.assertNotIn(self.me, {name for name, _ in asked})
        self.assertTrue(all(message.wanted for _, message in asked))
        self.hear(1200)
        self.pass_time(2 * PAUSES[0])
        self.assertEqual((self.links.take(), self.changes), ([], []))
        self.pass_time(4 * PAUSES[0])
        self.assertEqual(len(self.links.take()), LEAST_KNOWN)

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
        self.assertTrue(750 < rates[0] < 1250)
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
        self.answer(9000)
        while self.clock.seconds() < SAY_AGAIN + 2:
            self.pass_time(FRESH / 2)
        again = [name for name, message in self.links.take() if not message.wanted]
        self.assertEqual(len(again), 5)
        self.pass_time(4.0, rate=9000.0)
        self.assertEqual(self.changes, [True, False])
        left = [message for _, message in self.links.take() if not message.wanted]
        self.assertEqual([message.slow for message in left], [False] * 5)

    def become_slow(self) -> None:
        """
        Let it find out.
        """
        self.pass_time(PAUSES[0] + 0.01)
        self.hear(9000)
        self.pass_time(PAUSES[1])
        self.assertTrue(self.speed.is_slow)
        self.links.take()

    def test_stays_slow(self) -> None:
        """
        Who is slow stays so while nothing comes, and asks anew before it takes itself
        for fast.
        """
        self.become_slow()
        self.clock.pump([0.1] * 10)
        self.links.take()
        self.assertEqual(self.changes, [True])
        self.answer(1000)
        self.pass_time(4.0)
        asked = [message.wanted for _, message in self.links.take()]
        self.assertEqual((any(asked), self.changes), (True, [True, False]))

    def test_late(self) -> None:
        """
        Who comes too late to look, since it waits for a processor, finds nothing then.
        """
        self.pass_time(PAUSES[0] + 0.01)
        self.hear(9000)
        self.clock.advance(PAUSES[1] + 2 * LATE)
        self.assertEqual(self.changes, [])
        self.pass_time(PAUSES[2])
        self.assertEqual(self.changes, [])
        self.hear(9000)
        self.pass_time(PAUSES[3])
        self.assertEqual(self.changes, [True])

    def test_silent_sources(self) -> None:
        """
        Who waits for chunks from peers that owe a sign of life neither takes itself for
        slow nor asks how fast others are, whom that does not tell apart.
        """
        silent = SILENT
        self.speed.connect_gets(lambda: silent)
        self.pass_time(PAUSES[0] + 0.01)
        self.hear(9000)
        self.links.take()
        self.pass_time(PAUSES[1] + PAUSES[2])
        self.assertEqual((self.links.take(), self.changes), ([], []))
        silent -= 1
        self.hear(9000)
        self.pass_time(PAUSES[3] + PAUSES[4])
        self.assertEqual(self.changes, [True])

    def test_even(self) -> None:
        """
        What others said after the first moments counts for as long as ever.
        """
        self.pass_time(UNEVEN)
        self.hear(1000)
        self.links.take()
        self.pass_time(FRESH - 2 * PAUSES[-1])
        self.assertEqual(self.links.take(), [])

    def test_recent(self) -> None:
        """
        What others said a moment ago says nothing of how fast they are now, and who
        seems to be slow looks again soon.
        """
        self.pass_time(2.0, rate=9000.0)
        self.hear(9000)
        self.pass_time(RECENT, rate=9000.0)
        self.pass_time(2.0)
        self.assertEqual(self.changes, [])
        self.answer(9000)
        self.links.take()
        while not any(message.wanted for _, message in self.links.take()):
            self.pass_time(0.01)
        self.pass_time(CONFIRM + 0.02)
        self.assertEqual(self.changes, [True])

    def test_met(self) -> None:
        """
        A slow node tells each peer that comes to it once, and those to whom it has said
        so not again.
        """
        self.speed.met("stranger")
        self.assertEqual(self.links.take(), [])
        self.become_slow()
        for name in ("stranger", self.names[1], "stranger"):
            self.speed.met(name)
        told = [(name, message.slow) for name, message in self.links.take()]
        self.assertEqual(told, [("stranger", True)])

    def test_others(self) -> None:
        """
        Watchers hear of it when a peer says that it is slow, once, and when it says
        that it no longer is.
        """
        for slow in (False, True, True, False):
            self.speed.heard(self.names[1], Rate(0, wanted=False, slow=slow))
        self.assertEqual(len(self.changes), 2)

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

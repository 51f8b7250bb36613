"""
Tests for :mod:`eliop2p.p2p.sentry`.
"""

import math
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.pace import ANSWER_WITHIN, QUIET
from eliop2p.p2p.sentry import LATELY, SEVERAL, UNHEARD, Sentry
from tests.p2p.tiny_parts import FakeMembership, membership_of

NAMES = [f"node-{number}" for number in range(8)]


class Links:
    """
    Peers that are heard of when a test says so.

    Attributes:
        heard: When each was heard last; never when it is not connected.
        probed: Those that were asked for a sign of life, in turn.
        doubted: Those that are doubted.
    """

    def __init__(self, clock: Clock) -> None:
        self.heard = dict.fromkeys(NAMES, 0.0)
        self.probed: list[str] = []
        self.doubted: set[str] = set()
        self._clock = clock
        self._watchers: list[Callable[[str], None]] = []

    def silence(self, node_id: str) -> float:
        """
        Tell how long ago a peer was heard.
        """
        return self._clock.seconds() - self.heard.get(node_id, -math.inf)

    def reachable(self, node_id: str) -> bool:
        """
        Tell whether it is not doubted.
        """
        return node_id not in self.doubted

    def held_back(self) -> bool:
        """
        Never.
        """
        return False

    def probe(self, peer: PeerInfo) -> None:
        """
        Note it.
        """
        self.probed.append(peer.node_id)

    def doubt(self, node_id: str) -> None:
        """
        Tell of it.
        """
        self.doubted.add(node_id)
        self._tell(node_id)

    def hear(self, node_id: str) -> None:
        """
        Let a peer say something.
        """
        self.heard[node_id] = self._clock.seconds()
        if node_id in self.doubted:
            self.doubted.remove(node_id)
            self._tell(node_id)

    def watch(self, changed: Callable[[str], None]) -> None:
        """
        Tell of all that are doubted, or no longer.
        """
        self._watchers.append(changed)

    def _tell(self, node_id: str) -> None:
        for changed in self._watchers:
            changed(node_id)


class SentryTests(SynchronousTestCase):
    """
    The first of eight nodes, which has heard of nobody for a while.
    """

    def setUp(self) -> None:
        """
        Let time pass.
        """
        self.clock = Clock()
        self.links = Links(self.clock)
        members = FakeMembership(membership_of(*NAMES))
        self.slow: set[str] = set()
        self.sentry = Sentry(
            NAMES[0], members, clock=self.clock, delay=lambda: 0.0, slow=self.slow
        )
        self.sentry.connect(cast("Any", self.links))
        self.clock.advance(UNHEARD)

    def ask(self, *names: str) -> None:
        """
        Find out whether peers are there.
        """
        self.sentry.ask([PeerInfo(name, "10.0.0.1", 9000) for name in names])

    def alarm(self) -> None:
        """
        Lose several peers.
        """
        for name in NAMES[1 : 1 + SEVERAL]:
            self.links.doubt(name)

    def test_asks(self) -> None:
        """
        Peers that give no sign of life when they are asked are doubted, others not.
        """
        self.links.hear("node-3")
        self.ask(*NAMES[1:4])
        self.ask(*NAMES[1:4])
        self.assertEqual(self.links.probed, ["node-1", "node-2"])
        self.links.hear("node-2")
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual(self.links.doubted, {"node-1"})

    def test_slow(self) -> None:
        """
        A peer that says that its link is slow may be heard late, and is not asked.
        """
        self.slow.add("node-1")
        self.ask(*NAMES[1:3])
        self.assertEqual(self.links.probed, ["node-2"])

    def test_not_connected(self) -> None:
        """
        To connect with a peer in time is a sign of life.
        """
        self.links.heard = {}
        self.ask("node-1", "node-2")
        self.assertEqual(self.links.probed, ["node-1", "node-2"])
        self.links.hear("node-2")
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual(self.links.doubted, {"node-1"})

    def test_no_address(self) -> None:
        """
        A peer that is not connected and has no address cannot be asked.
        """
        self.links.heard = {}
        self.sentry.ask([PeerInfo("stranger", "", 0)])
        self.assertEqual((self.links.probed, self.clock.getDelayedCalls()), ([], []))

    def test_alarm(self) -> None:
        """
        Several lost peers are an alarm, until one is back or a while has passed; only
        then are others told.
        """
        self.assertEqual((self.sentry.alarmed, self.sentry.lost), (False, ()))
        self.alarm()
        lost = tuple(reversed(NAMES[1 : 1 + SEVERAL]))
        self.assertEqual((self.sentry.alarmed, self.sentry.lost), (True, lost))
        self.links.hear("node-1")
        self.assertEqual((self.sentry.alarmed, self.sentry.lost), (False, ()))
        self.links.doubt("node-1")
        self.clock.advance(LATELY)
        self.assertTrue(self.sentry.alarmed)
        self.clock.advance(0.1)
        self.assertEqual((self.sentry.alarmed, self.sentry.lost), (False, ()))

    def test_alarmed(self) -> None:
        """
        Where several peers are silent, those that were heard of since are not asked.
        """
        self.alarm()
        heard, unheard = NAMES[-2:]
        self.links.hear(heard)
        self.clock.advance(QUIET)
        self.ask(heard, unheard)
        self.assertEqual(self.links.probed, [unheard])

    def test_silent(self) -> None:
        """
        In an alarm, peers that were not heard of for a second may be silent, too.
        """
        self.links.hear("node-7")
        self.assertFalse(self.sentry.silent("node-6"))
        self.alarm()
        self.assertTrue(self.sentry.silent("node-6"))
        self.assertFalse(self.sentry.silent("node-7"))
        self.assertFalse(self.sentry.silent(NAMES[0]))

    def test_one_report(self) -> None:
        """
        Whom a peer could not reach is asked for a sign of life, and itself decides.
        """
        self.sentry.told("node-7", ["node-6"])
        self.assertEqual(self.links.probed, ["node-6"])
        self.links.hear("node-6")
        self.clock.advance(ANSWER_WITHIN)
        self.assertEqual(self.links.doubted, set())

    def test_report_of_unknown(self) -> None:
        """
        Nobody is connected with only because a peer could not reach it.
        """
        self.links.heard = {}
        self.sentry.told("node-7", ["node-6"])
        self.assertEqual(self.links.probed, [])

    def test_two_reports(self) -> None:
        """
        In an alarm two peers are believed of a third that was not heard of, and one,
        however often it says so, is not.
        """
        self.alarm()
        self.sentry.told("node-7", ["node-6"])
        self.sentry.told("node-7", ["node-6"])
        self.assertTrue(self.links.reachable("node-6"))
        self.sentry.told("node-5", ["node-6"])
        self.assertFalse(self.links.reachable("node-6"))
        self.assertEqual(self.links.probed, [])

    def test_heard(self) -> None:
        """
        Nobody is believed of a peer that this node itself has heard of.
        """
        self.alarm()
        self.links.hear("node-6")
        for by in ("node-7", "node-5"):
            self.sentry.told(by, ["node-6"])
        self.assertTrue(self.links.reachable("node-6"))

    def test_old_report(self) -> None:
        """
        What was said long ago does not count.
        """
        self.alarm()
        self.sentry.told("node-7", ["node-6"])
        self.clock.advance(LATELY)
        self.sentry.told("node-5", ["node-6"])
        self.assertTrue(self.links.reachable("node-6"))

    def test_strangers(self) -> None:
        """
        Nothing is kept of those who are no members, nor of this node itself.
        """
        self.alarm()
        for by in ("node-7", "node-5"):
            self.sentry.told(by, ["stranger", NAMES[0]])
        self.assertEqual(self.links.doubted, set(NAMES[1 : 1 + SEVERAL]))
        self.links.doubt("a seed")
        self.assertNotIn("a seed", self.sentry.lost)

    def test_stop(self) -> None:
        """
        A node that stops expects no answers.
        """
        self.ask(*NAMES[1:4])
        self.sentry.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

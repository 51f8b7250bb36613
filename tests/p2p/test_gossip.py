"""
Tests for :mod:`eliop2p.p2p.gossip` and :mod:`eliop2p.p2p.gossip_service`.
"""

from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.p2p.gossip import (
    RINGS,
    SUSPICION_SECONDS,
    TOMBSTONE_SECONDS,
    Beliefs,
    Rings,
)
from eliop2p.p2p.gossip_service import PATIENCE, PERIOD, GossipedMembers
from eliop2p.p2p.node_discovery import NodeDiscovery
from eliop2p.testing.simgossip import Town, Weather
from eliop2p.testing.workers import ImmediateWorker
from eliop2p.wire.cluster_events import MemberUpdate, Standing

WITHIN = 5.0
"""
Seconds in which a death must be known everywhere.
"""


def peer(name: str, host: str = "h") -> PeerInfo:
    """
    Make a member.
    """
    return PeerInfo(name, host, 9000)


def update(
    name: str, standing: Standing = Standing.ALIVE, incarnation: int = 1
) -> MemberUpdate:
    """
    Make news.
    """
    return MemberUpdate(standing, incarnation, peer(name))


class BeliefTests(SynchronousTestCase):
    """
    What one node believes.
    """

    def setUp(self) -> None:
        """
        Know one other member.
        """
        self.beliefs = Beliefs(peer("me"), 10)
        self.beliefs.hear((update("a", incarnation=5),), 0.0)

    def test_later_incarnation(self) -> None:
        """
        Of two incarnations the later holds, of equal ones the worse.
        """
        for news, expected in (
            (update("a", Standing.SUSPECT, 4), Standing.ALIVE),
            (update("a", Standing.SUSPECT, 5), Standing.SUSPECT),
            (update("a", Standing.ALIVE, 5), Standing.SUSPECT),
            (update("a", Standing.ALIVE, 6), Standing.ALIVE),
            (update("a", Standing.DEAD, 6), Standing.DEAD),
            (update("a", Standing.ALIVE, 6), Standing.DEAD),
            (update("a", Standing.ALIVE, 7), Standing.ALIVE),
            (update("a", Standing.LEFT, 7), Standing.LEFT),
            (update("a", Standing.DEAD, 7), Standing.LEFT),
        ):
            self.beliefs.hear((news,), 1.0)
            self.assertEqual(self.beliefs.standing("a"), expected, news)

    def test_suspicion(self) -> None:
        """
        A suspect is a member until its time is over.
        """
        self.beliefs.suspect("a", 1.0)
        self.beliefs.expire(0.99 + SUSPICION_SECONDS)
        self.assertIn("a", self.beliefs.live)
        self.beliefs.expire(1.0 + SUSPICION_SECONDS)
        self.assertEqual(self.beliefs.standing("a"), Standing.DEAD)
        self.assertEqual(set(self.beliefs.live), {"me"})

    def test_contradiction(self) -> None:
        """
        Whoever is said to be dead, or to be somewhere else, says otherwise.
        """
        for wrong in (Standing.SUSPECT, Standing.DEAD, Standing.LEFT):
            told = self.beliefs.own.incarnation + 3
            self.beliefs.hear((update("me", wrong, told),), 1.0)
            own = self.beliefs.own
            self.assertEqual(
                (own.standing, own.incarnation), (Standing.ALIVE, told + 1)
            )
        moved = attrs.evolve(update("me", incarnation=99), node=peer("me", "elsewhere"))
        self.beliefs.hear((moved,), 1.0)
        self.assertEqual(self.beliefs.own.node, peer("me"))
        self.assertEqual(self.beliefs.own.incarnation, 100)
        self.assertEqual(self.beliefs.refuted, 4)

    def test_old_accusation(self) -> None:
        """
        What is said of an earlier incarnation needs no answer.
        """
        self.beliefs.hear((update("me", Standing.DEAD, 9),), 1.0)
        self.assertEqual(self.beliefs.own.incarnation, 10)

    def test_stranger_suspected(self) -> None:
        """
        A suspicion of a stranger makes it no member; a death is remembered.
        """
        self.beliefs.hear((update("x", Standing.SUSPECT),), 1.0)
        self.assertIsNone(self.beliefs.standing("x"))
        self.beliefs.hear((update("x", Standing.DEAD), update("x")), 1.0)
        self.assertEqual(self.beliefs.standing("x"), Standing.DEAD)
        self.beliefs.introduce((peer("x"),), 1.0)
        self.assertNotIn("x", self.beliefs.live)

    def test_exchange(self) -> None:
        """
        The dead are told of as suspects, so that who was only cut off can contradict;
        those who left have left.
        """
        self.beliefs.hear((update("a", Standing.DEAD, 5),), 1.0)
        self.beliefs.hear((update("b", Standing.LEFT),), 1.0)
        told = {each.node.node_id: each.standing for each in self.beliefs.everything()}
        self.assertEqual(
            told,
            {"me": Standing.ALIVE, "a": Standing.SUSPECT, "b": Standing.LEFT},
        )

    def test_forgotten(self) -> None:
        """
        The dead are forgotten in the end.
        """
        self.beliefs.hear((update("a", Standing.DEAD, 5),), 1.0)
        self.beliefs.expire(1.0 + TOMBSTONE_SECONDS)
        self.assertEqual(self.beliefs.gone(), (peer("a"),))
        self.beliefs.expire(1.1 + TOMBSTONE_SECONDS)
        self.assertIsNone(self.beliefs.standing("a"))

    def test_news(self) -> None:
        """
        News is given what was told least first, and only so often.
        """
        self.beliefs.hear((update("b"),), 1.0)
        seen = [self.beliefs.news(2) for _ in range(10)]
        counts: dict[str, int] = {}
        for batch in seen:
            for each in batch:
                counts[each.node.node_id] = counts.get(each.node.node_id, 0) + 1
        self.assertEqual(counts, {"me": 3, "a": 3, "b": 3})
        self.assertEqual(len(seen[0]), 2)
        self.assertFalse(self.beliefs.has_fresh_news)

    def test_leave(self) -> None:
        """
        Who goes says so, and contradicts nobody afterwards.
        """
        left = self.beliefs.leave(1.0)
        self.assertEqual(left.standing, Standing.LEFT)
        self.beliefs.hear((update("me", Standing.DEAD, 50),), 1.0)
        self.assertEqual(self.beliefs.own, left)

    @given(st.permutations(range(8)))
    def test_order(self, order: list[int]) -> None:
        """
        Whatever the order in which news comes, the same is believed in the end.
        """
        news = [
            update("a", standing, incarnation)
            for standing in Standing
            for incarnation in (6, 7)
        ]
        beliefs = Beliefs(peer("me"), 10)
        beliefs.hear((update("a", incarnation=5),), 0.0)
        for index in order:
            beliefs.hear((news[index],), 1.0)
        self.assertEqual(beliefs.standing("a"), Standing.LEFT)


class RingTests(SynchronousTestCase):
    """
    Who watches whom.
    """

    def test_same_everywhere(self) -> None:
        """
        The order depends on who is a member, and not on who came when.
        """
        names = [f"n{index}" for index in range(50)]
        one, other = Rings(), Rings()
        for name in names:
            one.add(name)
        other.add("gone")
        for name in reversed(names):
            other.add(name)
        other.remove("gone")
        for name in names:
            self.assertEqual(one.successors(name), other.successors(name))
            for ward in one.successors(name):
                self.assertIn(name, one.predecessors(ward))

    def test_watched(self) -> None:
        """
        Everybody is watched by some others, and by no more than there are rings.
        """
        rings = Rings()
        names = [f"n{index}" for index in range(200)]
        for name in names:
            rings.add(name)
        counts = [len(rings.predecessors(name)) for name in names]
        self.assertGreaterEqual(min(counts), RINGS - 2)
        self.assertLessEqual(max(counts), RINGS)
        self.assertEqual(Rings().successors("alone"), ())


class TownTests(SynchronousTestCase):
    """
    What many nodes come to, in virtual time; ``benchmarks/gossip.py`` has a thousand.
    """

    def test_death(self) -> None:
        """
        A dead node is nobody's member after five seconds, and nobody else's goes.
        """
        town = Town(60, 1, Weather())
        town.start()
        town.pass_time(3)
        town.kill("node-0007")
        begun = town.clock.seconds()
        town.pass_time(WITHIN)
        told = {who for when, who, whom in town.removed if whom == "node-0007"}
        self.assertEqual(told - {"node-0007"}, town.alive)
        latest = max(when for when, who, _ in town.removed if who in town.alive)
        self.assertLessEqual(latest - begun, PERIOD * 1.05 + 3 * PATIENCE + 2.5)
        wrong = [one for one in town.removed if one[1] in town.alive]
        self.assertEqual({whom for _, _, whom in wrong}, {"node-0007"})

    def test_stalls(self) -> None:
        """
        Nobody who lives is taken for dead when one message in twenty is seconds late.
        """
        town = Town(40, 2, Weather(stalled=0.05))
        town.start()
        town.pass_time(20)
        self.assertEqual(town.removed, [])
        probes = sum(gossip.probes for gossip in town.nodes.values())
        failed = sum(gossip.failed for gossip in town.nodes.values())
        self.assertGreater(probes, 3000)
        self.assertLessEqual(failed / probes, 0.001)

    def test_late(self) -> None:
        """
        Who sends something, only not the answers that are waited for, is not taken for
        dead.
        """
        town = Town(12, 7, Weather())
        town.start()
        town.pass_time(2)
        town.late.add("node-0005")
        town.pass_time(20)
        self.assertEqual(town.removed, [])

    def test_taken_for_dead(self) -> None:
        """
        Who stood still and was taken for dead is back within seconds of running again,
        and knows the others that it took for dead meanwhile.
        """
        for seed in (7, 8, 9):
            town = Town(12, seed, Weather())
            town.start()
            town.pass_time(2)
            town.kill("node-0005")
            town.pass_time(8)
            self.assertNotIn("node-0005", town.nodes["node-0001"].beliefs.live)
            town.alive.add("node-0005")
            town.pass_time(8)
            for gossip in town.nodes.values():
                self.assertEqual(set(gossip.beliefs.live), town.alive)

    def test_coming_back(self) -> None:
        """
        Who is started anew after its death was known is everybody's member within two
        seconds.
        """
        town = Town(60, 8, Weather())
        town.start()
        town.pass_time(2)
        town.kill("node-0005")
        town.pass_time(6)
        self.assertEqual(town.know("node-0005"), 0)
        town.restart("node-0005")
        town.pass_time(2)
        self.assertEqual(town.know("node-0005"), 59)
        self.assertEqual(set(town.nodes["node-0005"].beliefs.live), town.alive)

    def test_leaving(self) -> None:
        """
        Who leaves is gone at once, without having been suspected.
        """
        town = Town(30, 3, Weather())
        town.start()
        town.pass_time(2)
        town.nodes["node-0004"].stopService()
        town.pass_time(0.5)
        town.kill("node-0004")
        told = {who for _, who, whom in town.removed if whom == "node-0004"}
        self.assertEqual(told, town.alive)
        self.assertEqual(sum(g.beliefs.suspicions for g in town.nodes.values()), 0)

    def test_partition(self) -> None:
        """
        Two halves go on by themselves, and find each other when the cut has healed.
        """
        town = Town(24, 4, Weather())
        town.start()
        town.pass_time(2)
        few = set(sorted(town.nodes)[:8])
        town.cut = lambda one, other: (one in few) != (other in few)
        town.pass_time(60)
        for name, gossip in town.nodes.items():
            half = few if name in few else town.alive - few
            self.assertEqual(set(gossip.beliefs.live), half)
        town.cut = lambda one, other: False
        healed = len(town.removed)
        town.pass_time(60)
        for gossip in town.nodes.values():
            self.assertEqual(set(gossip.beliefs.live), town.alive)
        self.assertEqual(town.removed[healed:], [])

    def test_same_seed(self) -> None:
        """
        The same seed gives the same run.
        """
        runs = []
        for _ in range(2):
            town = Town(12, 5, Weather(stalled=0.2))
            town.start()
            town.pass_time(5)
            town.kill("node-0001")
            town.pass_time(5)
            runs.append((town.messages, town.removed))
        for one, other in pairwise(runs):
            self.assertEqual(one, other)


class GossipedMembersTests(SynchronousTestCase):
    """
    What becomes of the control plane's list.
    """

    def test_both(self) -> None:
        """
        Who is on the list is a member, and who has fallen off it stays one while gossip
        finds it alive; whom gossip has found dead does not come back from the list.
        """
        town = Town(2, 6, Weather())
        me, other = town.peers
        gossip = town.nodes[me.node_id]
        table = NodeDiscovery(me, None, ImmediateWorker())
        members = GossipedMembers(table)
        members.gossip = gossip
        both = {me.node_id: me, other.node_id: other}
        members.update(Membership(7, both))
        self.assertEqual(table.current(), Membership(7, both))
        members.update(Membership(8, {me.node_id: me}))
        self.assertEqual(table.current(), Membership(8, both))
        dead = MemberUpdate(Standing.DEAD, 0, other)
        gossip.beliefs.hear((dead,), 1.0)
        members.update(Membership(9, both))
        self.assertEqual(table.current(), Membership(9, {me.node_id: me}))

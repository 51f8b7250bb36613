"""
Tests for :mod:`eliop2p.p2p.objects` and :mod:`eliop2p.p2p.object_table`.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ObjectId
from eliop2p.p2p.object_table import TURN_SECONDS, ObjectTable
from eliop2p.p2p.objects import WAIT_SECONDS, ObjectHome
from eliop2p.p2p.rendezvous import ranked
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import membership_of

ONE, TWO = ObjectId(b"1" * 32), ObjectId(b"2" * 32)


class ObjectTableTests(SynchronousTestCase):
    """
    Records and turns.
    """

    def test_bounded(self) -> None:
        """
        The records are no longer in all than was said; the least used goes first.
        """
        table = ObjectTable(max_bytes=30)
        names = [ObjectId(b"%032d" % number) for number in range(5)]
        for name in names[:3]:
            table.publish(name, "a", b"x" * 10)
        table.find(names[0], "a", 0.0)
        table.publish(names[3], "a", b"y" * 10)
        self.assertEqual(table.used, 30)
        self.assertEqual(table.find(names[0], "a", 0.0), b"x" * 10)
        self.assertEqual(table.find(names[1], "a", 0.0), b"")
        table.publish(names[4], "a", b"z" * 31)
        self.assertLessEqual(table.used, 30)

    def test_bounded_turns(self) -> None:
        """
        No more turns are remembered than was said.
        """
        table = ObjectTable(max_turns=3)
        for number in range(10):
            table.find(ObjectId(b"%032d" % number), "a", 0.0)
        self.assertEqual(len(table.turns_of("a")), 3)

    def test_written_meanwhile(self) -> None:
        """
        What was learnt before a write is not kept, what is learnt after it is.
        """
        table = ObjectTable()
        table.find(ONE, "a", 0.0)
        table.forget(ONE)
        self.assertFalse(table.publish(ONE, "a", b"old"))
        self.assertEqual(table.find(ONE, "b", 0.0), b"")
        self.assertTrue(table.publish(ONE, "b", b"new"))
        self.assertEqual(table.find(ONE, "c", 0.0), b"new")


class ObjectHomeTests(SynchronousTestCase):
    """
    Askers that wait for each other.
    """

    def setUp(self) -> None:
        """
        Make a home.
        """
        self.clock = Clock()
        self.table = ObjectTable()
        self.home = ObjectHome(self.table, self.clock, max_waiters=3)

    def tearDown(self) -> None:
        """
        Nothing may be left waiting.
        """
        self.assertEqual(self.home.waiting, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_published(self) -> None:
        """
        One asker learns the record, the others wait and get it.
        """
        self.assertEqual(self.successResultOf(self.home.find("a", ONE)), b"")
        others = [self.home.find(name, ONE) for name in ("a", "b")]
        for other in others:
            self.assertNoResult(other)
        self.home.publish("a", ONE, b"record")
        for other in others:
            self.assertEqual(self.successResultOf(other), b"record")
        self.assertEqual(self.successResultOf(self.home.find("c", ONE)), b"record")

    def test_released(self) -> None:
        """
        A turn that is given back goes to the next, and only the owner can give it.
        """
        self.home.find("a", ONE)
        second, third = self.home.find("b", ONE), self.home.find("c", ONE)
        self.home.release("c", ONE)
        self.assertNoResult(second)
        self.home.release("a", ONE)
        self.assertEqual(self.successResultOf(second), b"")
        self.assertNoResult(third)
        self.home.publish("b", ONE, b"record")
        self.assertEqual(self.successResultOf(third), b"record")

    def test_expired(self) -> None:
        """
        Who has waited for long gets the turn, whoever had it.
        """
        self.home.find("a", ONE)
        waiting = self.home.find("b", ONE)
        self.clock.advance(WAIT_SECONDS)
        self.assertEqual(self.successResultOf(waiting), b"")

    def test_expired_turn(self) -> None:
        """
        A turn that was not used ends by itself.
        """
        self.home.find("a", ONE)
        self.clock.advance(TURN_SECONDS)
        self.assertEqual(self.successResultOf(self.home.find("b", ONE)), b"")

    def test_lost(self) -> None:
        """
        The turns of a node that is gone go to others.
        """
        self.home.find("a", ONE)
        self.home.find("a", TWO)
        waiting = self.home.find("b", ONE)
        self.home.lost("a")
        self.assertEqual(self.successResultOf(waiting), b"")
        self.assertEqual(self.successResultOf(self.home.find("c", TWO)), b"")

    def test_cancelled(self) -> None:
        """
        A waiter that goes away is passed over.
        """
        self.home.find("a", ONE)
        first, second = self.home.find("b", ONE), self.home.find("c", ONE)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.home.release("a", ONE)
        self.assertEqual(self.successResultOf(second), b"")

    def test_too_many(self) -> None:
        """
        When too many wait, the next does not.
        """
        self.home.find("a", ONE)
        waiting = [self.home.find("b", ONE) for _ in range(3)]
        self.assertEqual(self.successResultOf(self.home.find("c", ONE)), b"")
        self.home.stop()
        for one in waiting:
            self.assertEqual(self.successResultOf(one), b"")

    def test_written_meanwhile(self) -> None:
        """
        A record that a write overtook goes to nobody; the next learns it anew.
        """
        self.home.find("a", ONE)
        waiting = self.home.find("b", ONE)
        self.home.forget(ONE)
        self.home.publish("a", ONE, b"old")
        self.assertEqual(self.successResultOf(waiting), b"")


class ObjectDirectoryTests(SynchronousTestCase):
    """
    Objects' records in a cluster.
    """

    def setUp(self) -> None:
        """
        Make a cluster.
        """
        self.cluster = Cluster(5)
        names = ranked(ONE, membership_of(*self.cluster.nodes).peers, 5)
        nodes = [self.cluster.nodes[name] for name in names]
        self.home, self.second = nodes[:2]
        self.others = nodes[2:]

    def find(self, node: Node) -> "Deferred[bytes | None]":
        """
        Let a node ask, and time pass.
        """
        finding = node.swarm.objects.find(ONE)
        self.cluster.run(0.1)
        return finding

    def test_one_learns(self) -> None:
        """
        Of all nodes, homes among them, one learns the record and all get it.
        """
        first, rest = self.others[0], [*self.others[1:], self.home, self.second]
        self.assertIsNone(self.successResultOf(self.find(first)))
        finding = [self.find(node) for node in rest]
        for one in finding:
            self.assertNoResult(one)
        first.swarm.objects.publish(ONE, b"record")
        self.cluster.run(0.1)
        for one in finding:
            self.assertEqual(self.successResultOf(one), b"record")

    def test_release(self) -> None:
        """
        A node that learnt nothing passes the turn on.
        """
        first, second, _ = self.others
        self.successResultOf(self.find(first))
        finding = self.find(second)
        self.assertNoResult(finding)
        first.swarm.objects.release(ONE)
        self.cluster.run(0.1)
        self.assertIsNone(self.successResultOf(finding))

    def test_forget(self) -> None:
        """
        After a write nobody gets the old record.
        """
        first, second, _ = self.others
        first.swarm.objects.publish(ONE, b"record")
        self.cluster.run(0.1)
        self.assertEqual(self.successResultOf(self.find(second)), b"record")
        second.swarm.objects.forget(ONE)
        self.cluster.run(0.1)
        self.assertIsNone(self.successResultOf(self.find(first)))

    def test_home_dies(self) -> None:
        """
        The second home answers for the first.
        """
        first, second, _ = self.others
        first.swarm.objects.publish(ONE, b"record")
        self.cluster.run(0.1)
        self.cluster.kill(self.home.node_id)
        self.assertEqual(self.successResultOf(self.find(second)), b"record")
        self.cluster.kill(self.second.node_id)
        self.assertIsNone(self.successResultOf(self.find(second)))

    def test_learner_dies(self) -> None:
        """
        When the node that has the turn dies, another gets it at once.
        """
        first, second, _ = self.others
        self.successResultOf(self.find(first))
        finding = self.find(second)
        self.cluster.kill(first.node_id)
        self.cluster.run(0.1)
        self.assertIsNone(self.successResultOf(finding))

    def test_alone(self) -> None:
        """
        A node without peers keeps its records itself, and asks nobody.
        """
        (node,) = Cluster(1)
        self.assertIsNone(self.successResultOf(node.swarm.objects.find(ONE)))
        node.swarm.objects.publish(ONE, b"record")
        found = self.successResultOf(node.swarm.objects.find(ONE))
        self.assertEqual((found, node.links.asked), (b"record", 0))

"""
Tests for what nodes do that see different members.
"""

import random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.interfaces import Fetched
from eliop2p.wire.events import Holder, Locate, Verdict
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import chunks_of, membership_of


class ViewTests(SynchronousTestCase):
    """
    Eight nodes, one of which does not know all of the others.
    """

    def setUp(self) -> None:
        """
        Choose a chunk with its homes.
        """
        self.cluster = Cluster(8)
        (self.chunk,) = chunks_of(1)
        self.homes = [self.cluster.home_of(self.chunk, place) for place in range(8)]
        self.store = self.cluster.store

    def hide(self, node: Node, *hidden: Node) -> None:
        """
        Let a node not know some others.
        """
        names = [each.node_id for each in self.cluster if each not in hidden]
        node.membership.update(membership_of(*names, version=2))

    def test_sent_on(self) -> None:
        """
        A home that knows of nobody who has a chunk names the better homes, with their
        addresses, and registers nobody.
        """
        request = Locate(7, self.chunk.id, 0, True, ())
        located = self.homes[1].swarm.requests.locate("x", request)
        better = Holder(self.homes[0].node_id, False, "10.0.0.1", 9000)
        self.assertEqual(located.verdict, Verdict.NOT_HOME)
        self.assertEqual(located.holders, (better,))
        self.assertEqual(len(self.homes[1].swarm.directory), 0)

    def test_better_home_failed(self) -> None:
        """
        A home stands in for the better one that failed the asker.
        """
        rejected = (self.homes[0].node_id,)
        request = Locate(7, self.chunk.id, 0, True, rejected)
        asker = self.homes[5].node_id
        located = self.homes[1].swarm.requests.locate(asker, request)
        self.assertEqual(located.verdict, Verdict.LEASE)

    def test_unknown_first_home(self) -> None:
        """
        A node that does not know the first home of a chunk is sent to it, gets the
        chunk, and is known there as a holder of it afterwards.
        """
        home, asker = self.homes[0], self.homes[5]
        self.hide(asker, home)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(1)
        self.successResultOf(fetching)
        self.assertEqual(home.swarm.directory.holders(self.chunk.id), (asker.node_id,))

    def test_unknown_first_home_is_dead(self) -> None:
        """
        When the home to which a node is sent does not answer, who named it decides.
        """
        home, second, asker = self.homes[0], self.homes[1], self.homes[5]
        self.hide(asker, home)
        asker.links.cut.add(home.node_id)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(1)
        self.successResultOf(fetching)
        self.assertEqual(len(self.store.reads), 1)
        holders = second.swarm.directory.holders(self.chunk.id)
        self.assertEqual(holders, (asker.node_id,))

    def test_unknown_homes(self) -> None:
        """
        A node that believes to be the first home itself asks those after it, and so
        finds who reads the store.
        """
        asker, reader = self.homes[2], self.homes[5]
        self.hide(asker, *self.homes[:2])
        first = reader.fetch(self.chunk)
        self.cluster.run(0.02)
        second = asker.fetch(self.chunk)
        self.cluster.run(1)
        self.assertEqual(self.successResultOf(first).source, "origin")
        self.assertEqual(self.successResultOf(second).source, "peer")
        self.assertEqual(len(self.store.reads), 1)

    def test_unknown_reader(self) -> None:
        """
        A home gets a chunk from its reader, whom it does not know, over the connection
        on which that one has asked.
        """
        home, reader = self.homes[0], self.homes[5]
        self.hide(home, reader)
        first = reader.fetch(self.chunk)
        self.cluster.run(0.02)
        second = home.fetch(self.chunk)
        self.cluster.run(1)
        self.assertEqual(self.successResultOf(first).source, "origin")
        self.assertEqual(self.successResultOf(second).source, "peer")
        self.assertEqual(len(self.store.reads), 1)

    def test_unknown_holder(self) -> None:
        """
        A node receives a chunk from a holder that it does not know.
        """
        holder, asker = self.homes[4], self.homes[5]
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.hide(asker, holder)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(1)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(self.store.reads, [])

    def test_late_home(self) -> None:
        """
        The first home is waited for when it waits for a processor, and the second one
        does not know who has the chunk.
        """
        home, second, reader, asker = (self.homes[place] for place in (0, 1, 4, 5))
        self.successResultOf(self.finished(reader))
        second.swarm.directory.forget(self.chunk.id)
        asker.links.late[home.node_id] = 3.0
        fetching = asker.fetch(self.chunk)
        self.cluster.run(3.5)
        self.assertNoResult(fetching)
        self.cluster.run(3)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(len(self.store.reads), 1)

    def test_slow_home(self) -> None:
        """
        One that says something meanwhile is not waited for: its link is slow.
        """
        home, asker = self.homes[0], self.homes[5]
        asker.links.late[home.node_id] = 3.0
        self.patch(asker.links, "starved", lambda _: False)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(1.5)
        self.assertEqual(self.successResultOf(fetching).source, "origin")

    def test_slow_homes(self) -> None:
        """
        A home that says that it is slow is passed over when it is late, and not taken
        for dead: its answer comes behind what else it sends.
        """
        asker, first = self.homes[5], self.homes[0].node_id
        asker.links.late[first] = 3.0
        for slow in (True, False):
            for home in self.homes[:3]:
                asker.swarm.speed.slow_nodes.note(home.node_id, slow=slow)
            self.patch(asker.links, "silence", lambda _: 1.5)
            fetching = asker.fetch(self.chunk)
            self.cluster.run(1.1)
            self.assertEqual(asker.links.reachable(first), slow)
            self.cluster.run(5.0)
            self.successResultOf(fetching)

    def test_only_home_is_slow(self) -> None:
        """
        The only home that is left is given more time when it says that it is slow.
        """
        asker, (first, *others) = self.homes[5], self.homes
        for slow in (True, False):
            for node in others:
                asker.links.suspect(node.node_id)
            asker.swarm.speed.slow_nodes.note(first.node_id, slow=slow)
            asker.links.late[first.node_id] = 2.8
            self.patch(asker.links, "silence", lambda _: 1.5)
            fetching = asker.fetch(self.chunk)
            self.cluster.run(2.5)
            self.assertEqual(asker.links.reachable(first.node_id), slow)
            self.assertEqual(fetching.called, not slow)
            self.cluster.run(5.0)
            self.successResultOf(fetching)

    def test_late_home_of_a_known_chunk(self) -> None:
        """
        It is not waited for when the second one knows.
        """
        home, reader, asker = (self.homes[place] for place in (0, 4, 5))
        self.successResultOf(self.finished(reader))
        asker.links.late[home.node_id] = 3.0
        fetching = asker.fetch(self.chunk)
        self.cluster.run(1.5)
        self.assertEqual(self.successResultOf(fetching).source, "peer")

    def finished(self, node: Node) -> "Deferred[Fetched]":
        """
        Let a node fetch the chunk.
        """
        fetching = node.fetch(self.chunk)
        self.cluster.run(1)
        return fetching

    def test_random_views(self) -> None:
        """
        Of nodes that each do not know two of the others, hardly any reads a chunk from
        the store that another reads too.
        """
        reads = 0
        for seed in range(20):
            cluster, rng = Cluster(8, seed), random.Random(seed)
            names = list(cluster.nodes)
            for node in cluster:
                others = [name for name in names if name != node.node_id]
                known = [node.node_id, *rng.sample(others, len(others) - 2)]
                node.membership.update(membership_of(*known, version=2))
            (chunk,) = chunks_of(1, b"object %d" % seed)
            fetching = [node.fetch(chunk) for node in cluster]
            cluster.run(5)
            for one in fetching:
                self.successResultOf(one)
            reads += len(cluster.store.reads)
        self.assertLessEqual(reads, 21)

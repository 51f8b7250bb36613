"""
Tests for :mod:`eliop2p.p2p.transfer_manager`, in clusters of a few nodes.
"""

import random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.interfaces import (
    Fetched,
    IChunkSource,
    IObjectDirectory,
    IPeerRequests,
)
from tests.p2p.test_transfer_homes import SlowOrigin
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import (
    CHUNK,
    chunks_of,
)


class ColdTests(SynchronousTestCase):
    """
    Nobody has the chunks yet.
    """

    def test_interfaces(self) -> None:
        """
        The parts keep to the letter of their interfaces.
        """
        node = next(iter(Cluster(1)))
        verifyObject(IChunkSource, node.transfers)
        verifyObject(IPeerRequests, node.swarm.requests)
        verifyObject(IObjectDirectory, node.swarm.objects)

    def test_alone(self) -> None:
        """
        A node without peers reads the store at once and asks nobody.
        """
        cluster = Cluster(1)
        (node,) = cluster
        (chunk,) = chunks_of(1)
        fetching = node.fetch(chunk)
        self.assertEqual(len(cluster.store.reads), 1)
        cluster.run(1)
        self.assertEqual(self.successResultOf(fetching).source, "origin")
        self.assertTrue(node.has(chunk))
        self.assertEqual((node.links.asked, node.links.told), (0, 0))
        self.assertEqual(len(node.swarm.directory), 0)

    def test_alone_without_right(self) -> None:
        """
        A node without peers that may not read the store says so at once.
        """
        cluster = Cluster(1)
        (node,) = cluster
        fetching = node.fetch(chunks_of(1)[0], node.origin(allowed=False))
        self.failureResultOf(fetching, ChunkUnavailable)

    def check_cold(self, size: int, count: int, spread: float) -> Cluster:
        """
        Let every node read all chunks and check what the store had to give.
        """
        cluster = Cluster(size)
        chunks = chunks_of(count)
        fetching: list[Deferred[Fetched]] = []
        for node in cluster:
            fetching += [node.fetch(chunk) for chunk in chunks]
            cluster.run(spread)
        cluster.run(30)
        for one in fetching:
            self.successResultOf(one)
        for node in cluster:
            for chunk in chunks:
                self.assertTrue(node.has(chunk))
        self.assertEqual(cluster.store.bytes_read, count * CHUNK)
        self.assertEqual(len(cluster.store.reads), count)
        return cluster

    def test_two_at_once(self) -> None:
        """
        Two nodes that want the same chunks at the same time read each once.
        """
        self.check_cold(2, 10, 0.0)

    def test_many_at_once(self) -> None:
        """
        Twelve nodes that want the same chunks at the same time read each once.
        """
        cluster = self.check_cold(12, 6, 0.0)
        peers = sum(node.transfers.counters.chunks_from_peers for node in cluster)
        self.assertEqual(peers, 11 * 6)
        self.assertTrue(
            all(not node.transfers.counters.last_resort_reads for node in cluster)
        )

    def test_many_staggered(self) -> None:
        """
        Nodes that come while others are still receiving are served by those.
        """
        self.check_cold(12, 6, 0.02)

    def test_warm(self) -> None:
        """
        A chunk that one node holds is not read from the store again.
        """
        cluster = Cluster(5)
        (chunk,) = chunks_of(1)
        holder, *others = cluster
        holder.hold(chunk)
        cluster.run(0.1)
        for node in others:
            origin = node.origin()
            fetching = node.fetch(chunk, origin)
            cluster.run(2)
            self.assertEqual(self.successResultOf(fetching).source, "peer")
            self.assertEqual(origin.passed, [0])
        self.assertEqual(cluster.store.reads, [])

    def test_nothing_left_behind(self) -> None:
        """
        When all is done nothing waits: no timer, no slot, no place, no load.
        """
        cluster = self.check_cold(8, 5, 0.01)
        cluster.run(60)
        self.assertEqual(cluster.clock.getDelayedCalls(), [])
        for node in cluster:
            self.assertEqual(node.swarm.requests.uploads, 0)
            self.assertEqual(len(node.transfers._standings), 0)
            for other in cluster:
                self.assertEqual(node.transfers.scores.in_flight(other.node_id), 0)
            for chunk in chunks_of(5):
                self.assertEqual(node.swarm.directory.receivers(chunk.id), ())

    def test_only_some_may_read(self) -> None:
        """
        Nodes that may not read the store wait for one that may.
        """
        cluster = Cluster(5)
        (chunk,) = chunks_of(1)
        rich, *poor = cluster
        slow = SlowOrigin(cluster, rich.node_id)
        fetching = [rich.fetch(chunk, slow)]
        cluster.run(0.01)
        fetching += [node.fetch(chunk, node.origin(allowed=False)) for node in poor]
        cluster.run(5)
        for waiting in fetching:
            self.assertNoResult(waiting)
        slow.go.callback(None)
        cluster.run(3)
        for done in fetching:
            self.successResultOf(done)
        self.assertEqual(cluster.store.reads, [])

    def test_nobody_may_read(self) -> None:
        """
        A chunk that nobody has and nobody may read is given up at once, by all.
        """
        cluster = Cluster(6)
        (chunk,) = chunks_of(1)
        fetching = [node.fetch(chunk, node.origin(allowed=False)) for node in cluster]
        cluster.run(0.2)
        for one in fetching:
            self.failureResultOf(one, ChunkUnavailable)
        for node in cluster:
            self.assertEqual(len(node.swarm.directory), 0)

    def test_reader_without_right_dies(self) -> None:
        """
        Nodes that lose the only one that may read the store give up soon.
        """
        cluster = Cluster(6)
        (chunk,) = chunks_of(1)
        rich = cluster.home_of(chunk, 2)
        poor = cluster.others(rich)
        rich.fetch(chunk).addErrback(lambda _: None)
        cluster.run(0.01)
        fetching = [node.fetch(chunk, node.origin(allowed=False)) for node in poor]
        cluster.run(0.06)
        self.assertTrue(any(node.chunks.flights[chunk.id].filled for node in poor))
        cluster.kill(rich.node_id)
        cluster.run(1)
        for one in fetching:
            self.failureResultOf(one, ChunkUnavailable)


class Storm:
    """
    Nodes that read, are cancelled, are cut off and die at random.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cluster = Cluster(8, seed)
        self.chunks = chunks_of(6)
        self.fetching: list[tuple[Node, Deferred[Fetched]]] = []
        self.casualties = 0

    def blow(self) -> None:
        """
        Let things happen, and then let everything come to rest.
        """
        rng = self.rng
        for _ in range(60):
            node = rng.choice(list(self.cluster))
            (action,) = rng.choices(
                (self.fetch, self.cancel, self.cut, self.kill), (75, 10, 5, 3)
            )
            action(node)
            self.cluster.run(rng.choice([0.0, 0.003, 0.02, 0.1]))
        self.cluster.run(200)

    def fetch(self, node: Node) -> None:
        """
        A node wants a chunk.
        """
        chunk = self.rng.choice(self.chunks)
        if chunk.id not in node.chunks.flights:
            self.fetching.append((node, node.fetch(chunk)))

    def cancel(self, _: Node) -> None:
        """
        A chunk is no longer wanted.
        """
        if self.fetching:
            _, fetching = self.rng.choice(self.fetching)
            self.casualties += not fetching.called
            fetching.addErrback(lambda _: None)
            fetching.cancel()

    def cut(self, node: Node) -> None:
        """
        A node can no longer reach another.
        """
        node.links.cut.add(self.rng.choice(list(self.cluster)).node_id)
        self.casualties += 1

    def kill(self, node: Node) -> None:
        """
        A node dies; who is alive is known a little later.
        """
        if len(self.cluster.nodes) > 4:
            self.casualties += len(node.chunks.flights)
            self.cluster.kill(node.node_id)
            self.cluster.clock.callLater(self.rng.random(), self.cluster.agree)


class StormTests(SynchronousTestCase):
    """
    Everything at once, from seeds.
    """

    def test_seeds(self) -> None:
        """
        Whatever fails, every fetch of a living node ends, with the right bytes, the
        store is read again only where something failed, and nothing is left behind.
        """
        for seed in range(60):
            storm = Storm(seed)
            storm.blow()
            cluster = storm.cluster
            for node, fetching in storm.fetching:
                self.assertTrue(fetching.called or node not in list(cluster), seed)
                fetching.addErrback(lambda _: None)
            reads = len(cluster.store.reads)
            self.assertLessEqual(reads, 2 * len(storm.chunks) + storm.casualties, seed)
            for node in cluster:
                for chunk in storm.chunks:
                    arrived = chunk.id in node.chunks.flights
                    self.assertEqual(node.has(chunk), arrived, seed)
                self.assertEqual(node.swarm.requests.uploads, 0)
                self.assertEqual(len(node.transfers._standings), 0)
            self.assertEqual(cluster.clock.getDelayedCalls(), [])

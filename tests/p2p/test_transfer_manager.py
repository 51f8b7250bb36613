"""
Tests for :mod:`eliop2p.p2p.transfer_manager`, in clusters of a few nodes.
"""

import random

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ChunkUnavailable, CorruptChunk, OriginRefused
from eliop2p.interfaces import (
    Fetched,
    IChunkSink,
    IChunkSource,
    IObjectDirectory,
    IPeerRequests,
)
from eliop2p.model.chunk import Chunk
from eliop2p.p2p.attach import Standing
from eliop2p.p2p.rendezvous import ranked
from tests.p2p.tiny_cluster import (
    CHUNK,
    PIECE,
    Cluster,
    FakeOrigin,
    Flight,
    Node,
    chunks_of,
    content,
    digest_of,
    membership_of,
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


class FaultTests(SynchronousTestCase):
    """
    Nodes, links and the store fail.
    """

    def setUp(self) -> None:
        """
        Make a cluster.
        """
        self.cluster = Cluster(6)
        (self.chunk,) = chunks_of(1)
        self.home = self.cluster.home_of(self.chunk)
        self.second = self.cluster.home_of(self.chunk, 1)
        self.others = self.cluster.others(self.home, self.second)

    def filled(self, node: Node) -> int:
        """
        Tell how far a node is.
        """
        return node.chunks.flights[self.chunk.id].filled

    def test_holder_dies(self) -> None:
        """
        When a holder dies midway, another goes on where it stopped.
        """
        asker, *holders = self.others
        for holder in holders:
            holder.hold(self.chunk)
        self.cluster.run(0.1)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(0.02)
        giver = next(
            node
            for node in holders
            if asker.transfers.scores.in_flight(node.node_id) == 1
        )
        self.assertGreater(self.filled(asker), 0)
        self.cluster.kill(giver.node_id)
        self.cluster.run(3)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertTrue(asker.has(self.chunk))
        self.assertEqual(asker.transfers.counters.bytes_from_peers, CHUNK)
        self.assertEqual(self.cluster.store.reads, [])

    def test_reader_dies(self) -> None:
        """
        When the reader of the store dies midway, one of the others reads the chunk from
        its start, for nobody has checked what is there, and the others get the rest
        from that one.
        """
        reader, waiting, fetching = self.begin_reading()
        reached = max(self.filled(node) for node in waiting)
        self.assertGreater(reached, 0)
        before = self.kill(reader)
        self.cluster.run(5)
        for one in fetching:
            self.successResultOf(one)
        for node in waiting:
            self.assertTrue(node.has(self.chunk))
        self.assertEqual([start for *_, start in self.cluster.store.reads], [0, 0])
        self.assertLessEqual(self.cluster.store.bytes_read - before, CHUNK)
        received = sum(node.transfers.counters.bytes_from_peers for node in waiting)
        self.assertLessEqual(received, len(waiting) * CHUNK)

    def begin_reading(
        self, *, wrong: bool = False
    ) -> tuple[Node, list[Node], "list[Deferred[Fetched]]"]:
        """
        Let one node read the store, and others get the first bytes from it.

        Args:
            wrong: Whether it gives them others than the store's.

        Returns:
            The reader, the others, and what these wait for.
        """
        reader, *waiting = self.others
        if wrong:
            reader.lie = lambda data: bytes(len(data))
        self.reading = reader.fetch(self.chunk).addErrback(lambda _: None)
        self.cluster.run(0.01)
        fetching = [node.fetch(self.chunk) for node in waiting]
        self.cluster.run(0.05)
        return reader, waiting, fetching

    def kill(self, reader: Node) -> int:
        """
        Let the reader die.

        Returns:
            How many bytes have been read from the store.
        """
        self.cluster.kill(reader.node_id)
        self.reading.cancel()
        return self.cluster.store.bytes_read

    def test_lying_reader_dies(self) -> None:
        """
        Wrong bytes of a reader that dies before anybody knows the digest are found by
        who reads the store next: nobody keeps them, and the next try is right.
        """
        reader, waiting, fetching = self.begin_reading(wrong=True)
        begun = [node for node in waiting if self.filled(node)]
        self.assertNotEqual(begun, [])
        before = self.kill(reader)
        self.cluster.run(5)
        for one in fetching:
            one.addErrback(lambda failure: failure.trap(CorruptChunk) and None)
            self.successResultOf(one)
        corrupt = [node.transfers.counters.corrupt for node in waiting]
        self.assertEqual(sum(corrupt), len(begun))
        for node in waiting:
            if self.chunk.id not in node.chunks.flights:
                again = node.fetch(self.chunk)
                self.cluster.run(3)
                self.successResultOf(again)
            self.assertTrue(node.has(self.chunk))
        spent = self.cluster.store.bytes_read - before
        self.assertLessEqual(spent, CHUNK + len(waiting) * PIECE)

    def test_relay_without_source(self) -> None:
        """
        A node that loses its source, and may not read the store, lets those who wait
        for it go at once, so that one of them reads.
        """
        reader, relay, child = self.others[:3]
        reader.fetch(self.chunk).addErrback(lambda _: None)
        self.cluster.run(0.01)
        waiting = relay.fetch(self.chunk, relay.origin(allowed=False))
        self.cluster.run(0.04)
        child.links.cut.add(reader.node_id)
        fetching = child.fetch(self.chunk)
        self.cluster.run(0.02)
        self.assertEqual(relay.swarm.requests.uploads, 1)
        self.assertGreater(self.filled(child), 0)
        self.cluster.kill(reader.node_id)
        self.cluster.run(1)
        self.assertEqual(self.successResultOf(fetching).source, "origin")
        self.assertEqual(self.successResultOf(waiting).source, "peer")
        self.assertTrue(relay.has(self.chunk))
        self.assertEqual(child.transfers.counters.peer_failures, 1)

    def test_reader_fails(self) -> None:
        """
        When the store refuses the reader, its client hears so, and another reads.
        """
        reader, *waiting = self.others
        origin = reader.origin()
        origin.broken = True
        failing = reader.fetch(self.chunk, origin)
        self.cluster.run(0.01)
        fetching = [node.fetch(self.chunk) for node in waiting]
        self.cluster.run(5)
        self.failureResultOf(failing, OriginRefused)
        for one in fetching:
            self.successResultOf(one)
        self.assertEqual(len(self.cluster.store.reads), 2)

    def test_cancelled_reader(self) -> None:
        """
        When nobody wants the reader's chunk any more, the lease goes to another.
        """
        reader, other, *_ = self.others
        reading = reader.fetch(self.chunk)
        self.cluster.run(0.05)
        fetching = other.fetch(self.chunk)
        self.cluster.run(0.01)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertTrue(other.has(self.chunk))
        self.assertEqual(len(self.cluster.store.reads), 2)
        self.assertEqual(
            self.home.swarm.directory.holders(self.chunk.id), (other.node_id,)
        )

    def test_cancelled_and_wanted_again(self) -> None:
        """
        A chunk that is wanted again at once is still read by one node only.
        """
        reader, other, *_ = self.others
        reading = reader.fetch(self.chunk)
        self.cluster.run(0.05)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        again = reader.fetch(self.chunk)
        self.cluster.run(0.02)
        fetching = other.fetch(self.chunk)
        self.cluster.run(3)
        self.successResultOf(again)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(len(self.cluster.store.reads), 2)

    def test_liar(self) -> None:
        """
        A peer whose bytes do not match is not asked again; the next attempt succeeds.
        """
        asker, liar, honest, *_ = self.others
        liar.hold(self.chunk)
        liar.lie = lambda data: bytes(len(data))
        self.cluster.run(0.1)
        failing = asker.fetch(self.chunk)
        self.cluster.run(3)
        self.failureResultOf(failing, CorruptChunk)
        self.assertEqual(asker.transfers.counters.corrupt, 1)
        now = self.cluster.clock.seconds()
        self.assertEqual(asker.transfers.scores.banned(now), (liar.node_id,))
        honest.hold(self.chunk)
        self.cluster.run(0.1)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertTrue(asker.has(self.chunk))
        self.assertEqual(self.cluster.store.reads, [])

    def test_lonely_liar(self) -> None:
        """
        When the only holder lies, the next attempt reads the store.
        """
        asker, liar, *_ = self.others
        liar.hold(self.chunk)
        liar.lie = lambda data: bytes(len(data))
        self.cluster.run(0.1)
        self.failed = asker.fetch(self.chunk)
        self.cluster.run(3)
        self.failureResultOf(self.failed, CorruptChunk)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(3)
        self.assertEqual(self.successResultOf(fetching).source, "origin")
        self.assertTrue(asker.has(self.chunk))

    def test_liar_about_digest(self) -> None:
        """
        Wrong bytes under their own digest are refused when another digest is known.
        """
        asker, liar, honest, *_ = self.others
        honest.hold(self.chunk)
        self.cluster.run(0.1)
        wrong = bytes(CHUNK)
        liar.hold(self.chunk, wrong)
        self.cluster.run(0.1)
        for home in (self.home, self.second):
            directory = home.swarm.directory
            self.assertEqual(directory.holders(self.chunk.id), (honest.node_id,))
            self.assertEqual(directory.conflicts, 1)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.successResultOf(fetching)
        self.assertTrue(asker.has(self.chunk))

    def test_too_long(self) -> None:
        """
        A peer that sends more than the chunk holds is left for another.
        """
        asker, liar, honest, *_ = self.others
        liar.hold(self.chunk)
        last = content(self.chunk)[-1000:]
        liar.lie = lambda data: data + b"!" if data == last else data
        self.cluster.run(0.1)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(0.02)
        honest.hold(self.chunk)
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertTrue(asker.has(self.chunk))
        self.assertEqual(asker.transfers.counters.peer_failures, 1)
        self.assertEqual(self.cluster.store.reads, [])

    def test_home_dies(self) -> None:
        """
        When the first home is dead, the second knows what it knew.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.cluster.kill(self.home.node_id)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")

    def test_homes_die(self) -> None:
        """
        When both homes are dead, who stands in has been told of the holder.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.cluster.kill(self.home.node_id)
        self.cluster.kill(self.second.node_id)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(self.cluster.store.reads, [])

    def test_new_homes_learn(self) -> None:
        """
        After homes have died and the members are known, holders tell the new homes.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.cluster.kill(self.home.node_id)
        self.cluster.kill(self.second.node_id)
        self.cluster.agree()
        self.cluster.run(1)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")

    def test_home_forgets(self) -> None:
        """
        A home that restarted and knows nothing asks the second before the store is
        read.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.cluster.nodes[self.home.node_id] = Node(self.cluster, self.home.node_id)
        self.cluster.nodes[self.home.node_id].membership.update(
            membership_of(*self.cluster.nodes)
        )
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(self.cluster.store.reads, [])

    def test_home_forgets_without_right(self) -> None:
        """
        A node that may not read the store asks the second home before it gives up.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.home.swarm.directory.forget(self.chunk.id)
        fetching = asker.fetch(self.chunk, asker.origin(allowed=False))
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")

    def test_views_differ(self) -> None:
        """
        Nodes that know a newcomer and nodes that do not read a chunk once.
        """
        names = list(self.cluster.nodes)
        newcomer = Node(self.cluster, "newcomer")
        chunk = next(
            chunk
            for chunk in chunks_of(100, b"another")
            if self._first_home(chunk, [*names, "newcomer"]) == "newcomer"
        )
        self.cluster.nodes["newcomer"] = newcomer
        new = membership_of(*names, "newcomer", version=2)
        newcomer.membership.update(new)
        old_view, new_view, *_ = self.others
        new_view.membership.update(new)
        first = old_view.fetch(chunk)
        self.cluster.run(0.02)
        second = new_view.fetch(chunk)
        third = newcomer.fetch(chunk)
        self.cluster.run(3)
        for one in (first, second, third):
            self.successResultOf(one)
        self.assertEqual(len(self.cluster.store.reads), 1)

    @staticmethod
    def _first_home(chunk: Chunk, names: list[str]) -> str:
        return ranked(chunk.id, membership_of(*names).peers, 1)[0]

    def test_cut_off_from_reader(self) -> None:
        """
        A node that cannot reach the reader reads the store itself when the lease is no
        longer fresh, and not before.
        """
        reader, asker, *_ = self.others
        asker.links.cut.add(reader.node_id)
        origin = SlowOrigin(self.cluster, reader.node_id)
        reading = reader.fetch(self.chunk, origin)
        self.cluster.run(0.02)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(0.4)
        self.assertEqual(self.cluster.store.reads, [])
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertEqual(
            [name for name, *_ in self.cluster.store.reads], [asker.node_id]
        )
        origin.go.callback(None)
        self.cluster.run(3)
        self.successResultOf(reading)

    def test_busy(self) -> None:
        """
        More askers than a holder has slots are all served, and the store is not read.
        """
        cluster = Cluster(3)
        chunks = chunks_of(40)
        holder, *askers = cluster
        for chunk in chunks:
            holder.hold(chunk)
        cluster.run(0.1)
        fetching = [node.fetch(chunk) for node in askers for chunk in chunks]
        cluster.run(15)
        for one in fetching:
            self.successResultOf(one)
        self.assertEqual(cluster.store.reads, [])

    def test_stale_holder(self) -> None:
        """
        A holder that has lost the chunk without a word costs one question.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        del holder.chunks.flights[self.chunk.id]
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "origin")
        self.assertEqual(asker.transfers.counters.peer_failures, 1)

    def test_withdrawn(self) -> None:
        """
        After a node has withdrawn a chunk, nobody is sent to it.
        """
        holder, *_ = self.others
        holder.hold(self.chunk)
        holder.transfers.withdraw(self.chunk.id)
        self.cluster.run(0.1)
        self.assertEqual(self.home.swarm.directory.holders(self.chunk.id), ())
        self.assertEqual(len(self.home.swarm.directory), 0)

    def test_resumes(self) -> None:
        """
        A chunk of which the beginning is here is asked for from there.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        flight = Flight(self.chunk)
        flight.write(0, content(self.chunk)[:3000])
        fetching = asker.transfers.fetch(flight, asker.origin())
        self.cluster.run(2)
        fetched = self.successResultOf(fetching)
        self.assertEqual(fetched.digest, digest_of(content(self.chunk)))
        self.assertEqual(asker.transfers.counters.bytes_from_peers, CHUNK - 3000)

    def test_resumes_read(self) -> None:
        """
        A chunk whose beginning came from the store is read on from there; any other
        beginning is read again.
        """
        for source, start in (("origin", 3000), ("peer", 0), ("", 0)):
            (chunk,) = chunks_of(1, source.encode())
            reader, *_ = self.others
            flight = Flight(chunk)
            flight.write(0, content(chunk)[:3000])
            flight.source = source
            fetching = reader.transfers.fetch(flight, reader.origin())
            self.cluster.run(2)
            fetched = self.successResultOf(fetching)
            self.assertEqual(fetched, Fetched(digest_of(content(chunk)), "origin"))
            self.assertEqual(flight.source, "origin")
            (*_, begun) = self.cluster.store.reads[-1]
            self.assertEqual(begun, start)

    def test_whole_without_digest(self) -> None:
        """
        A chunk whose every byte is here is only checked.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        flight = Flight(self.chunk)
        flight.write(0, content(self.chunk))
        fetching = asker.transfers.fetch(flight, asker.origin())
        self.cluster.run(2)
        self.successResultOf(fetching)
        self.assertEqual(asker.transfers.counters.bytes_from_peers, 0)

    def test_corrupt_beginning(self) -> None:
        """
        A chunk whose beginning was wrong fails, and nobody is banned for it.
        """
        holder, asker, *_ = self.others
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        flight = Flight(self.chunk)
        flight.write(0, bytes(3000))
        fetching = asker.transfers.fetch(flight, asker.origin())
        self.cluster.run(2)
        self.failureResultOf(fetching, CorruptChunk)
        self.assertEqual(
            asker.transfers.scores.banned(self.cluster.clock.seconds()), ()
        )


class SlowOrigin(FakeOrigin):
    """
    A store that begins when told.
    """

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        super().__init__(cluster.store, node_id)
        self.go: Deferred[None] = Deferred()

    async def _read(self, sink: IChunkSink) -> None:
        await self.go
        sink.write(sink.filled, content(sink.chunk)[sink.filled :])


class StandingTests(SynchronousTestCase):
    """
    What others are told of a chunk that is arriving.
    """

    def test_while_reading(self) -> None:
        """
        While a node reads the store, and only then, anybody may wait for it.
        """
        cluster = Cluster(3)
        (chunk,) = chunks_of(1)
        node = next(iter(cluster))
        fetching = node.fetch(chunk)
        cluster.run(0.02)
        self.assertTrue(node.transfers._standings.of(chunk.id).reads_store)
        cluster.run(2)
        self.successResultOf(fetching)
        self.assertEqual(node.transfers._standings.of(chunk.id), Standing())


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

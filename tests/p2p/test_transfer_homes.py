"""
Tests for transfers whose homes fail, and for what is resumed.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import CorruptChunk
from eliop2p.interfaces import (
    Fetched,
    IChunkSink,
)
from eliop2p.model.chunk import Chunk
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.attach import Standing
from eliop2p.p2p.rendezvous import ranked
from eliop2p.wire.rules import Question
from tests.p2p.fault_case import FaultCase
from tests.p2p.tiny_cluster import Cluster, FakeOrigin, Node
from tests.p2p.tiny_parts import (
    CHUNK,
    Flight,
    chunks_of,
    content,
    digest_of,
    membership_of,
)


class HomeFaultTests(FaultCase):
    """
    Homes that die, forget and differ, and holders that are not what they seem.
    """

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

    def test_slow_home(self) -> None:
        """
        A home that says that it is slow is asked last, and still about what the others
        know nothing of; the chunk is read once.
        """
        first, asker, *_ = self.others
        for node in self.cluster:
            node.swarm.speed.slow_nodes.note(self.home.node_id, slow=True)
        asked: list[str] = []
        ask = asker.links.ask

        def noted(peer: PeerInfo, request: Question) -> "Deferred[Any]":
            asked.append(peer.node_id)
            return ask(peer, request)

        self.patch(asker.links, "ask", noted)
        fetching = asker.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "origin")
        homes = [self.second.node_id, self.home.node_id]
        self.assertEqual(asked[:2], homes)
        fetching = first.fetch(self.chunk)
        self.cluster.run(2)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertEqual(len(self.cluster.store.reads), 1)

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

"""
Tests for transfers whose readers die, lie and give up.
"""

from twisted.internet.defer import CancelledError

from eliop2p.base.errors import CorruptChunk, OriginRefused
from tests.p2p.fault_case import FaultCase
from tests.p2p.tiny_parts import CHUNK, PIECE, content


class FaultTests(FaultCase):
    """
    Nodes, links and the store fail.
    """

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

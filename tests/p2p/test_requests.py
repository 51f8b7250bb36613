"""
Tests for :mod:`eliop2p.p2p.requests`.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import PeerBehind, PeerBusy, PeerMissing
from eliop2p.interfaces import IChunkReading
from eliop2p.model.chunk import ChunkId
from eliop2p.wire.events import Get, Goodbye, Locate, Verdict
from tests.p2p.tiny_cluster import Cluster
from tests.p2p.tiny_parts import CHUNK, Flight, chunks_of, content


class UploadTests(SynchronousTestCase):
    """
    What peers may take.
    """

    def setUp(self) -> None:
        """
        Make a node that holds one chunk and receives another.
        """
        self.cluster = Cluster(3)
        self.node = next(iter(self.cluster))
        self.requests = self.node.swarm.requests
        self.held, self.arriving, self.absent = chunks_of(3)
        self.node.hold(self.held)
        self.flight = Flight(self.arriving)
        self.node.chunks.flights[self.arriving.id] = self.flight
        self.standings = self.node.transfers._standings

    def open(
        self, chunk_id: ChunkId, offset: int = 0, ticket: int = 0, peer: str = "p"
    ) -> "Deferred[IChunkReading]":
        """
        Ask for a chunk.
        """
        return self.requests.open(peer, Get(1, chunk_id, offset, ticket))

    def test_held(self) -> None:
        """
        A chunk that is held may be had from anywhere in it, even from its end.
        """
        for offset in (0, 5, CHUNK):
            reading = self.successResultOf(self.open(self.held.id, offset))
            verifyObject(IChunkReading, reading)
            self.assertEqual((reading.length, reading.filled), (CHUNK, CHUNK))
            self.assertEqual(reading.source, "memory")
            self.assertIsNotNone(reading.digest)
            reading.close()
        piece = self.successResultOf(
            self.successResultOf(self.open(self.held.id)).read(3, 4)
        )
        self.assertEqual(piece, content(self.held)[3:7])

    def test_absent(self) -> None:
        """
        A chunk that is not here is missing.
        """
        self.failureResultOf(self.open(self.absent.id), PeerMissing)
        self.failureResultOf(self.open(self.held.id, CHUNK + 1), PeerBehind)
        self.assertEqual(self.requests.uploads, 0)

    def test_arriving(self) -> None:
        """
        A chunk that is arriving goes to those that are behind this node only.
        """
        self.failureResultOf(self.open(self.arriving.id, 0, 9), PeerBehind)
        self.standings.join(self.arriving.id, 5)
        self.successResultOf(self.open(self.arriving.id, 0, 9))
        self.failureResultOf(self.open(self.arriving.id, 0, 3), PeerBehind)
        self.flight.write(0, b"x" * 100)
        self.successResultOf(self.open(self.arriving.id, 99, 3))
        self.failureResultOf(self.open(self.arriving.id, 100, 9), PeerBehind)

    def test_read_from_store(self) -> None:
        """
        A chunk that is being read from the store goes to all, whatever they have.
        """
        self.standings.read_store(self.arriving.id)
        for offset in (0, 50, CHUNK - 1):
            self.successResultOf(self.open(self.arriving.id, offset))
        self.failureResultOf(self.open(self.arriving.id, CHUNK), PeerBehind)

    def test_slots(self) -> None:
        """
        Uploads are bounded, in all and for one peer, and closing one makes room, once.
        """
        readings = [self.successResultOf(self.open(self.held.id)) for _ in range(8)]
        self.failureResultOf(self.open(self.held.id), PeerBusy)
        *others, last = chunks_of(9, b"others")
        self.node.hold(last)
        for other in others:
            self.node.hold(other)
            self.successResultOf(self.open(other.id, peer="q"))
        self.failureResultOf(self.open(last.id, peer="r"), PeerBusy)
        self.assertEqual(self.requests.uploads, 16)
        readings[0].close()
        readings[0].close()
        self.assertEqual(self.requests.uploads, 15)
        self.successResultOf(self.open(last.id, peer="r"))
        self.failureResultOf(self.open(last.id, peer="r"), PeerBusy)

    def test_share(self) -> None:
        """
        A node that has its share of uploads passes on each chunk once more, and sends
        those who come second for one elsewhere.
        """
        more = chunks_of(10, b"another")
        for chunk in more:
            self.node.hold(chunk)
        for number in range(8):
            self.successResultOf(self.open(more[0].id, peer=f"p{number}"))
        self.failureResultOf(self.open(more[0].id, peer="q"), PeerBusy)
        self.successResultOf(self.open(more[1].id, peer="q"))
        self.failureResultOf(self.open(more[1].id, peer="r"), PeerBusy)
        for chunk in chunks_of(10, b"on their way"):
            self.standings.join(chunk.id, 1)
        self.successResultOf(self.open(more[1].id, peer="r"))

    def test_stalled(self) -> None:
        """
        Who waits for a chunk that does not come on is let go; who has bytes to read
        reads them, and a chunk that is held is not concerned.
        """
        self.standings.join(self.arriving.id, 5)
        self.flight.write(0, b"x" * 100)
        waiting, reading, closed = (
            self.successResultOf(self.open(self.arriving.id, 0, 9)) for _ in range(3)
        )
        held = self.successResultOf(self.open(self.held.id))
        closed.close()
        missed = waiting.read(100, 10)
        self.standings.stall(self.arriving.id)
        self.standings.stall(self.held.id)
        self.failureResultOf(missed, PeerBehind)
        for one in (reading, held):
            self.successResultOf(one.read(0, 100))
        later = reading.read(100, 10)
        self.flight.write(100, b"y" * 10)
        self.assertEqual(self.successResultOf(later), b"y" * 10)
        for one in (waiting, reading, held):
            one.close()
        self.assertEqual(self.requests.uploads, 0)
        self.assertEqual(self.standings._watchers, {})

    def become_slow(self, node_id: str = "") -> None:
        """
        Let the node find that its link, or another's, is slow.
        """
        speed = self.node.swarm.speed
        speed.slow_nodes.note(node_id or self.node.node_id, slow=True)
        for changed in speed._watchers:
            changed()

    def test_slow_and_receiving(self) -> None:
        """
        A slow node passes on nothing that it is only receiving, not what it has of it
        either; what it holds it gives to one peer at a time.
        """
        self.standings.join(self.arriving.id, 5)
        self.flight.write(0, b"x" * 100)
        waiting, reading = (
            self.successResultOf(self.open(self.arriving.id, 0, 9)) for _ in range(2)
        )
        held = self.successResultOf(self.open(self.held.id))
        missed = waiting.read(100, 10)
        self.become_slow()
        self.failureResultOf(missed, PeerBehind)
        self.failureResultOf(reading.read(0, 100), PeerBehind)
        self.failureResultOf(self.open(self.arriving.id, 0, 9), PeerBusy)
        self.successResultOf(held.read(0, 100))
        self.failureResultOf(self.open(self.held.id), PeerBusy)
        held.close()
        self.successResultOf(self.open(self.held.id))
        for one in (waiting, reading):
            one.close()
        self.assertEqual(self.requests._arriving, {})

    def test_slow_and_reading(self) -> None:
        """
        What a slow node reads from the store it passes on to one peer: the one that is
        furthest.
        """
        self.standings.read_store(self.arriving.id)
        self.flight.write(0, b"x" * 100)
        behind, ahead = (
            self.successResultOf(self.open(self.arriving.id, offset))
            for offset in (10, 20)
        )
        self.become_slow()
        self.failureResultOf(behind.read(10, 1), PeerBehind)
        self.assertEqual(self.successResultOf(ahead.read(20, 1)), b"x")
        self.failureResultOf(self.open(self.arriving.id, 10), PeerBusy)
        for one in (behind, ahead):
            one.close()
        self.successResultOf(self.open(self.arriving.id, 10))

    def test_slow_among_slow(self) -> None:
        """
        It passes it on to none that is slow, too, for who waits for that one would wait
        longer.
        """
        self.standings.read_store(self.arriving.id)
        self.flight.write(0, b"x" * 100)
        slow = self.successResultOf(self.open(self.arriving.id, 20, peer="slow"))
        fast = self.successResultOf(self.open(self.arriving.id, 10, peer="fast"))
        self.become_slow("slow")
        self.become_slow()
        self.failureResultOf(slow.read(20, 1), PeerBehind)
        self.assertEqual(self.successResultOf(fast.read(10, 1)), b"x")
        for one in (slow, fast):
            one.close()
        self.failureResultOf(self.open(self.arriving.id, 10, peer="slow"), PeerBusy)
        later = self.successResultOf(self.open(self.arriving.id, 10, peer="late"))
        self.become_slow("late")
        self.failureResultOf(later.read(10, 1), PeerBehind)

    def test_failures_free_slots(self) -> None:
        """
        What cannot be opened takes no slot.
        """
        for _ in range(50):
            self.failureResultOf(self.open(self.absent.id), PeerMissing)
        self.assertEqual(self.requests.uploads, 0)


class HomeTests(SynchronousTestCase):
    """
    What homes answer.
    """

    def test_not_home(self) -> None:
        """
        A node that is no home of a chunk says so, and registers nobody.
        """
        cluster = Cluster(4)
        (chunk,) = chunks_of(1)
        stranger = cluster.home_of(chunk, 2)
        request = Locate(7, chunk.id, 0, True, ())
        located = stranger.swarm.requests.locate("x", request)
        self.assertEqual((located.verdict, located.request_id), (Verdict.NOT_HOME, 7))
        self.assertEqual(len(stranger.swarm.directory), 0)

    def test_leases_are_told(self) -> None:
        """
        The second home knows of the first home's lease.
        """
        cluster = Cluster(4)
        (chunk,) = chunks_of(1)
        reader = cluster.home_of(chunk, 2)
        cluster.home_of(chunk).swarm.requests.locate(
            reader.node_id, Locate(7, chunk.id, 0, True, ())
        )
        cluster.run(0.1)
        second = cluster.home_of(chunk, 1).swarm.directory
        self.assertEqual(second.reader(chunk.id), reader.node_id)

    def test_goodbye(self) -> None:
        """
        A peer that says goodbye is no longer listed; one that breaks off still is.
        """
        cluster = Cluster(4)
        (chunk,) = chunks_of(1)
        home, holder = cluster.home_of(chunk), cluster.home_of(chunk, 3)
        holder.hold(chunk)
        cluster.run(0.1)
        home.swarm.requests.lost(holder.node_id)
        self.assertEqual(home.swarm.directory.holders(chunk.id), (holder.node_id,))
        home.swarm.requests.told(holder.node_id, Goodbye())
        self.assertEqual(home.swarm.directory.holders(chunk.id), ())

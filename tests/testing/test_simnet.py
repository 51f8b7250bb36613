"""
Tests for :mod:`eliop2p.testing.simnet`.
"""

import hashlib
import random
from collections.abc import Callable
from typing import cast

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.interfaces import INetwork
from eliop2p.net.copying_sender import TransportSender
from eliop2p.net.sender import make_sender
from eliop2p.testing.simnet import SimNetwork, advance_until, let_pass
from eliop2p.testing.simtransport import SimTransport

ONE, TWO, THREE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
WINDOW = 256 * 1024
_DONE = Failure(error.ConnectionDone())


class End(Protocol):
    """
    One end of a connection, which remembers what it heard and when.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.received = bytearray()
        self.sizes: list[int] = []
        self.lost_because: Failure | None = None
        self.lost_at = -1.0
        self.is_writing = False

    @property
    def connection(self) -> SimTransport:
        """
        The transport.
        """
        return cast("SimTransport", self.transport)

    def write(self, data: bytes) -> None:
        """
        Write, and notice when something is delivered meanwhile.
        """
        self.is_writing = True
        self.connection.write(data)
        self.is_writing = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the bytes.
        """
        assert not self.is_writing
        self.received += data
        self.sizes.append(len(data))

    def connectionLost(self, reason: Failure = _DONE) -> None:
        """
        Keep the reason.
        """
        assert self.lost_because is None
        self.lost_because = reason
        self.lost_at = self.clock.seconds()

    def lost(self, reason: type[Exception]) -> bool:
        """
        Tell whether the connection was lost for a reason.
        """
        return self.lost_because is not None and bool(self.lost_because.check(reason))


class Ends(Factory):
    """
    Makes ends and keeps them.
    """

    def __init__(self, make: Callable[[], End]) -> None:
        self.make = make
        self.made: list[End] = []

    def buildProtocol(self, addr: object) -> End | None:
        """
        Make one.
        """
        self.made.append(self.make())
        return self.made[-1]


@implementer(IPushProducer)
class Producer:
    """
    Writes pieces for as long as it is not paused.
    """

    def __init__(self, end: End, pieces: int, piece: bytes) -> None:
        self.end = end
        self.left = pieces
        self.piece = piece
        self.paused = False
        self.pauses = 0
        self.stopped = False

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        Write until paused.
        """
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.end.write(self.piece)
        if not self.left:
            self.end.connection.unregisterProducer()

    def stopProducing(self) -> None:
        """
        Note it.
        """
        self.stopped = True


class PullProducer(Producer):
    """
    Writes one piece whenever it is asked.
    """

    def resumeProducing(self) -> None:
        """
        Write one.
        """
        self.left -= 1
        self.end.write(self.piece)
        if not self.left:
            self.end.connection.unregisterProducer()


class SimNetworkTestCase(SynchronousTestCase):
    """
    A network with a few hosts.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        self.clock = Clock()
        self.network = self.make_network(1)

    def make_network(self, seed: int) -> SimNetwork:
        """
        Make a network on the clock.
        """
        return SimNetwork(self.clock, random.Random(seed), window=WINDOW)

    def ends(self) -> Ends:
        """
        Make a factory.
        """
        return Ends(lambda: End(self.clock))

    def connect(self, one: str = ONE, two: str = TWO, port: int = 9000) -> list[End]:
        """
        Connect two hosts.

        Returns:
            The connecting and the accepted end.
        """
        accepting, connecting = self.ends(), self.ends()
        self.addCleanup(
            self.network.host(two).listen("", port, accepting).stopListening
        )
        self.wait(self.network.host(one).connect(two, port, connecting, 5.0, False))
        return connecting.made + accepting.made

    def wait(self, deferred: Deferred[IProtocol]) -> IProtocol:
        """
        Wait for a connection.
        """
        return advance_until(self.clock, deferred, 10.0)


class ConnectingTests(SimNetworkTestCase):
    """
    Listening and connecting.
    """

    def test_interfaces(self) -> None:
        """
        Hosts, ports and transports provide what the real ones do.
        """
        host = self.network.host(ONE)
        verifyObject(INetwork, host)
        verifyObject(IListeningPort, host.listen("", 0, self.ends()))
        connecting, _ = self.connect()
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            verifyObject(interface, connecting.connection)

    def test_addresses(self) -> None:
        """
        Both ends know both addresses.
        """
        connecting, accepted = self.connect(port=9000)
        ours, theirs = connecting.connection, accepted.connection
        self.assertEqual((theirs.getHost().host, theirs.getHost().port), (TWO, 9000))
        self.assertEqual(theirs.getPeer(), ours.getHost())
        self.assertEqual(ours.getPeer(), theirs.getHost())
        self.assertEqual(ours.getHost().host, ONE)

    def test_nobody_listens(self) -> None:
        """
        A port that nobody listens on, or no longer, and a host that nobody has ever
        heard of, refuse.
        """
        host = self.network.host(ONE)
        listening = self.network.host(TWO).listen("", 9000, self.ends())
        listening.stopListening()
        for address in (TWO, THREE):
            connecting = host.connect(address, 9000, self.ends(), 5.0, False)
            with self.assertRaises(error.ConnectionRefusedError):
                self.wait(connecting)

    def test_port_is_taken(self) -> None:
        """
        Two cannot listen on one port of a host; on two hosts they can.
        """
        self.network.host(ONE).listen("", 9000, self.ends())
        with self.assertRaises(error.CannotListenError):
            self.network.host(ONE).listen("", 9000, self.ends())
        self.network.host(TWO).listen("", 9000, self.ends())

    def test_foreign_address(self) -> None:
        """
        A host cannot listen on another's address.
        """
        with self.assertRaises(error.CannotListenError):
            self.network.host(ONE).listen(TWO, 9000, self.ends())

    def test_loopback(self) -> None:
        """
        What listens on the loopback address is there for the host itself alone.
        """
        accepting = self.ends()
        self.network.host(ONE).listen("127.0.0.1", 8082, accepting)
        home = self.network.host(ONE).connect("localhost", 8082, self.ends(), 5, False)
        self.wait(home)
        self.assertEqual(len(accepting.made), 1)
        away = self.network.host(TWO).connect(ONE, 8082, self.ends(), 5.0, False)
        with self.assertRaises(error.ConnectionRefusedError):
            self.wait(away)

    def test_chosen_port(self) -> None:
        """
        Port 0 stands for one that is free.
        """
        host = self.network.host(ONE)
        ports = [host.listen("", 0, self.ends()).getHost() for _ in range(3)]
        self.assertEqual(len(set(ports)), 3)

    def test_silence(self) -> None:
        """
        An attempt across a cut fails after its timeout, and what comes of it later is
        dropped.
        """
        accepting = self.ends()
        self.network.host(TWO).listen("", 9000, accepting)
        self.network.cut(ONE, TWO)
        connecting = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        let_pass(self.clock, 4.9)
        self.assertNoResult(connecting)
        let_pass(self.clock, 0.2)
        self.failureResultOf(connecting, error.TimeoutError)
        self.network.heal(TWO, ONE)
        let_pass(self.clock, 1.0)
        self.assertTrue(accepting.made[0].lost(error.ConnectionLost))

    def test_patience(self) -> None:
        """
        An attempt across a cut that heals in time succeeds.
        """
        self.network.cut(ONE, TWO)
        self.clock.callLater(3.0, self.network.heal, ONE, TWO)
        self.connect()
        self.assertGreater(self.clock.seconds(), 3.0)

    def test_cancelled(self) -> None:
        """
        A cancelled attempt fails, and its connection does not stay.
        """
        accepting = self.ends()
        self.network.host(TWO).listen("", 9000, accepting)
        connecting = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        connecting.cancel()
        self.failureResultOf(connecting, error.ConnectingCancelledError)
        let_pass(self.clock, 0.2)
        self.assertTrue(accepting.made[0].lost(error.ConnectionLost))

    def test_turned_away(self) -> None:
        """
        A server whose factory makes no protocol closes the connection at once.
        """
        factory = Factory()
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]
        self.network.host(TWO).listen("", 9000, factory)
        ends = self.ends()
        self.wait(self.network.host(ONE).connect(TWO, 9000, ends, 5.0, False))
        let_pass(self.clock, 0.1)
        self.assertTrue(ends.made[0].lost(error.ConnectionDone))


class TransportTests(SimNetworkTestCase):
    """
    Bytes on connections.
    """

    def test_both_ways(self) -> None:
        """
        What one end writes the other receives, in order, in pieces that do not depend
        on how it was written, and never from within the write.
        """
        connecting, accepted = self.connect()
        content = random.Random(3).randbytes(700_000)
        for start in range(0, len(content), 1000):
            connecting.write(content[start : start + 1000])
            accepted.write(content[start : start + 1000])
        let_pass(self.clock, 0.2)
        for end in (connecting, accepted):
            self.assertEqual(bytes(end.received), content)
            self.assertGreater(max(end.sizes), 1000)
            self.assertNotEqual(set(end.sizes), {1000})

    def test_only_bytes(self) -> None:
        """
        A memoryview is refused, as by a real transport.
        """
        connecting, _ = self.connect()
        with self.assertRaises(TypeError):
            connecting.connection.write(memoryview(b"x"))  # type: ignore[arg-type]

    def test_lose_connection(self) -> None:
        """
        Closing sends what was written before it, and both ends hear a clean end.
        """
        connecting, accepted = self.connect()
        connecting.write(b"x" * 1_000_000)
        connecting.connection.loseConnection()
        self.assertIsNone(connecting.lost_because)
        let_pass(self.clock, 0.1)
        self.assertEqual(len(accepted.received), 1_000_000)
        self.assertTrue(connecting.lost(error.ConnectionDone))
        self.assertTrue(accepted.lost(error.ConnectionDone))

    def test_abort_connection(self) -> None:
        """
        Aborting drops what was not sent; the other end hears of a loss.
        """
        connecting, accepted = self.connect()
        connecting.write(b"x" * 1_000_000)
        connecting.connection.abortConnection()
        self.assertIsNone(connecting.lost_because)
        let_pass(self.clock, 0.01)
        self.assertEqual(len(accepted.received), 0)
        self.assertTrue(connecting.lost(error.ConnectionAborted))
        self.assertTrue(accepted.lost(error.ConnectionLost))

    def test_nothing_after_a_reset(self) -> None:
        """
        What a reset overtakes is lost, so that a paused reader never finds a gap.
        """
        data = random.Random(1).randbytes(200_000)
        for delay in range(1, 20):
            connecting, accepted = self.connect(port=9000 + delay)
            accepted.connection.pauseProducing()
            connecting.write(data)
            let_pass(self.clock, delay / 10_000)
            connecting.connection.abortConnection()
            let_pass(self.clock, 0.1)
            accepted.connection.resumeProducing()
            let_pass(self.clock, 0.1)
            self.assertTrue(data.startswith(accepted.received))

    def test_write_to_the_gone(self) -> None:
        """
        Who writes to an end that has closed hears of the loss, once.
        """
        connecting, accepted = self.connect()
        accepted.connection.pauseProducing()
        connecting.connection.loseConnection()
        let_pass(self.clock, 0.1)
        self.assertIsNone(accepted.lost_because)
        accepted.write(b"are you there?")
        let_pass(self.clock, 0.3)
        self.assertIsNone(accepted.lost_because)
        accepted.write(b"are you?")
        let_pass(self.clock, 0.1)
        self.assertTrue(accepted.lost(error.ConnectionLost))

    def test_paused_reader(self) -> None:
        """
        A paused end receives nothing, and no more than a window is under way to it.
        """
        connecting, accepted = self.connect()
        accepted.connection.pauseProducing()
        producer = Producer(connecting, 100, b"x" * 100_000)
        connecting.connection.registerProducer(producer, True)
        producer.resumeProducing()
        let_pass(self.clock, 0.1)
        self.assertEqual(len(accepted.received), 0)
        written = (100 - producer.left) * 100_000
        self.assertLessEqual(written, WINDOW + 200_000)
        self.assertTrue(producer.paused)
        accepted.connection.resumeProducing()
        let_pass(self.clock, 0.3)
        self.assertEqual(len(accepted.received), 10_000_000)
        self.assertGreater(producer.pauses, 10)

    def test_paused_reader_hears_of_the_end_later(self) -> None:
        """
        What was sent and the end that followed wait for a paused reader.
        """
        connecting, accepted = self.connect()
        accepted.connection.pauseProducing()
        connecting.write(b"last words")
        connecting.connection.loseConnection()
        let_pass(self.clock, 0.3)
        self.assertIsNone(accepted.lost_because)
        accepted.connection.resumeProducing()
        self.assertEqual(bytes(accepted.received), b"")
        let_pass(self.clock, 0)
        self.assertEqual(bytes(accepted.received), b"last words")
        self.assertTrue(accepted.lost(error.ConnectionDone))

    def test_pull_producer(self) -> None:
        """
        A pull producer is asked again whenever nothing is left to send.
        """
        connecting, accepted = self.connect()
        producer = PullProducer(connecting, 10, b"x" * 50_000)
        connecting.connection.registerProducer(producer, False)
        connecting.connection.loseConnection()
        let_pass(self.clock, 0.05)
        self.assertEqual(len(accepted.received), 500_000)
        self.assertTrue(connecting.lost(error.ConnectionDone))

    def test_producer_is_stopped(self) -> None:
        """
        A producer is stopped when the connection is lost, and at once when it comes
        too late.
        """
        connecting, accepted = self.connect()
        producer = Producer(connecting, 1, b"x")
        connecting.connection.registerProducer(producer, True)
        accepted.connection.abortConnection()
        let_pass(self.clock, 0.1)
        self.assertTrue(producer.stopped)
        late = Producer(connecting, 1, b"x")
        connecting.connection.registerProducer(late, True)
        self.assertTrue(late.stopped)

    def test_protocol_fails(self) -> None:
        """
        A protocol that raises loses its connection and is logged, as on a reactor.
        """
        connecting, accepted = self.connect()
        accepted.is_writing = True  # It believes that this is from within its write.
        connecting.write(b"x")
        let_pass(self.clock, 0.2)
        self.assertTrue(accepted.lost(AssertionError))
        self.assertTrue(connecting.lost(error.ConnectionLost))
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)

    def test_body_sender(self) -> None:
        """
        A body sender works on a simulated connection.
        """
        connecting, accepted = self.connect()
        sender = make_sender(connecting.connection, self.clock)
        self.assertIsInstance(sender, TransportSender)
        content = random.Random(3).randbytes(3_000_000)
        accepted.connection.pauseProducing()
        sending = sender.send(memoryview(content), False)
        let_pass(self.clock, 0.1)
        self.assertNoResult(sending)
        accepted.connection.resumeProducing()
        advance_until(self.clock, sending, 10.0)
        let_pass(self.clock, 0.1)
        self.assertEqual(bytes(accepted.received), content)


class FaultTests(SimNetworkTestCase):
    """
    What can go wrong, and how fast things can go.
    """

    def test_cut(self) -> None:
        """
        A cut is silent; once it heals, everything arrives, whole and in order, and
        connections to others never noticed.
        """
        connecting, accepted = self.connect()
        bystander, _ = self.connect(THREE, TWO, 9001)
        content = random.Random(3).randbytes(1_000_000)
        connecting.write(content[:500_000])
        let_pass(self.clock, 0.0005)
        self.network.cut(TWO, ONE)
        connecting.write(content[500_000:])
        bystander.write(b"still here")
        let_pass(self.clock, 100.0)
        self.assertLess(len(accepted.received), 500_000)
        self.assertIsNone(connecting.lost_because)
        self.network.heal(ONE, TWO)
        let_pass(self.clock, 0.1)
        self.assertEqual(bytes(accepted.received), content)

    def test_close_in_a_cut(self) -> None:
        """
        The end of a connection gets through after the cut; a reset is lost, until the
        end that did not hear it sends something.
        """
        closing, closed = self.connect()
        aborting, aborted = self.connect(port=9001)
        self.network.cut(ONE, TWO)
        closing.connection.loseConnection()
        aborting.connection.abortConnection()
        let_pass(self.clock, 3.0)
        self.network.heal(ONE, TWO)
        let_pass(self.clock, 1.0)
        self.assertTrue(closed.lost(error.ConnectionDone))
        self.assertIsNone(aborted.lost_because)
        aborted.write(b"are you there?")
        let_pass(self.clock, 1.0)
        self.assertTrue(aborted.lost(error.ConnectionLost))

    def test_kill(self) -> None:
        """
        When a host is killed both ends of its connections are lost, its ports refuse,
        and its old view of the network is useless; a new host may take its place.
        """
        old = self.network.host(TWO)
        connecting, accepted = self.connect()
        self.network.kill(TWO)
        let_pass(self.clock, 0.1)
        self.assertTrue(connecting.lost(error.ConnectionLost))
        self.assertTrue(accepted.lost(error.ConnectionLost))
        late = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        with self.assertRaises(error.ConnectionRefusedError):
            self.wait(late)
        self.failureResultOf(old.connect(ONE, 1, self.ends(), 5.0, False))
        with self.assertRaises(error.CannotListenError):
            old.listen("", 9000, self.ends())
        self.network.host(TWO).listen("", 9000, self.ends())
        self.wait(self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False))

    def seconds_for(self, sender: End, receiver: End, length: int) -> float:
        """
        Send bytes and tell how long they took.
        """
        start = self.clock.seconds()
        sender.write(b"x" * length)
        sender.connection.loseConnection()
        let_pass(self.clock, 20.0)
        self.assertEqual(len(receiver.received), length)
        return receiver.lost_at - start

    def test_rates(self) -> None:
        """
        An uplink and a downlink pass as many bytes in a second as they are allowed.
        """
        for one, two, limited, way in (
            (ONE, TWO, ONE, "uplink"),
            (THREE, "10.0.0.4", "10.0.0.4", "downlink"),
        ):
            connecting, accepted = self.connect(one, two)
            self.network.limit(limited, **{way: 1_000_000})
            took = self.seconds_for(connecting, accepted, 3_000_000)
            self.assertLess(abs(took - 3.0), 0.1)

    def test_fair_share(self) -> None:
        """
        Connections share a link; a host with a slow uplink slows nobody else down who
        sends to the same receiver.
        """
        fast, from_fast = self.connect(ONE, TWO, 9000)
        slow, from_slow = self.connect(THREE, TWO, 9001)
        other, from_other = self.connect(ONE, TWO, 9002)
        self.network.limit(THREE, uplink=100_000)
        self.network.limit(TWO, downlink=1_000_000)
        slow.write(b"x" * 1_000_000)
        other.write(b"x" * 1_000_000)
        took = self.seconds_for(fast, from_fast, 1_000_000)
        self.assertLess(abs(took - 2.2), 0.3)
        self.assertEqual(len(from_other.received), 1_000_000)
        self.assertEqual(len(from_slow.received), 1_000_000)

    def history(self, seed: int) -> str:
        """
        Run a few connections and give a digest of all that happened, and when.
        """
        self.clock = Clock()
        self.network = self.make_network(seed)
        ends = self.connect(ONE, TWO, 1) + self.connect(TWO, THREE, 2)
        for end in ends:
            end.write(bytes(400_000))
        self.clock.callLater(0.001, self.network.kill, ONE)
        let_pass(self.clock, 0.01)
        events = [(end.sizes, str(end.lost_because), end.lost_at) for end in ends]
        return hashlib.sha256(repr(events).encode()).hexdigest()

    def test_deterministic(self) -> None:
        """
        A seed determines everything; another seed gives another history.
        """
        self.assertEqual(self.history(1), self.history(1))
        self.assertNotEqual(self.history(1), self.history(2))

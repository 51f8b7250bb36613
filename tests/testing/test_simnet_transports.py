"""
Tests for the transports of :mod:`eliop2p.testing.simnet`.
"""

import random

from twisted.internet import error

from eliop2p.net.copying_sender import TransportSender
from eliop2p.net.sender import make_sender
from eliop2p.testing.simnet import advance_until, let_pass
from tests.testing.simnet_case import WINDOW, Producer, PullProducer, SimNetworkTestCase


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

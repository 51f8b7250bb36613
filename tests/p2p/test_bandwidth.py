"""
Tests for :mod:`eliop2p.p2p.bandwidth`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.bandwidth import HELD_BACK_SECONDS, ReadPacer, make_bandwidth
from eliop2p.wire.events import Data, Pong

RATE = 1_000_000


class Transport:
    """
    A transport that notes whether it reads.
    """

    reading = True

    def pauseProducing(self) -> None:
        """
        Read nothing.
        """
        self.reading = False

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self.reading = True


class ReadPacerTests(SynchronousTestCase):
    """
    Tests for :class:`.ReadPacer`.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.clock = Clock()
        self.bandwidth = make_bandwidth(self.clock, down=RATE)
        self.transport = Transport()
        self.pacer = ReadPacer(self.bandwidth.down, self.transport, None)

    def test_pauses(self) -> None:
        """
        A connection that has read more than its share pauses until it is paid for.
        """
        self.clock.advance(10)
        self.pacer.took([Data(1, bytes(50_000))])
        self.assertTrue(self.transport.reading)
        self.pacer.took([Data(1, bytes(10_000)), Data(2, bytes(10_000))])
        self.assertFalse(self.transport.reading)
        self.assertTrue(self.bandwidth.held_back)
        self.clock.advance(0.021)
        self.assertTrue(self.transport.reading)
        self.clock.advance(HELD_BACK_SECONDS)
        self.assertFalse(self.bandwidth.held_back)

    def test_messages(self) -> None:
        """
        Messages that are not bytes of chunks cost nothing.
        """
        self.pacer.took([Data(1, bytes(50_000))])
        for number in range(1000):
            self.pacer.took([Pong(number)])
        self.assertTrue(self.transport.reading)

    def test_stopped(self) -> None:
        """
        A connection that is gone waits for nothing, and is not touched any more.
        """
        self.pacer.took([Data(1, bytes(50_000))])
        self.pacer.took([Data(1, bytes(50_000))])
        self.pacer.stop()
        self.clock.advance(1)
        self.assertFalse(self.transport.reading)
        self.assertEqual(self.bandwidth.down.waiting, 0)

    def test_no_limit(self) -> None:
        """
        Without a limit nothing ever pauses.
        """
        pacer = ReadPacer(make_bandwidth(self.clock).down, self.transport, None)
        pacer.took([Data(1, bytes(1_000_000))] * 100)
        self.assertTrue(self.transport.reading)

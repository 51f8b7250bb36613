"""
Tests for :mod:`eliop2p.p2p.store_sink`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import CorruptChunk, WrongAnswer
from eliop2p.interfaces import IChunkSink
from eliop2p.model.trail import Intake
from eliop2p.p2p.store_sink import StoreSink
from tests.p2p.tiny_parts import CHUNK, Flight, chunks_of, content, digest_of


class StoreSinkTests(SynchronousTestCase):
    """
    A chunk of which peers have given some.
    """

    def setUp(self) -> None:
        """
        Begin a chunk.
        """
        (chunk,) = chunks_of(1)
        self.content = content(chunk)
        self.flight = Flight(chunk)
        self.intake = Intake()
        self.pieces: list[int] = []
        self.flight.source = "peer"
        self.flight.write(0, self.content[:3000])

    def make(self, *, trusted: bool) -> StoreSink:
        """
        Make what a read of the store fills.
        """
        came = self.pieces.append
        return StoreSink(self.flight, self.intake, trusted=trusted, came=came)

    def test_interface(self) -> None:
        """
        The sink keeps to the letter of its interface.
        """
        verifyObject(IChunkSink, self.make(trusted=True))

    def test_trusted(self) -> None:
        """
        What came from the store is not asked for again.
        """
        sink = self.make(trusted=True)
        self.assertEqual(sink.filled, 3000)
        sink.write(3000, self.content[3000:])
        self.assertEqual((sink.filled, sink.source), (CHUNK, "origin"))
        self.assertEqual(self.intake.discarded, 0)

    def test_compared(self) -> None:
        """
        What came from elsewhere is asked for again, in pieces cut anywhere, and counts
        as the store's when something new has come.
        """
        sink = self.make(trusted=False)
        pieces = ((0, 1000), (1000, 2999), (2999, 3000), (3000, 4000), (4000, CHUNK))
        for start, stop in pieces:
            self.assertEqual(sink.filled, start)
            self.assertEqual(sink.source, "peer" if start <= 3000 else "origin")
            sink.write(start, memoryview(self.content)[start:stop])
            self.assertEqual(self.flight.filled, max(3000, stop))
        self.assertEqual(sink.filled, CHUNK)
        self.assertEqual(self.intake.discarded, 3000)
        self.assertEqual(sum(self.pieces), CHUNK)
        digest = self.successResultOf(sink.digest())
        self.assertEqual(digest, digest_of(self.content))

    def test_across(self) -> None:
        """
        A piece may begin in what is there and end in what is not.
        """
        sink = self.make(trusted=False)
        sink.write(0, self.content[:5000])
        self.assertEqual((sink.filled, self.flight.filled), (5000, 5000))
        self.assertEqual(self.intake.discarded, 3000)
        self.assertEqual(sink.source, "origin")

    def test_wrong(self) -> None:
        """
        Bytes that differ from what is there are refused and do not count.
        """
        sink = self.make(trusted=False)
        sink.write(0, self.content[:2000])
        self.assertRaises(CorruptChunk, sink.write, 2000, bytes(2000))
        self.assertRaises(WrongAnswer, sink.write, 2000, bytes(CHUNK))
        self.assertEqual((sink.filled, self.flight.filled), (2000, 3000))
        self.assertEqual(self.intake.discarded, 4000 + CHUNK)
        self.assertEqual(bytes(self.flight.data[:3000]), self.content[:3000])

    def test_beyond_a_gap(self) -> None:
        """
        Bytes beyond a gap do not count as having come without one.
        """
        sink = self.make(trusted=False)
        sink.write(2000, self.content[2000:4000])
        self.assertEqual(sink.filled, 0)

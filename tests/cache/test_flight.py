"""
Tests for :mod:`eliop2p.cache.flight`, through the chunk manager.
"""

from twisted.internet.defer import CancelledError

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    LocalProtocolError,
    WrongAnswer,
)
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import FakeOrigin, chunk_of
from tests.cache.flight_case import LENGTH, FlightCase


class CutThroughTests(FlightCase):
    """
    What a reader of an arriving chunk gets, and when.
    """

    def test_as_it_comes(self) -> None:
        """
        Bytes are given as soon as they come, and not before.
        """
        reading = self.open(1)
        first = reading.read(0, 300)
        self.assertNoResult(first)
        self.source.fetches[0].send(self.content(1)[:100])
        self.assertEqual(self.bytes_of(first), self.content(1)[:100])
        self.assertEqual((reading.filled, reading.digest), (100, None))
        self.assertEqual(self.bytes_of(reading.read(50, 20)), self.content(1)[50:70])
        reading.close()

    def test_last_byte(self) -> None:
        """
        The last byte waits for the digest of the whole.
        """
        reading = self.open(1)
        self.source.fetches[0].send(self.content(1))
        self.assertEqual(len(self.bytes_of(reading.read(0, LENGTH))), LENGTH - 1)
        last = reading.read(LENGTH - 1, 1)
        self.assertNoResult(last)
        digest = made_up(1, LENGTH)[2]
        self.source.fetches[0].complete(digest, "origin")
        self.assertEqual(self.bytes_of(last), self.content(1)[-1:])
        self.assertEqual((reading.digest, reading.source), (digest, "origin"))
        reading.close()

    def test_one_byte(self) -> None:
        """
        A chunk of one byte is given when it is checked.
        """
        chunk = chunk_of(1, 1)
        reading = self.successResultOf(self.manager.open(chunk, FakeOrigin()))
        result = reading.read(0, 1)
        self.source.fetches[0].send(made_up(1, 1)[1])
        self.assertNoResult(result)
        self.source.fetches[0].complete(made_up(1, 1)[2])
        self.assertEqual(self.bytes_of(result), bytes(made_up(1, 1)[1]))
        reading.close()

    def test_gaps(self) -> None:
        """
        Bytes beyond a gap are given when the gap is closed.
        """
        reading = self.open(1)
        fetch = self.source.fetches[0]
        fetch.send(self.content(1)[500:], 500)
        later = reading.read(600, 10)
        self.assertNoResult(later)
        self.assertEqual(reading.filled, 0)
        fetch.send(self.content(1)[:500], 0)
        self.assertEqual(self.bytes_of(later), self.content(1)[600:610])
        reading.close()

    def test_rewritten(self) -> None:
        """
        Bytes that may have been read already are compared, and never changed.
        """
        reading = self.open(1)
        fetch = self.source.fetches[0]
        fetch.send(self.content(1)[:100])
        wrong = self.content(1)[:99] + b"?"
        for data in (bytes(150), wrong, wrong + self.content(1)[100:]):
            self.assertRaises(CorruptChunk, fetch.send, data, 0)
        self.assertRaises(CorruptChunk, fetch.send, b"??", 50)
        self.assertEqual(reading.filled, 100)
        fetch.send(self.content(1)[20:50], 20)
        self.assertEqual(reading.filled, 100)
        fetch.send(memoryview(self.content(1))[50:150], 50)
        given = self.bytes_of(reading.read(0, 200))
        self.assertEqual(given, self.content(1)[:150])
        reading.close()

    def test_source(self) -> None:
        """
        A reader learns where the latest bytes came from while more are on their way,
        and still when no more come.
        """
        reading = self.open(1)
        fetch = self.source.fetches[0]
        self.assertEqual(reading.source, "")
        for count, source in enumerate(("peer", "origin"), 1):
            fetch.sink.source = source
            fetch.send(self.content(1)[:100])
            self.assertEqual((reading.source, reading.filled), (source, count * 100))
        fetch.done.errback(ChunkUnavailable("gone"))
        self.assertEqual(reading.source, "origin")
        reading.close()

    def test_beyond_the_end(self) -> None:
        """
        Bytes beyond the end are refused, and change nothing.
        """
        reading = self.open(1)
        fetch = self.source.fetches[0]
        self.assertRaises(WrongAnswer, fetch.send, bytes(LENGTH + 1))
        self.assertRaises(WrongAnswer, fetch.send, b"x", LENGTH)
        self.assertRaises(WrongAnswer, fetch.send, b"x", -1)
        self.assertEqual(reading.filled, 0)
        reading.close()

    def test_digest(self) -> None:
        """
        The sink computes the digest of what was written.
        """
        reading = self.open(1)
        fetch = self.source.fetches[0]
        fetch.send(self.content(1))
        digest = self.successResultOf(fetch.sink.digest())
        self.assertEqual(digest, made_up(1, LENGTH)[2])
        reading.close()

    def test_misuse(self) -> None:
        """
        Reading nothing, past the end, or after closing is a bug and said so.
        """
        reading = self.open(1)
        for offset, limit in ((0, 0), (-1, 1), (LENGTH, 1)):
            self.failureResultOf(reading.read(offset, limit), LocalProtocolError)
        waiting = reading.read(0, 1)
        reading.close()
        reading.close()
        self.failureResultOf(waiting, ChunkUnavailable)
        self.failureResultOf(reading.read(0, 1), LocalProtocolError)

    def test_cancelled_read(self) -> None:
        """
        A read that is cancelled does not disturb the next one.
        """
        reading = self.open(1)
        waiting = reading.read(0, 1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.source.serve(1, LENGTH)
        self.assertEqual(self.read_all(reading), self.content(1))
        reading.close()

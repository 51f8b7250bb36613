"""
Tests for :mod:`eliop2p.cache.flights`, through the chunk manager.
"""

from twisted.internet.defer import Deferred

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    OriginUnavailable,
)
from eliop2p.cache.memory_pages import allocate
from eliop2p.interfaces import Fetched
from eliop2p.model.chunk import MIB
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import FakeOrigin, chunk_of
from tests.cache.flight_case import LENGTH, FlightCase


class SingleFlightTests(FlightCase):
    """
    One fetch for all who want the same chunk.
    """

    def test_joined(self) -> None:
        """
        All who open a chunk while it arrives share one fetch and get all its bytes.
        """
        readings = [self.open(1) for _ in range(3)]
        peer = self.successResultOf(self.manager.open_local(made_up(1)[0]))
        assert peer is not None
        self.source.serve(1, LENGTH)
        self.assertEqual(len(self.source.fetches), 1)
        for reading in (*readings, peer):
            self.assertEqual(self.read_all(reading), self.content(1))
            reading.close()
        self.assertEqual((self.manager.flights, self.manager.joined), (1, 2))
        self.assertEqual((self.manager.inflight, self.memory.open_handles), (0, 0))

    def test_last_reader(self) -> None:
        """
        The fetch is cancelled with its last reader, and only then.
        """
        first, second = self.open(1), self.open(1)
        peer = self.successResultOf(self.manager.open_local(made_up(1)[0]))
        assert peer is not None
        self.source.fetches[0].send(bytes(LENGTH // 2))
        first.close()
        second.close()
        self.assertFalse(self.source.fetches[0].cancelled)
        peer.close()
        self.clock.advance(0)
        self.assertTrue(self.source.fetches[0].cancelled)
        self.assertEqual(self.manager.inflight, 0)
        self.assertRaises(ChunkUnavailable, self.source.fetches[0].send, b"late")

    def test_opened_again(self) -> None:
        """
        After a fetch was cancelled the chunk is fetched anew.
        """
        self.open(1).close()
        reading = self.open(1)
        self.source.serve(1, LENGTH)
        self.assertEqual(self.read_all(reading), self.content(1))
        reading.close()

    def test_more_than_half(self) -> None:
        """
        A fetch that is more than half done is finished without readers, and kept.
        """
        reading = self.open(1)
        self.source.fetches[0].send(self.content(1)[:501])
        reading.close()
        self.assertFalse(self.source.fetches[0].cancelled)
        self.source.serve(1, LENGTH)
        self.assertEqual(self.manager.where(made_up(1)[0]), "memory")
        self.assertEqual((self.manager.inflight, self.memory.open_handles), (0, 0))

    def test_failure(self) -> None:
        """
        A failure reaches all readers, whether they wait or ask later, and the next one
        who opens the chunk has it fetched again.
        """
        readings = [self.open(1) for _ in range(3)]
        waiting = [reading.read(0, 1) for reading in readings[:2]]
        self.source.fetches[0].done.errback(OriginUnavailable("refused"))
        for result in (*waiting, readings[2].read(0, 1)):
            self.failureResultOf(result, OriginUnavailable)
        self.assertEqual(self.manager.inflight, 0)
        self.open(1).close()
        self.assertEqual(len(self.source.fetches), 2)
        for reading in readings:
            reading.close()

    def test_bug_in_source(self) -> None:
        """
        What a source raises by mistake is logged, and no reader hangs.
        """
        reading = self.open(1)
        waiting = reading.read(0, 1)
        self.source.fetches[0].done.errback(ZeroDivisionError())
        self.failureResultOf(waiting, ChunkUnavailable)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        reading.close()

    def test_closed_while_written_to(self) -> None:
        """
        A reader that goes while the source is writing has the fetch cancelled when the
        source is done with that.
        """
        reading = self.open(1)
        reading.read(0, 1).addCallback(lambda _: reading.close())
        fetch = self.source.fetches[0]
        fetch.send(b"x")
        self.assertFalse(fetch.cancelled)
        self.clock.advance(0)
        self.assertTrue(fetch.cancelled)
        self.assertEqual(self.manager.inflight, 0)

    def test_closed_by_the_source(self) -> None:
        """
        A reader that goes because of what the source does, other than writing, has the
        fetch cancelled once the source waits for something again.
        """
        asked, answered = Deferred[None](), Deferred[Fetched]()

        async def fetch() -> Fetched:
            await asked
            reading.close()
            return await answered

        self.patch(self.source, "fetch", lambda *_: Deferred.fromCoroutine(fetch()))
        reading = self.open(1)
        asked.callback(None)
        self.assertFalse(answered.called)
        self.clock.advance(0)
        self.assertTrue(answered.called)
        self.assertEqual(self.manager.inflight, 0)

    def test_stop(self) -> None:
        """
        Stopping fails those who read what is arriving, and those who open later.
        """
        reading = self.open(1)
        waiting = reading.read(0, 1)
        self.successResultOf(self.manager.stop())
        self.failureResultOf(waiting, ChunkUnavailable)
        self.failureResultOf(
            self.manager.open(chunk_of(2, LENGTH), FakeOrigin()), ChunkUnavailable
        )
        reading.close()


class CorruptionTests(FlightCase):
    """
    What becomes of readers when wrong bytes came.
    """

    def test_started_over(self) -> None:
        """
        A reader that has been given nothing yet gets the right bytes of a second fetch.
        """
        begun, fresh = self.open(1), self.open(1)
        self.source.fetches[0].send(bytes(100))
        self.bytes_of(begun.read(0, 10))
        more = begun.read(100, 10)
        self.source.fetches[0].done.errback(CorruptChunk("wrong"))
        self.failureResultOf(more, CorruptChunk)
        self.assertEqual(fresh.filled, 0)
        self.assertEqual(self.manager.inflight, LENGTH)
        self.assertRaises(ChunkUnavailable, self.source.fetches[0].send, b"x")
        self.source.serve(1, LENGTH)
        self.assertEqual(self.read_all(fresh), self.content(1))
        begun.close()
        fresh.close()
        self.assertEqual(self.manager.inflight, 0)

    def test_once(self) -> None:
        """
        A second fetch of wrong bytes is the last.
        """
        reading = self.open(1)
        waiting = reading.read(0, 10)
        for fetch in range(2):
            self.source.fetches[fetch].done.errback(CorruptChunk("wrong"))
        self.failureResultOf(waiting, CorruptChunk)
        self.assertEqual(len(self.source.fetches), 2)
        reading.close()
        self.assertEqual(self.manager.inflight, 0)

    def test_nobody_fresh(self) -> None:
        """
        When every reader has been given bytes there is no second fetch.
        """
        reading = self.open(1)
        self.source.fetches[0].send(bytes(100))
        self.bytes_of(reading.read(0, 10))
        self.source.fetches[0].done.errback(CorruptChunk("wrong"))
        self.failureResultOf(reading.read(0, 10), CorruptChunk)
        self.assertEqual(len(self.source.fetches), 1)
        self.assertEqual(self.manager.where(made_up(1)[0]), "")
        reading.close()


class RoomTests(FlightCase):
    """
    The bound on bytes in flight.
    """

    def test_waits(self) -> None:
        """
        What does not fit waits its turn, first come, first served.
        """
        readings = [self.open(number) for number in range(5)]
        self.assertEqual(len(self.source.fetches), 2)
        self.source.serve(1, LENGTH, index=1)
        self.assertEqual(len(self.source.fetches), 3)
        self.assertEqual(self.source.fetches[2].sink.chunk.id, made_up(2)[0])
        readings[3].close()
        self.clock.advance(0)
        self.source.serve(0, LENGTH, index=0)
        self.assertEqual(self.source.fetches[3].sink.chunk.id, made_up(4)[0])
        self.assertEqual(self.manager.inflight, 2 * LENGTH)
        for reading in readings:
            reading.close()
        self.clock.advance(0)
        self.assertEqual(self.manager.inflight, 0)

    def test_large(self) -> None:
        """
        A chunk larger than all the room goes alone.
        """
        large = chunk_of(1, 5 * LENGTH)
        first = self.open(2)
        second = self.successResultOf(self.manager.open(large, FakeOrigin()))
        self.assertEqual(len(self.source.fetches), 1)
        first.close()
        self.clock.advance(0)
        self.assertEqual(len(self.source.fetches), 2)
        second.close()
        self.clock.advance(0)
        self.assertEqual(self.manager.inflight, 0)


class RefusedTests(FlightCase):
    """
    A memory tier that takes nothing.
    """

    capacity = 10

    def test_counts_until_closed(self) -> None:
        """
        A chunk that no tier takes is in flight while it is read, can be joined, and is
        gone then.
        """
        reading = self.open(1)
        self.source.serve(1, LENGTH)
        self.assertEqual(self.manager.inflight, LENGTH)
        origin = FakeOrigin()
        late = self.open(1, origin)
        self.assertEqual(len(origin.passed), 1)
        reading.close()
        self.assertEqual(self.read_all(late), self.content(1))
        late.close()
        self.assertEqual(self.manager.inflight, 0)
        self.assertEqual(len(self.source.fetches), 1)
        self.assertIsNone(self.successResultOf(self.manager.open_local(made_up(1)[0])))

    def test_memory_is_free(self) -> None:
        """
        The memory of a chunk that nobody reads is free, though he who brought it may
        still refer to where he put it.
        """
        chunk = chunk_of(1, 2 * MIB)
        reading = self.successResultOf(self.manager.open(chunk, FakeOrigin()))
        self.source.serve(1, chunk.length)
        reading.close()
        sink = self.source.fetches[0].sink
        again = allocate(chunk.length)
        self.assertEqual(again[:100], made_up(1, chunk.length)[1][:100])
        self.assertIsNone(sink.room(0, 10))
        sink.wrote(0, 10)
        self.assertRaises(ChunkUnavailable, sink.write, 0, b"late")

    def test_withdrawn(self) -> None:
        """
        A chunk that no tier takes is not announced but withdrawn, at once: those who
        were told that it is arriving here need to know.
        """
        reading = self.open(1)
        self.assertEqual(self.source.told, [])
        self.source.serve(1, LENGTH)
        self.assertEqual(self.source.told, [("withdraw", made_up(1)[0])])
        reading.close()
        self.assertEqual(len(self.source.told), 1)

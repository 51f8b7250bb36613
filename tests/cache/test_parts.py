"""
Tests for :mod:`eliop2p.cache.parts` and :mod:`eliop2p.cache.saver`, through the door to
chunks, on a directory.
"""

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import ChunkUnavailable, CorruptChunk
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.memory import MemoryBackend
from eliop2p.cache.part import PATIENCE
from eliop2p.cache.partial_layout import PARTIAL
from eliop2p.interfaces import BackendSettings, IChunkReading
from eliop2p.model.chunk import MIB, ChunkId
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import FakeOrigin, FakeSource, InlineWorker, chunk_of

LENGTH = 4 * MIB


class PartsCase(SynchronousTestCase):
    """
    A manager with a memory tier and a directory.
    """

    def setUp(self) -> None:
        """
        Make the manager.
        """
        self.path = self.mktemp()
        self.data = made_up(1, LENGTH)[1]
        self.chunk = chunk_of(1, LENGTH)
        self.begin()

    def tearDown(self) -> None:
        """
        Nothing may be scheduled, and nobody may have the directory.
        """
        self.successResultOf(self.manager.stop())
        self.files.release()

    def begin(self) -> None:
        """
        Make a manager as a new process would.
        """
        self.clock = Clock()
        self.source = FakeSource()
        self.files = ChunkFiles(self.path)
        self.files.claim()
        settings = BackendSettings(64 * MIB, self.path, 1.0, 1.0, "lru")
        self.disk = DirectoryBackend(
            self.files, settings, InlineWorker(), self.clock, self.dropped
        )
        self.memory = MemoryBackend(settings, self.clock, self.dropped)
        self.manager = ChunkManager(
            self.memory,
            self.disk,
            self.source,
            InlineWorker(),
            self.clock,
            inflight_bytes=64 * MIB,
        )
        self.successResultOf(self.manager.start())

    def crash(self) -> None:
        """
        End the manager as the end of its process would, and make another.
        """
        self.files.release()
        self.begin()

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Pass on what a tier says.
        """
        self.manager.dropped(chunk_id)

    def fetch(self) -> IChunkReading:
        """
        Begin to fetch the chunk, of which nobody reads a byte.
        """
        return self.successResultOf(self.manager.open(self.chunk, FakeOrigin()))

    def bring(self, start: int, stop: int) -> None:
        """
        Keep a range that the store sends.
        """
        sink = self.manager.receive(self.chunk, Interval(start, stop))
        sink.write(self.data[start:stop])
        sink.close()

    def opened(self, start: int, stop: int) -> IChunkReading:
        """
        Open a part of the chunk.
        """
        opening = self.manager.open_part(self.chunk, Interval(start, stop))
        return self.successResultOf(opening)

    def where(self, start: int, stop: int) -> str:
        """
        Tell where a part is.
        """
        return self.manager.where_part(self.chunk, Interval(start, stop))

    def assert_reads(self, start: int, stop: int) -> None:
        """
        Demand that a part is there and right.
        """
        reading = self.opened(start, stop)
        while start < stop:
            span = self.successResultOf(reading.read(start, stop - start))
            self.assertEqual(bytes(_view(span)), self.data[start : start + len(span)])
            start += len(span)
        reading.close()


def _view(span: Span) -> memoryview:
    assert isinstance(span, memoryview)
    return span


class InterruptedTests(PartsCase):
    """
    Transfers that end before the chunk is whole.
    """

    def test_crash(self) -> None:
        """
        After a crash a transfer goes on behind what was checkpointed, at most a MiB
        before where it was, and what readers get is right.
        """
        self.fetch()
        fetch = self.source.fetches[-1]
        fetch.sink.source = "origin"
        for start in range(0, 3 * MIB + 5000, 50_000):
            fetch.send(self.data[start : start + 50_000])
        there = fetch.sink.filled
        self.crash()
        reading = self.fetch()
        sink = self.source.fetches[-1].sink
        self.assertGreater(sink.filled, there - MIB)
        self.assertEqual(sink.source, "origin")
        self.assertEqual(sink.missing, Interval(sink.filled, LENGTH))
        span = self.successResultOf(reading.read(MIB - 7, 100_000))
        self.assertEqual(bytes(_view(span)), self.data[MIB - 7 : MIB - 7 + len(span)])
        self.source.serve(1, LENGTH)
        reading.close()
        self.assertEqual(self.manager.where(self.chunk.id), "memory")
        self.assertTrue(self.disk.contains(self.chunk.id))
        self.assertEqual(list(Path(self.path, PARTIAL).iterdir()), [])

    def test_left(self) -> None:
        """
        When the last reader leaves, all that came is kept for the next one.
        """
        reading = self.fetch()
        self.source.fetches[-1].sink.source = "origin"
        self.source.fetches[-1].send(self.data[:100_000])
        reading.close()
        self.clock.advance(0)
        self.assertEqual(self.manager.inflight, 0)
        again = self.fetch()
        self.assertEqual(self.source.fetches[-1].sink.filled, 100_000)
        again.close()

    def test_from_a_peer(self) -> None:
        """
        What peers gave is told apart after a crash: nobody has vouched for it.
        """
        self.fetch()
        self.source.fetches[-1].sink.source = "peer"
        self.source.fetches[-1].send(self.data[: 2 * MIB])
        self.crash()
        self.assertEqual(self.where(0, 100), "")
        reading = self.fetch()
        sink = self.source.fetches[-1].sink
        self.assertEqual((sink.filled, sink.source), (2 * MIB, "peer"))
        reading.close()

    def test_wrong(self) -> None:
        """
        What turned out to be wrong is not kept.
        """
        reading = self.fetch()
        fetch = self.source.fetches[-1]
        fetch.sink.source = "peer"
        fetch.send(bytes(2 * MIB))
        self.failureResultOf(self._corrupt(reading))
        self.assertEqual(list(Path(self.path, PARTIAL).iterdir()), [])
        self.fetch()
        self.assertEqual(self.source.fetches[-1].sink.filled, 0)

    def _corrupt(self, reading: IChunkReading) -> Deferred[Span]:
        self.successResultOf(reading.read(0, 1))
        waiting = reading.read(3 * MIB, 1)
        self.source.fetches[-1].done.errback(CorruptChunk("wrong"))
        reading.close()
        return waiting

    def test_all_but_the_end(self) -> None:
        """
        A chunk of which everything was checkpointed needs no source any more.
        """
        self.bring(0, 2 * MIB)
        self.fetch()
        fetch = self.source.fetches[-1]
        fetch.sink.source = "origin"
        fetch.send(self.data[2 * MIB :])
        self.crash()
        reading = self.fetch()
        self.assertEqual(self.source.fetches, [])
        span = self.successResultOf(reading.read(LENGTH - 1, 1))
        self.assertEqual(bytes(_view(span)), self.data[-1:])
        reading.close()


class RangeTests(PartsCase):
    """
    Ranges that are not made of chunks.
    """

    def test_kept(self) -> None:
        """
        A range is read again from memory, after a crash from the disk.
        """
        self.assertEqual(self.where(1000, 5000), "")
        self.bring(1000, 5000)
        self.assertEqual(self.where(1000, 5000), "memory")
        self.assert_reads(2000, 4000)
        self.crash()
        self.assertEqual(self.where(1000, 5000), "disk")
        self.assertEqual(self.where(999, 5000), "")
        self.assert_reads(1000, 5000)
        self.failureResultOf(
            self.manager.open_part(self.chunk, Interval(0, 10)), ChunkUnavailable
        )

    def test_whole(self) -> None:
        """
        Ranges that make up a chunk make it a chunk like any other, which is announced.
        """
        self.bring(0, MIB + 5)
        self.bring(2 * MIB, LENGTH)
        self.assertEqual(self.source.told, [])
        self.bring(MIB, 2 * MIB + 100)
        self.assertEqual(self.source.told, [("announce", self.chunk.id)])
        self.assertEqual(self.source.fetches, [])
        self.assertEqual(self.manager.where(self.chunk.id), "memory")
        self.assertTrue(self.disk.contains(self.chunk.id))
        self.assertEqual(self.disk.usage().partial, 0)
        digest = self.disk.digest_of(self.chunk.id)
        self.assertEqual(digest, made_up(1, LENGTH)[2])

    def test_only_gaps_are_fetched(self) -> None:
        """
        A fetch of the whole chunk finds what ranges have brought.
        """
        self.bring(0, 1000)
        self.bring(5000, 6000)
        reading = self.fetch()
        sink = self.source.fetches[-1].sink
        self.assertEqual(sink.missing, Interval(1000, 5000))
        sink.write(1000, self.data[1000:5000])
        self.assertEqual(sink.missing, Interval(6000, LENGTH))
        reading.close()

    def test_joined(self) -> None:
        """
        Who wants bytes that are coming for another gets them as they come.
        """
        sink = self.manager.receive(self.chunk, Interval(1000, 9000))
        self.assertEqual(self.where(2000, 9000), "arriving")
        self.assertEqual(self.where(2000, 9001), "")
        reading = self.opened(2000, 9000)
        waiting = reading.read(2000, 7000)
        sink.write(self.data[1000:2000])
        self.assertNoResult(waiting)
        sink.write(self.data[2000:3000])
        span = self.successResultOf(waiting)
        self.assertEqual(bytes(_view(span)), self.data[2000:3000])
        lost = reading.read(3000, 1)
        sink.close()
        self.failureResultOf(lost, ChunkUnavailable)
        reading.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """
        Who waits for too long is told so: the client for whom bytes come may be slow.
        """
        sink = self.manager.receive(self.chunk, Interval(0, 9000))
        reading = self.opened(0, 9000)
        waiting = reading.read(0, 7000)
        self.clock.advance(PATIENCE)
        self.failureResultOf(waiting, ChunkUnavailable)
        reading.close()
        sink.close()

    def test_closed_while_waiting(self) -> None:
        """
        A reading that is closed or no longer waited for leaves nothing behind.
        """
        sink = self.manager.receive(self.chunk, Interval(0, 9000))
        reading = self.opened(0, 9000)
        cancelled, left = reading.read(0, 7000), reading.read(5, 10)
        cancelled.cancel()
        self.failureResultOf(cancelled)
        reading.close()
        self.failureResultOf(left, ChunkUnavailable)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        sink.close()

    def test_dropped(self) -> None:
        """
        Who drops a chunk drops its parts; who reads them goes on, and then memory is
        free.
        """
        self.bring(0, 5000)
        reading = self.opened(0, 5000)
        self.successResultOf(self.manager.drop(self.chunk.id))
        self.assertEqual(self.where(0, 10), "")
        span = self.successResultOf(reading.read(0, 5000))
        self.assertEqual(bytes(_view(span)), self.data[:5000])
        reading.close()
        self.assertEqual(self.manager.parts_in_memory, 0)
        self.assertEqual(list(Path(self.path, PARTIAL).iterdir()), [])

    def test_contradiction(self) -> None:
        """
        Ranges that contradict each other are all forgotten.
        """
        self.bring(0, 5000)
        sink = self.manager.receive(self.chunk, Interval(4000, 6000))
        sink.write(memoryview(bytes(2000)))
        sink.close()
        self.assertEqual(self.where(0, 10), "")
        self.assertEqual(self.disk.usage().partial, 0)

    def test_bounded(self) -> None:
        """
        Parts in memory are bounded: old ones are read from the disk, and what does not
        fit is not kept.
        """
        for number in range(8):
            chunk, data = chunk_of(number, LENGTH), made_up(number, LENGTH)[1]
            sink = self.manager.receive(chunk, Interval(0, 3 * MIB))
            for start in range(0, 3 * MIB, MIB // 2):
                sink.write(data[start : start + MIB // 2])
            sink.close()
            self.assertLessEqual(self.manager.parts_in_memory, 16 * MIB)
        self.assertEqual(self.where(0, 100), "")
        last = chunk_of(7, LENGTH)
        self.assertEqual(self.manager.where_part(last, Interval(0, 100)), "memory")
        huge = chunk_of(9, 40 * MIB)
        sink = self.manager.receive(huge, Interval(0, 40 * MIB))
        for _ in range(40):
            sink.write(memoryview(bytes(MIB)))
        sink.close()
        self.assertLessEqual(self.manager.parts_in_memory, 16 * MIB)

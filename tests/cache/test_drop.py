"""
Tests for the way in which the cache is made to let go of chunks.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import BackendSettings, IChunkReading, IHeldChunks
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import (
    FakeOrigin,
    FakeSource,
    InlineWorker,
    SteppedWorker,
    chunk_of,
)

LENGTH = 4096


class SlowBackend(MemoryBackend):
    """
    A disk that takes as long to write as the test says.
    """

    writes: list[Deferred[None]] | None = None

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Write, now or later.
        """
        if self.writes is None:
            return super().put(chunk_id, data, digest)
        self.writes.append(Deferred())
        put = super().put
        return self.writes[-1].addCallback(lambda _: put(chunk_id, data, digest))


class DropTests(SynchronousTestCase):
    """
    Chunks that are not to be kept.
    """

    def setUp(self) -> None:
        """
        Make a manager with memory for two chunks and a disk for ten.
        """
        self.source = FakeSource()
        self.clock = Clock()
        self.memory = MemoryBackend(
            BackendSettings(2 * LENGTH, "", 1.0, 1.0, "lru"), self.clock, self.dropped
        )
        self.disk = SlowBackend(
            BackendSettings(10 * LENGTH, "", 1.0, 1.0, "lru"), self.clock, self.dropped
        )
        self.manager = ChunkManager(
            self.memory,
            self.disk,
            self.source,
            InlineWorker(),
            self.clock,
            inflight_bytes=10 * LENGTH,
        )
        self.successResultOf(self.manager.start())

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Pass on what a tier says.
        """
        self.manager.dropped(chunk_id)

    def open(self, number: int) -> IChunkReading:
        """
        Open a chunk as a client does.
        """
        opening = self.manager.open(chunk_of(number, LENGTH), FakeOrigin())
        return self.successResultOf(opening)

    def fetch(self, number: int) -> None:
        """
        Have a chunk fetched, and read it.
        """
        reading = self.open(number)
        self.source.serve(number, LENGTH)
        reading.close()

    def drop(self, number: int) -> None:
        """
        Drop a chunk.
        """
        self.successResultOf(self.manager.drop(made_up(number)[0]))

    def where(self, number: int) -> str:
        """
        Tell where a chunk is.
        """
        return self.manager.where(made_up(number)[0])

    def test_interface(self) -> None:
        """
        The manager provides IHeldChunks.
        """
        verifyObject(IHeldChunks, self.manager)

    def test_everywhere(self) -> None:
        """
        A dropped chunk is in no tier, others hear of it, and it can be fetched again.
        """
        self.fetch(1)
        self.fetch(2)
        self.drop(1)
        self.assertEqual([self.where(1), self.where(2)], ["", "memory"])
        self.assertFalse(self.disk.contains(made_up(1)[0]))
        self.assertEqual(self.source.told[-1], ("withdraw", made_up(1)[0]))
        self.fetch(1)
        self.assertEqual(self.where(1), "memory")
        self.assertEqual(self.source.told[-1], ("announce", made_up(1)[0]))

    def test_unknown(self) -> None:
        """
        Dropping what is not held does nothing.
        """
        self.drop(1)
        self.assertEqual(self.source.told, [])

    def test_open_chunk(self) -> None:
        """
        Who reads a dropped chunk reads on.
        """
        self.fetch(1)
        reading = self.open(1)
        self.drop(1)
        span = self.successResultOf(reading.read(0, LENGTH))
        self.assertEqual(span, made_up(1, LENGTH)[1])
        reading.close()
        self.assertEqual(self.memory.open_handles, 0)

    def test_being_written(self) -> None:
        """
        A chunk that is being written when it is dropped does not stay on disk, not
        even when it is fetched again meanwhile.
        """
        self.disk.writes = []
        self.fetch(1)
        self.drop(1)
        self.fetch(1)
        self.drop(1)
        for write in self.disk.writes:
            write.callback(None)
        self.assertEqual(self.where(1), "")
        self.assertEqual(self.source.told[-1], ("withdraw", made_up(1)[0]))
        self.disk.writes = None
        self.fetch(1)
        self.assertTrue(self.disk.contains(made_up(1)[0]))

    def test_inspect(self) -> None:
        """
        What is inspected on disk is not brought to memory by that.
        """
        for number in range(4):
            self.fetch(number)
        self.assertEqual(self.where(0), "disk")
        for _ in range(5):
            handle = self.successResultOf(self.manager.inspect(made_up(0)[0]))
            assert handle is not None
            self.assertEqual(handle.length, LENGTH)
            handle.close()
            self.clock.advance(10)
        self.assertEqual(self.where(0), "disk")
        self.assertIsNone(self.successResultOf(self.manager.inspect(made_up(9)[0])))
        self.assertEqual(self.disk.open_handles, 0)

    def test_being_promoted(self) -> None:
        """
        A chunk that is dropped while it is copied from disk to memory comes to none.
        """
        for number in range(4):
            self.fetch(number)
        worker = SteppedWorker()
        assert self.manager._promotion is not None
        self.manager._promotion._worker = worker
        for _ in range(2):
            self.open(0).close()
            self.clock.advance(5)
        self.assertEqual(len(worker.waiting), 1)
        self.drop(0)
        worker.finish()
        self.assertEqual(self.where(0), "")

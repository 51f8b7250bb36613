"""
Tests for :mod:`eliop2p.cache.chunk_manager`.
"""

from pathlib import Path
from unittest.mock import patch

from twisted.logger import capturedLogs
from twisted.trial.unittest import SkipTest
from zope.interface.verify import verifyObject

from eliop2p.cache import chunk_manager
from eliop2p.cache.layout import ChunkName
from eliop2p.interfaces import (
    IChunkReader,
    IChunkReading,
    ILocalChunks,
)
from eliop2p.model.span import FileSpan, Span
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import (
    FakeOrigin,
    FakeSource,
    chunk_of,
)
from tests.cache.manager_case import LENGTH, ManagerCase


class ManagerTests(ManagerCase):
    """
    The two tiers behind the one door.
    """

    def test_interfaces(self) -> None:
        """
        It provides IChunkReader and ILocalChunks, and its readings IChunkReading.
        """
        verifyObject(IChunkReader, self.manager)
        verifyObject(ILocalChunks, self.manager)
        self.fetch(1)
        for number in (1, 2):
            reading = self.open(number)
            verifyObject(IChunkReading, reading)
            reading.close()

    def test_memory_hit(self) -> None:
        """
        A chunk in memory is given from there, and the client's right is passed over.
        """
        self.fetch(1)
        origin = FakeOrigin()
        reading = self.open(1, origin)
        self.assertEqual((reading.source, reading.filled), ("memory", LENGTH))
        self.assertEqual(reading.digest, made_up(1, LENGTH)[2])
        span = self.successResultOf(reading.read(10, 100))
        self.assertEqual(span, made_up(1, LENGTH)[1][10:110])
        self.assertEqual(len(origin.passed), 1)
        self.assertEqual(self.memory.open_handles, 1)
        reading.close()
        reading.close()
        self.assertEqual((self.manager.hits_memory, self.memory.open_handles), (1, 0))

    def test_at_once(self) -> None:
        """
        What a tier can give without waiting is opened at once, which counts as any
        other opening does; what is absent or arriving is not.
        """
        origin, chunk = FakeOrigin(), chunk_of(0, LENGTH)
        self.assertIsNone(self.manager.open_at_once(chunk, origin))
        reading = self.open(0)
        self.assertIsNone(self.manager.open_at_once(chunk, origin))
        self.source.serve(0, LENGTH)
        reading.close()
        self.assertEqual((origin.passed, self.manager.hits_memory), ([], 0))
        self.source.opens.clear()
        handle, tier = self.manager.open_at_once(chunk, origin) or self.fail("absent")
        self.assertEqual(tier, "memory")
        self.assertEqual(handle.span(10, 100), made_up(0, LENGTH)[1][10:110])
        self.assertEqual(self.memory.open_handles, 1)
        handle.close()
        self.assertEqual((len(origin.passed), self.manager.hits_memory), (1, 1))
        self.assertEqual(self.source.opens, [chunk.id])
        self.assertEqual(self.memory.open_handles, 0)

    def test_at_once_from_disk(self) -> None:
        """
        A chunk that only the disk has is opened at once if the kernel has its file in
        memory, and comes to memory with its second use; if not, it has to be waited
        for.
        """
        for number in range(6):
            self.fetch(number)
        chunk = chunk_of(0, LENGTH)
        for expected in ("disk", "disk", "memory"):
            found = self.manager.open_at_once(chunk, FakeOrigin())
            if found is None:
                raise SkipTest("this kernel has no cachestat or openat2")
            self.assertEqual(found[1], expected)
            found[0].close()
        self.assertEqual((self.manager.hits_disk, self.manager.hits_memory), (2, 1))
        with patch.object(self.files, "open_at_once", return_value=-1):
            away = self.manager.open_at_once(chunk_of(1, LENGTH), FakeOrigin())
        self.assertIsNone(away)
        self.assertEqual(self.manager.hits_disk, 2)
        self.assertEqual((self.disk.open_handles, self.memory.open_handles), (0, 0))

    def test_disk_hit(self) -> None:
        """
        A chunk that only the disk has is given from its file, and comes to memory with
        its second use.
        """
        for number in range(6):
            self.fetch(number)
        self.assertEqual(self.manager.where(made_up(0)[0]), "disk")
        for expected in ("disk", "disk", "memory"):
            reading = self.open(0)
            self.assertEqual(reading.source, expected)
            span = self.successResultOf(reading.read(0, LENGTH))
            self.assertEqual(isinstance(span, FileSpan), expected == "disk")
            reading.close()
        self.assertEqual(self.manager.hits_disk, 2)
        self.assertEqual((self.disk.open_handles, self.memory.open_handles), (0, 0))
        self.assertEqual(self.manager.inflight, 0)

    def test_pages(self) -> None:
        """
        What is long enough for that is given from its file as long as the kernel has it
        in memory, and counts as read from memory.
        """
        self.patch(chunk_manager, "PAGED_BYTES", LENGTH)
        self.fetch(1)
        span: Span = memoryview(b"")
        for _ in range(2):
            reading = self.open(1)
            self.assertEqual(reading.source, "memory")
            span = self.successResultOf(reading.read(10, 100))
            reading.close()
        if not isinstance(span, FileSpan):
            raise SkipTest("this kernel has no cachestat or openat2")
        self.assertEqual(span.length, 100)
        self.assertEqual(self.manager.hits_memory, 2)
        self.assertEqual((self.disk.open_handles, self.memory.open_handles), (0, 0))

    def test_found_at_the_start(self) -> None:
        """
        What an earlier run left on disk is announced and can be read.
        """
        for number in range(3):
            self.fetch(number)
        self.successResultOf(self.manager.stop())
        self.source = FakeSource()
        self.begin()
        self.clock.advance(0)
        told = sorted(name for _, name in self.source.told)
        self.assertEqual(told, sorted(self.name(*range(3))))
        reading = self.open(1)
        self.assertEqual(reading.source, "disk")
        reading.close()

    def test_corrupt_on_disk(self) -> None:
        """
        A chunk that has been damaged on disk is fetched again, unnoticed.
        """
        for number in range(6):
            self.fetch(number)
        chunk_id, data, digest = made_up(0, LENGTH)
        file = Path(self.path, ChunkName(chunk_id, LENGTH, digest).path)
        file.write_bytes(bytes(LENGTH))
        with capturedLogs():
            reading = self.open(0)
        self.assertIn(("withdraw", chunk_id), self.source.told)
        self.source.serve(0, LENGTH)
        self.assertEqual(self.successResultOf(reading.read(0, LENGTH)), data)
        reading.close()
        self.assertEqual(file.read_bytes(), bytes(data))

    def test_buffer_is_shared(self) -> None:
        """
        Memory keeps the buffer that the chunk arrived in, and it counts once.
        """
        reading = self.open(1)
        self.source.serve(1, LENGTH)
        self.assertEqual(self.manager.inflight, 0)
        self.assertEqual(self.memory.usage().used, LENGTH)
        later = self.open(1)
        first = self.successResultOf(reading.read(0, 1))
        second = self.successResultOf(later.read(0, 1))
        assert isinstance(first, memoryview)
        assert isinstance(second, memoryview)
        self.assertIs(first.obj, second.obj)
        reading.close()
        later.close()

    def test_open_local(self) -> None:
        """
        A peer gets what is held, and nothing is fetched for it.
        """
        self.fetch(1)
        reading = self.successResultOf(self.manager.open_local(made_up(1)[0]))
        assert reading is not None
        self.assertEqual(reading.source, "memory")
        reading.close()
        self.assertIsNone(self.successResultOf(self.manager.open_local(made_up(2)[0])))
        self.assertEqual(len(self.source.fetches), 1)

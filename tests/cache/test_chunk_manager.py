"""
Tests for :mod:`eliop2p.cache.chunk_manager`.
"""

import os
from itertools import chain
from pathlib import Path
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.cache import chunk_manager
from eliop2p.cache.admission import WINDOW, Residence, SecondUse
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.holdings import MOMENT
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import (
    BackendSettings,
    IChunkReader,
    IChunkReading,
    ILocalChunks,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.span import FileSpan, Span
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import (
    FakeOrigin,
    FakeSource,
    InlineWorker,
    SteppedWorker,
    chunk_of,
)

LENGTH = 4096


class ManagerTests(SynchronousTestCase):
    """
    The two tiers behind the one door.
    """

    def setUp(self) -> None:
        """
        Make a manager with memory for four chunks and a disk for fifteen.
        """
        self.path = self.mktemp()
        self.files = ChunkFiles(self.path)
        self.source = FakeSource()
        self.clock = Clock()
        self.worker: InlineWorker | SteppedWorker = InlineWorker()
        self.begin()

    def tearDown(self) -> None:
        """
        Unlock the directory.
        """
        self.files.release()

    def begin(self) -> None:
        """
        Make the tiers and the manager, and start them.
        """
        self.files.claim()
        self.memory = MemoryBackend(
            BackendSettings(4 * LENGTH, "", 1.0, 1.0, "lru"),
            self.clock,
            self.dropped,
        )
        self.disk = DirectoryBackend(
            self.files,
            BackendSettings(16 * LENGTH, self.path, 1.0, 1.0, "lru"),
            self.worker,
            self.clock,
            self.dropped,
        )
        self.manager = ChunkManager(
            self.memory,
            self.disk,
            self.source,
            self.worker,
            self.clock,
            inflight_bytes=10 * LENGTH,
        )
        self.successResultOf(self.manager.start())

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Pass on what a tier says; the tiers are made before the manager.
        """
        self.manager.dropped(chunk_id)

    def open(self, number: int, origin: FakeOrigin | None = None) -> IChunkReading:
        """
        Open a chunk as a client does.
        """
        opening = self.manager.open(chunk_of(number, LENGTH), origin or FakeOrigin())
        return self.successResultOf(opening)

    def fetch(self, number: int) -> None:
        """
        Have a chunk fetched, and read it.
        """
        reading = self.open(number)
        self.source.serve(number, LENGTH)
        reading.close()

    def name(self, *numbers: int) -> list[bytes]:
        """
        Name chunks.
        """
        return [made_up(number)[0] for number in numbers]

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

    def test_shown(self) -> None:
        """
        A long part of a chunk in memory is shown in its file as long as the kernel has
        that in memory, and each use counts; a short one never is.
        """
        self.patch(chunk_manager, "VIEWED_BYTES", 100)
        self.fetch(1)
        chunk_id, data, _ = made_up(1, LENGTH)
        short = self.manager.view(chunk_id, 10, 109)
        self.assertEqual(short, data[10:109])
        span = self.manager.view(chunk_id, 10, 110)
        self.manager.used(chunk_id)
        self.assertEqual(self.manager.hits_memory, 3)
        if not isinstance(span, FileSpan):
            raise SkipTest("this kernel has no cachestat or openat2")
        self.assertEqual(os.pread(span.fd, 200, span.offset)[:100], data[10:110])
        self.successResultOf(self.disk.remove(chunk_id))
        self.assertEqual(self.manager.view(chunk_id, 10, 110), data[10:110])
        self.successResultOf(self.manager.drop(chunk_id))
        self.assertIsNone(self.manager.view(chunk_id, 10, 110))

    def test_used_by_others(self) -> None:
        """
        Uses that others have made of a chunk keep it in memory and are counted, all of
        them; those of a chunk that is gone are only counted.
        """
        for number in range(4):
            self.fetch(number)
        self.clock.advance(MOMENT)
        self.source.opens.clear()
        self.manager.used_elsewhere(made_up(0)[0], 100)
        self.assertEqual(self.source.opens, 100 * [made_up(0)[0]])
        self.fetch(4)
        self.assertEqual(self.manager.where(made_up(0)[0]), "memory")
        self.assertEqual(self.manager.where(made_up(1)[0]), "disk")
        self.manager.used_elsewhere(made_up(1)[0], 5)
        self.assertEqual(self.manager.where(made_up(1)[0]), "disk")
        self.assertEqual(len(self.source.opens), 100)
        self.assertEqual(self.manager.hits_memory, 105)

    def read_from(self, number: int, after: float) -> str:
        """
        Read a chunk some seconds later.

        Returns:
            Which tier had it.
        """
        self.clock.advance(after)
        reading = self.open(number)
        reading.close()
        return reading.source

    def test_larger_than_memory(self) -> None:
        """
        Chunks that are read in turn, more of them than memory holds, are not copied
        there only to be pushed out before they are used; those that are used sooner
        are.
        """
        for number in range(10):
            self.fetch(number)
        turns = [
            [self.read_from(number, after=1) for number in range(8)] for _ in range(9)
        ]
        self.assertEqual(turns[1], ["disk"] * 8)
        later = list(chain.from_iterable(turns[3:]))
        self.assertGreater(later.count("memory"), len(later) // 4)
        self.assertEqual(self.read_from(9, after=1), "disk")
        self.assertEqual(self.read_from(9, after=1), "disk")
        self.assertEqual(self.read_from(9, after=1), "memory")

    def test_announced(self) -> None:
        """
        A chunk is announced once when it is held and withdrawn when no tier has it.
        """
        for number in range(20):
            self.fetch(number)
        announced = [name for what, name in self.source.told if what == "announce"]
        withdrawn = [name for what, name in self.source.told if what == "withdraw"]
        self.assertEqual(announced, self.name(*range(20)))
        held = dict(self.manager.holdings())
        self.assertEqual(set(announced) - set(withdrawn), set(held))
        self.assertEqual(len(withdrawn), len(set(withdrawn)))
        self.assertEqual(held[made_up(19)[0]], made_up(19, LENGTH)[2])

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

    def test_readers_pin(self) -> None:
        """
        Memory goes on counting a chunk that those who had it fetched still read.
        """
        readings = [self.open(number) for number in range(4)]
        for number in range(4):
            self.source.serve(number, LENGTH, index=number)
        self.fetch(5)
        self.assertEqual(self.manager.where(made_up(5)[0]), "disk")
        self.assertEqual(self.memory.usage().used, 4 * LENGTH)
        for reading in readings:
            reading.close()
        self.assertEqual((self.memory.open_handles, self.manager.inflight), (0, 0))

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

    def test_usage(self) -> None:
        """
        Each tier tells how full it is.
        """
        self.fetch(1)
        usage = self.manager.usage()
        self.assertEqual(usage["memory"].used, LENGTH)
        self.assertEqual(usage["disk"].chunks, 1)

    def test_stop_keeps(self) -> None:
        """
        What has arrived is written before the manager has stopped.
        """
        self.worker = SteppedWorker()
        self.disk._shelf._worker = self.worker
        self.fetch(1)
        stopping = self.manager.stop()
        self.assertNoResult(stopping)
        self.worker.finish()
        self.successResultOf(stopping)
        self.worker = InlineWorker()
        self.begin()
        self.assertEqual(self.manager.where(made_up(1)[0]), "disk")

    def test_slow_disk(self) -> None:
        """
        A chunk that is being written can be read, and is announced when it is written.
        """
        self.worker = SteppedWorker()
        self.disk._shelf._worker = self.worker
        for number in range(4):
            self.successResultOf(self.memory.put(*made_up(10 + number, LENGTH)))
        pinned = [self.open(10 + number) for number in range(4)]
        self.fetch(1)
        self.assertEqual(self.manager.where(made_up(1)[0]), "")
        reading = self.open(1)
        self.assertEqual(self.manager.joined, 1)
        span = self.successResultOf(reading.read(0, LENGTH))
        self.assertEqual(span, made_up(1, LENGTH)[1])
        reading.close()
        self.assertEqual(self.manager.inflight, LENGTH)
        self.assertNotIn(("announce", made_up(1)[0]), self.source.told)
        self.worker.finish()
        self.assertEqual(self.manager.inflight, 0)
        self.assertEqual(self.manager.where(made_up(1)[0]), "disk")
        self.assertIn(("announce", made_up(1)[0]), self.source.told)
        for other in pinned:
            other.close()


class SecondUseTests(SynchronousTestCase):
    """
    What counts as used again.
    """

    def test_window(self) -> None:
        """
        A second use counts when the first was not long ago.
        """
        uses = SecondUse()
        one, other = made_up(1)[0], made_up(2)[0]
        self.assertFalse(uses.seen(one, 0))
        self.assertFalse(uses.seen(other, 1))
        self.assertTrue(uses.seen(one, WINDOW))
        self.assertFalse(uses.seen(other, WINDOW + 2))


class ResidenceTests(SynchronousTestCase):
    """
    How long chunks stay in memory.
    """

    def test_time(self) -> None:
        """
        It is unlimited at first, then that of the chunk that left last, and longer when
        none has left since.
        """
        residence = Residence()
        one, other = made_up(1)[0], made_up(2)[0]
        self.assertEqual(residence.time(0), float("inf"))
        residence.came(one, 0)
        residence.left(other, 10)
        self.assertEqual(residence.time(10), float("inf"))
        residence.left(one, 20)
        residence.left(one, 25)
        self.assertEqual(residence.time(25), 20)
        self.assertEqual(residence.time(50), 30)

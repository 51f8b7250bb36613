"""
Tests for what :mod:`eliop2p.cache.chunk_manager` does and says while chunks are read.
"""

import os
from itertools import chain

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from eliop2p.cache import chunk_manager
from eliop2p.cache.admission import WINDOW, Residence, SecondUse
from eliop2p.cache.holdings import MOMENT
from eliop2p.model.span import FileSpan
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import (
    InlineWorker,
    SteppedWorker,
)
from tests.cache.manager_case import LENGTH, ManagerCase


class ManagerUseTests(ManagerCase):
    """
    Tests for what the manager does while chunks are read, and what it says of them.
    """

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

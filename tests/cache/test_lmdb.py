"""
Tests for the LMDB tier.
"""

import random
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs

from eliop2p.testing.conformance import cache_backend_tests, made_up, read_handle
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker, SteppedWorker
from tests.cache.lmdb_case import CAPACITY, KIB, LmdbCase, make

LmdbConformanceTests = cache_backend_tests(make, persistent=True)


class LmdbTests(LmdbCase):
    """
    What the LMDB tier promises beyond the conformance suite.
    """

    def test_lengths(self) -> None:
        """
        Chunks of every length are read as they were written, also after a restart.
        """
        lengths = (0, 1, 2018, 2019, 4079, 4080, 4081, 4096, 6100, 8160, 200_000)
        for number, length in enumerate(lengths):
            self.assertTrue(self.put(number, length))
        self.restart()
        for number, length in enumerate(lengths):
            self.assertTrue(self.is_right(number, length), length)

    def test_small_objects_are_small(self) -> None:
        """
        Chunks of 4 KiB take hardly more than that in the file.
        """
        count = 0
        while self.backend.usage().used < 700 * KIB:
            self.put(count)
            count += 1
        self.assertLess(self.file.stat().st_size, count * 4096 * 1.1 + 64 * KIB)

    def test_bounded(self) -> None:
        """
        Whatever comes and goes, nothing in the directory exceeds the capacity, and
        nothing is refused.
        """
        rng = random.Random(5)
        lengths = (1, 700, 4096, 9000, 70_000)
        for _ in range(1500):
            number = rng.randrange(200)
            if rng.random() < 0.2:
                self.backend.remove(made_up(number)[0])
            else:
                self.assertTrue(self.put(number, lengths[number % len(lengths)]))
            self.assertLessEqual(self.backend.usage().used, CAPACITY)
            self.assertLessEqual(bytes_below(self.path), CAPACITY)
        self.assertEqual(self.backend.usage().degraded, "")

    def test_killed(self) -> None:
        """
        A chunk that was taken survives the end of the process, one that was removed
        does not come back.
        """
        for number in range(10):
            self.put(number)
        self.successResultOf(self.backend.remove(made_up(3)[0]))
        self.crash()
        held = [number for number in range(10) if self.is_right(number)]
        self.assertEqual(held, [0, 1, 2, 4, 5, 6, 7, 8, 9])

    def test_recency(self) -> None:
        """
        After a restart the chunks that came first are the first to go.
        """
        for number in range(8):
            self.put(number, 60_000)
        self.crash()
        self.assertTrue(self.put(8, 300_000))
        self.assertTrue(self.gone)
        expected = [made_up(number)[0] for number in range(len(self.gone))]
        self.assertEqual(self.gone, expected)

    def test_one_transaction(self) -> None:
        """
        What comes while a transaction is under way goes into the next one together,
        and what is to be dropped does not go with what is to be kept.
        """
        worker = SteppedWorker()
        self.stop()
        started = self.begin(worker)
        worker.finish()
        self.successResultOf(started)
        results = [self.backend.put(*made_up(number, 4096)) for number in range(9)]
        worker.finish()
        self.assertEqual([self.successResultOf(each) for each in results], [True] * 9)
        results = [self.backend.remove(made_up(number)[0]) for number in range(3)]
        results.append(self.backend.put(*made_up(9, 4096)))
        worker.finish()
        self.assertEqual([self.successResultOf(each) for each in results], [True] * 4)
        self.assertEqual(self.store.transactions, [1, 8, 1, 2, 1])

    def test_shared_copy(self) -> None:
        """
        All who have a chunk open share one copy, which goes with the last of them.
        """
        worker = SteppedWorker()
        self.put(1)
        self.stop()
        started = self.begin(worker)
        worker.finish()
        self.successResultOf(started)
        chunk_id = made_up(1)[0]
        opening = [self.backend.open(chunk_id) for _ in range(3)]
        worker.step()
        handles = [self.successResultOf(each) for each in opening]
        self.assertEqual(worker.waiting, [])
        for handle in handles:
            assert handle is not None
            handle.close()
        self.assertEqual(self.backend.open_handles, 0)
        self.backend.open(chunk_id)
        self.assertEqual(len(worker.waiting), 1)
        worker.finish()

    def test_slow_reader(self) -> None:
        """
        A chunk that stays open does not keep the file from being used again.
        """
        self.put(0)
        handle = self.opened(0)
        assert handle is not None
        for number in range(1, 2000):
            self.assertTrue(self.put(number))
        self.assertEqual(read_handle(handle), bytes(made_up(0, 4096)[1]))
        handle.close()

    def test_cancelled(self) -> None:
        """
        A handle that nobody waits for any more is closed.
        """
        worker = SteppedWorker()
        self.put(1)
        self.stop()
        self.begin(worker)
        worker.finish()
        opening = self.backend.open(made_up(1)[0])
        opening.addErrback(lambda _: None)
        opening.cancel()
        worker.finish()
        self.assertEqual(self.backend.open_handles, 0)

    def test_other_content(self) -> None:
        """
        A chunk that is put with another content replaces the one before.
        """
        chunk_id, _, _ = made_up(1)
        _, data, digest = made_up(2, 9000)
        self.put(1)
        used = self.backend.usage().chunks
        self.assertTrue(self.successResultOf(self.backend.put(chunk_id, data, digest)))
        self.assertEqual(self.backend.usage().chunks, used)
        self.crash()
        handle = self.successResultOf(self.backend.open(chunk_id))
        assert handle is not None
        self.assertEqual(read_handle(handle), bytes(data))
        handle.close()

    def test_others_files(self) -> None:
        """
        Files that are not ours are left alone and count against the capacity.
        """
        self.stop()
        stranger = Path(self.path, "stranger")
        stranger.write_bytes(bytes(300 * KIB))
        self.successResultOf(self.begin(InlineWorker()))
        for number in range(400):
            self.put(number)
        self.assertLessEqual(bytes_below(self.path), CAPACITY)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertTrue(stranger.exists())

    def test_smaller_capacity(self) -> None:
        """
        A file that is larger than the capacity has become gives way to a new one,
        since files of LMDB do not shrink.
        """
        for number in range(150):
            self.put(number)
        self.stop()
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker(), 600 * KIB))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertEqual(self.backend.usage().chunks, 0)
        self.assertTrue(self.put(1))

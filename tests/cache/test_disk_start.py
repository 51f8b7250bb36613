"""
Tests for the start of :mod:`eliop2p.cache.disk` with what an earlier process left.
"""

from pathlib import Path

from twisted.internet.defer import Deferred

from eliop2p.cache.disk_recent import RECORD
from eliop2p.cache.layout import FOLDERS, RECENT_FILE, RECENT_OLD_FILE
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import KIB, LENGTH, DiskCase
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import SteppedWorker

_MIB = 1024 * KIB


class ListingTests(DiskCase):
    """
    What can be done while the directory is being listed.
    """

    capacity = _MIB

    def begin_listing(self, steps: int) -> SteppedWorker:
        """
        Begin anew after the process has died, and take some steps of the start.
        """
        self.files.release()
        worker = SteppedWorker()
        self.worker = worker
        self.begin()
        self.starting = self.backend.start()
        for _ in range(steps):
            worker.step()
        return worker

    def result(self, worker: SteppedWorker, deferred: "Deferred[bool]") -> bool:
        """
        Step the newest calls, which are not the listing's, until there is a result.
        """
        while not deferred.called:
            worker.step(len(worker.waiting) - 1)
        return self.successResultOf(deferred)

    def test_hits(self) -> None:
        """
        A chunk is found where it would be before the folder's turn has come.
        """
        self.put(1)
        worker = self.begin_listing(1)
        opening = self.backend.open(made_up(1)[0])
        for _ in range(2):
            worker.step(len(worker.waiting) - 1)
        handle = self.successResultOf(opening)
        assert handle is not None
        handle.close()
        self.assertNoResult(self.starting)
        absent = self.backend.open(made_up(2)[0])
        worker.step(len(worker.waiting) - 1)
        self.assertIsNone(self.successResultOf(absent))
        worker.finish()
        self.successResultOf(self.starting)

    def test_asked_at_once(self) -> None:
        """
        However many ask, a folder is listed once.
        """
        self.put(1)
        worker = self.begin_listing(1)
        openings = [self.backend.open(made_up(1)[0]) for _ in range(3)]
        self.assertEqual(len(worker.waiting), 2)
        worker.finish()
        for opening in openings:
            handle = self.successResultOf(opening)
            assert handle is not None
            handle.close()

    def test_puts(self) -> None:
        """
        Chunks are taken while there is certainly room, replaced in place, and
        never let the directory exceed its capacity.
        """
        for number in range(60):
            self.put(number)
        worker = self.begin_listing(1)
        for number in range(100, 180):
            taken = self.result(worker, self.backend.put(*made_up(number, LENGTH)))
            self.assertLessEqual(bytes_below(self.path), self.capacity)
            if number < 120:
                self.assertTrue(taken)
                self.assertNoResult(self.starting)
        worker.finish()
        self.successResultOf(self.starting)
        self.assertLessEqual(bytes_below(self.path), self.capacity)
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_put_what_is_there(self) -> None:
        """
        A chunk that is there and not found yet is not written again.
        """
        self.put(1)
        written = self.file_of(1).stat().st_mtime_ns
        worker = self.begin_listing(1)
        again = self.backend.put(*made_up(1, LENGTH))
        self.assertTrue(self.result(worker, again))
        worker.finish()
        self.assertEqual(self.file_of(1).stat().st_mtime_ns, written)
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_remove(self) -> None:
        """
        A chunk that is removed before it was found does not come back.
        """
        self.put(1)
        worker = self.begin_listing(1)
        removing = self.backend.remove(made_up(1)[0])
        self.assertTrue(self.result(worker, removing))
        worker.finish()
        self.assertEqual(self.held(1), [])
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_stop(self) -> None:
        """
        Stopping does not wait for the rest of the listing.
        """
        self.put(1)
        worker = self.begin_listing(3)
        stopping = self.backend.stop()
        steps = 0
        while not stopping.called:
            worker.step()
            steps += 1
        self.assertLess(steps, len(FOLDERS) // 2)
        self.successResultOf(stopping)

    def test_unknown_room(self) -> None:
        """
        When it is not known how much there is nothing is taken before the end.
        """
        self.put(1)
        Path(self.path, "CEILING").unlink()
        worker = self.begin_listing(1)
        self.assertFalse(self.successResultOf(self.backend.put(*made_up(2, LENGTH))))
        worker.finish()
        taken = self.backend.put(*made_up(2, LENGTH))
        self.assertTrue(self.result(worker, taken))


class RecencyTests(DiskCase):
    """
    The order of use across restarts.
    """

    capacity = 2 * _MIB

    def log(self) -> list[Path]:
        """
        Name the files of the log.
        """
        return [Path(self.path, name) for name in (RECENT_OLD_FILE, RECENT_FILE)]

    def use(self, *numbers: int) -> None:
        """
        Use chunks, one after the other.
        """
        for number in numbers:
            self.clock.advance(2)
            self.assertTrue(self.reads(number))

    def fill(self) -> None:
        """
        Put 100 chunks, and use every tenth of them.
        """
        for number in range(100):
            self.assertTrue(self.put(number))
        self.use(*range(0, 100, 10))

    def survivors(self) -> list[int]:
        """
        Let others come until half of the chunks have gone; name the rest.
        """
        numbers = iter(range(1000, 2000))
        while len(self.held(*range(100))) > 50:
            self.assertTrue(self.put(next(numbers)))
        return self.held(*range(100))

    def test_kept(self) -> None:
        """
        What was used last before a restart stays, whether it was a polite one or not,
        and what came last stays longer than what came first.
        """
        self.fill()
        self.clock.advance(10)
        for polite in (True, False):
            self.restart(polite=polite)
            self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        left = set(self.survivors())
        used = set(range(0, 100, 10))
        self.assertLessEqual(used, left)
        others = sorted(left - used)
        self.assertEqual(others, sorted(set(range(100)) - used)[-len(others) :])

    def test_lost(self) -> None:
        """
        Without the log, or with nonsense in it, everything else is as it was.
        """
        self.fill()
        for garbage in (None, b"", b"x" * 1000, bytes(RECORD * 7 + 5), b"\xff" * 9999):
            self.successResultOf(self.backend.stop())
            for path in self.log():
                path.unlink(missing_ok=True)
                if garbage is not None:
                    path.write_bytes(garbage)
            self.restart(polite=False)
            self.assertEqual(len(self.held(*range(100))), 100)
            self.assertEqual(self.backend.usage().used, bytes_below(self.path))
            self.use(3)

    def test_huge(self) -> None:
        """
        A log that is longer than it could have become is thrown away unread.
        """
        self.put(1)
        self.successResultOf(self.backend.stop())
        self.log()[1].write_bytes(bytes(_MIB))
        self.restart(polite=False)
        self.assertTrue(self.reads(1))
        self.assertLess(self.backend.usage().used, 64 * KIB)
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))

    def test_bounded(self) -> None:
        """
        However often chunks are used, the log takes a hundredth of the capacity.
        """
        for number in range(50):
            self.put(number)
        for _ in range(40):
            for number in range(50):
                self.assertTrue(self.reads(number))
            self.clock.advance(10)
            sizes = [path.stat().st_size for path in self.log() if path.exists()]
            self.assertLess(sum(sizes), self.capacity // 100)
            self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        self.assertGreater(sum(sizes), 50 * RECORD)

    def test_used_since(self) -> None:
        """
        What is used while the log is still being read counts as used later.
        """
        self.fill()
        self.successResultOf(self.backend.stop())
        self.files.release()
        worker = SteppedWorker()
        self.worker = worker
        self.begin()
        starting = self.backend.start()
        self.clock.advance(2)
        opening = self.backend.open(made_up(5)[0])
        worker.finish()
        self.successResultOf(starting)
        handle = self.successResultOf(opening)
        assert handle is not None
        handle.close()
        order = list(self.backend._recency._pending)
        self.assertEqual(order, [made_up(5)[0]])

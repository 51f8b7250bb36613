"""
Tests for the LMDB tier in trouble.
"""

import os
from pathlib import Path

import lmdb
from twisted.logger import LogLevel, capturedLogs

from eliop2p.testing.conformance import made_up
from tests.cache.doubles import InlineWorker
from tests.cache.lmdb_case import KIB, LmdbCase


class LmdbTroubleTests(LmdbCase):
    """
    Damage, disks that fail, machines that go down.
    """

    def test_damaged_content(self) -> None:
        """
        A chunk whose bytes have changed is dropped, told of, counted and absent.
        """
        for number in range(3):
            self.put(number)
        self.damage(1)
        with capturedLogs() as logs:
            self.assertFalse(self.is_right(1))
            self.assertFalse(self.is_right(1))
        self.assertEqual(len(logs), 1)
        self.assertEqual(self.gone, [made_up(1)[0]])
        self.assertEqual(self.backend.usage().corrupt, 1)
        self.crash()
        self.assertFalse(self.is_right(1))
        self.assertTrue(self.is_right(2))

    def test_full(self) -> None:
        """
        A file that is full or a disk that fails is told of once, refuses chunks for 30
        seconds and is then tried again; it is read from all along.
        """
        self.put(1)
        used = self.backend.usage().used
        full = [lmdb.MapFullError("full"), lmdb.MapFullError("full")]
        with capturedLogs() as logs:
            for faults, text in (
                (full, "its file is full"),
                ([lmdb.DiskError("commit: no space")], "commit"),
                ([lmdb.Error("commit: input/output error")], "commit"),
            ):
                self.store.faults = list(faults)
                self.assertFalse(self.put(2))
                self.assertFalse(self.put(3))
                self.assertEqual(self.store.faults, [])
                self.assertIn(text, self.backend.usage().degraded)
                self.assertEqual(self.backend.usage().used, used)
                self.assertTrue(self.is_right(1))
                self.clock.advance(31)
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.error])
        self.assertTrue(self.put(2))
        self.assertEqual(self.backend.usage().degraded, "")

    def test_pages_come_free(self) -> None:
        """
        A file that is full because pages are not free yet is tried again at once.
        """
        self.store.faults = [lmdb.MapFullError("full")]
        self.assertTrue(self.put(1))
        self.assertTrue(self.is_right(1))

    def test_not_dropped(self) -> None:
        """
        A chunk that cannot be dropped from the file goes on counting.
        """
        self.put(1)
        used = self.backend.usage().used
        self.store.faults = [lmdb.DiskError("commit: no space")]
        with capturedLogs():
            self.assertTrue(self.successResultOf(self.backend.remove(made_up(1)[0])))
        self.assertFalse(self.backend.contains(made_up(1)[0]))
        self.assertEqual(self.backend.usage().used, used)

    def test_min_free(self) -> None:
        """
        The file does not grow when its file system would have too little left.
        """
        self.stop()
        found = os.statvfs(self.path)
        free = found.f_bavail * found.f_frsize
        self.successResultOf(self.begin(InlineWorker(), min_free=2 * free))
        with capturedLogs():
            self.assertFalse(self.put(1))
        self.assertIn("min_free_mb", self.backend.usage().degraded)

    def test_cut_while_open(self) -> None:
        """
        A file that is cut or removed while it is in use loses its chunks; the next
        process begins anew.
        """
        for cut in (True, False):
            for number in range(40):
                self.assertTrue(self.put(number))
            if cut:
                os.truncate(self.file, 40 * KIB)
            else:
                self.file.unlink()
            with capturedLogs():
                self.assertFalse(self.put(50))
                self.assertFalse(any(self.is_right(number) for number in range(40)))
                self.assertNotEqual(self.backend.usage().degraded, "")
                self.stop()
                self.successResultOf(self.begin(InlineWorker()))
            self.assertEqual(self.backend.usage().chunks, 0)

    def test_cut_while_closed(self) -> None:
        """
        A file that was cut, is empty or is none of ours is replaced.
        """
        for length, tail in ((40 * KIB, b""), (4096, b""), (0, b"garbage" * 4000)):
            for number in range(40):
                self.assertTrue(self.put(number))
            self.stop()
            os.truncate(self.file, length)
            with self.file.open("ab") as file:
                file.write(tail)
            with capturedLogs() as logs:
                self.successResultOf(self.begin(InlineWorker()))
            self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
            self.assertEqual(self.backend.usage().chunks, 0)

    def test_machine_went_down(self) -> None:
        """
        A file that was in use when the machine went down is not believed, one that was
        closed in good order is.
        """
        running = Path(self.path, "RUNNING")
        self.put(1)
        self.store.abandon()
        running.write_text("of-another-run 0\n")
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker()))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertFalse(self.is_right(1))
        self.put(1)
        self.stop()
        self.assertFalse(running.exists())
        self.successResultOf(self.begin(InlineWorker()))
        self.assertTrue(self.is_right(1))

    def test_damaged_structure(self) -> None:
        """
        A file whose inner pages are damaged is found out before it ends one process
        after the other; one that is whole outlives any number of deaths.
        """
        for number in range(100):
            self.put(number)
        for _ in range(5):
            self.crash()
            self.assertEqual(self.backend.usage().chunks, 100)
        self.crash()
        self.store.abandon()
        size = self.file.stat().st_size
        with self.file.open("r+b") as file:
            for page in range(4, size // 4096):
                file.seek(page * 4096 + 10)
                file.write(b"\xff" * 60)
        Path(self.path, "RUNNING").write_text(
            Path(self.path, "RUNNING").read_text().split()[0] + " 2\n"
        )
        with capturedLogs() as logs:
            self.successResultOf(self.begin(InlineWorker()))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertTrue(self.put(1))

    def test_library_sees_damage(self) -> None:
        """
        After damage that LMDB reports the next process begins anew.
        """
        self.put(1)
        self.store.faults = [lmdb.CorruptedError("page")]
        with capturedLogs():
            self.assertFalse(self.put(2))
            self.restart()
        self.assertEqual(self.backend.usage().chunks, 0)

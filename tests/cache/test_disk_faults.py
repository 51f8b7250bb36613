"""
Tests for :mod:`eliop2p.cache.disk` on a disk that fails.
"""

import errno
import os
import random
import shutil
from pathlib import Path

import attrs
from twisted.logger import LogLevel, capturedLogs

from eliop2p.cache.files import Found
from eliop2p.cache.layout import CEILING_FILE
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import KIB, LENGTH, DiskCase
from tests.cache.disk_tools import bytes_below

_MIB = 1024 * KIB


@attrs.frozen
class _Space:
    """
    What statvfs says.
    """

    f_bavail: int
    f_frsize: int = 4096


class SpaceTests(DiskCase):
    """
    A file system that must keep a mebibyte free.
    """

    min_free = _MIB

    def set_free(self, free: int) -> None:
        """
        Let the file system have so many bytes free.
        """
        self.patch(os, "statvfs", lambda path: _Space(free // 4096))

    def test_enough(self) -> None:
        """
        As long as enough stays free nothing is dropped.
        """
        self.set_free(_MIB + LENGTH)
        self.assertTrue(self.put(1))
        self.assertEqual(self.backend.usage().degraded, "")

    def test_evicts(self) -> None:
        """
        When less would stay free others are dropped first, it is told once, and a
        chunk that there is room for then is taken.
        """
        for number in range(3):
            self.put(number)
        self.patch(
            os,
            "statvfs",
            lambda path: _Space((_MIB + 4 * LENGTH - bytes_below(self.path)) // 4096),
        )
        with capturedLogs() as logs:
            for number in range(3, 9):
                self.assertTrue(self.put(number))
        self.assertIn("min_free_mb", self.backend.usage().degraded)
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.warn])
        self.assertLessEqual(bytes_below(self.path), 4 * LENGTH)
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_refuses(self) -> None:
        """
        When there is nothing left to drop chunks are refused, until there is space.
        """
        self.put(1)
        self.set_free(0)
        self.assertFalse(self.put(2))
        self.assertFalse(self.put(3))
        self.assertIn("min_free_mb", self.backend.usage().degraded)
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)
        self.set_free(2 * _MIB)
        self.assertTrue(self.put(2))
        self.clock.advance(30)
        self.assertEqual(self.backend.usage().degraded, "")

    def test_recovers_unasked(self) -> None:
        """
        That there is space again is noticed without anybody writing.
        """
        self.set_free(0)
        self.put(1)
        for _ in range(3):
            self.clock.advance(30)
            self.assertIn("min_free_mb", self.backend.usage().degraded)
        self.set_free(2 * _MIB)
        self.clock.advance(30)
        self.assertEqual(self.backend.usage().degraded, "")

    def test_told_rarely(self) -> None:
        """
        A tier that is larger than its disk is told of once an hour at most.
        """
        with capturedLogs() as logs:
            for _ in range(10):
                self.set_free(0)
                self.put(1)
                self.set_free(2 * _MIB)
                self.clock.advance(30)
        self.assertEqual(len(logs), 2)


class FaultTests(DiskCase):
    """
    What the system may answer.
    """

    def test_full(self) -> None:
        """
        On a full disk others are dropped for a chunk; when that does not help it is
        refused.
        """
        for number in range(3):
            self.put(number)
        self.files.fault, self.files.faults = errno.ENOSPC, 1
        self.assertTrue(self.put(3))
        self.assertLess(len(self.held(0, 1, 2)), 3)
        self.assertTrue(self.reads(3))
        self.assertEqual(self.backend.usage().degraded, os.strerror(errno.ENOSPC))
        self.files.fault, self.files.faults = errno.ENOSPC, -1
        self.assertFalse(self.put(4))
        self.assertFalse(self.put(5))
        self.files.fault = 0
        self.clock.advance(30)
        self.assertTrue(self.put(4))
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_each(self) -> None:
        """
        Whatever a write fails with, it is told once, nothing is lost, and the tier
        works again by itself.
        """
        self.put(1)
        for fault in (errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            with capturedLogs() as logs:
                self.files.fault = fault
                self.assertFalse(self.put(2))
                self.files.fault = 0
                self.clock.advance(30)
            levels = [log["log_level"] for log in logs]
            self.assertEqual(levels[-1], LogLevel.info)
            self.assertEqual(levels.count(LogLevel.error), 1)
            self.assertEqual(self.backend.usage().degraded, "")
            self.put(1)
            self.assertTrue(self.reads(1))

    def test_cannot_be_removed(self) -> None:
        """
        What could not be removed while the disk failed counts, and is found when the
        disk works again; it does not take room for ever.
        """
        for number in range(4):
            self.put(number)
        self.files.fault = errno.EIO
        for number in range(4):
            self.successResultOf(self.backend.remove(made_up(number)[0]))
        self.assertEqual(self.held(*range(4)), [])
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        self.files.fault = 0
        self.clock.advance(30)
        self.assertEqual(self.held(*range(4)), [0, 1, 2, 3])
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        self.assertEqual(self.backend.usage().degraded, "")

    def test_scan_fails(self) -> None:
        """
        A directory that cannot be listed at the start is listed later.
        """
        self.put(1)
        self.files.release()
        self.begin()
        list_folder = self.files.scan

        def broken(number: int) -> Found:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        self.patch(self.files, "scan", broken)
        self.successResultOf(self.backend.start())
        self.assertFalse(self.reads(1))
        self.assertEqual(self.backend.usage().degraded, os.strerror(errno.EIO))
        self.patch(self.files, "scan", list_folder)
        self.clock.advance(30)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertTrue(self.reads(1))
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_deleted(self) -> None:
        """
        A directory that was deleted is made anew, and what was in it forgotten.
        """
        self.put(1)
        shutil.rmtree(self.path)
        self.assertFalse(self.reads(1))
        self.assertFalse(self.put(2))
        self.assertIn("gone", self.backend.usage().degraded)
        self.assertFalse(Path(self.path).exists())
        self.clock.advance(30)
        self.assertEqual(self.gone, [made_up(1)[0]])
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertTrue(self.put(2))
        self.assertTrue(self.reads(2))
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_away(self) -> None:
        """
        What is on a disk that is unmounted for a while is still there afterwards, and
        what was put there by others meanwhile counts.
        """
        for number in range(4):
            self.put(number)
        away = Path(f"{self.path}.away")
        Path(self.path).rename(away)
        self.patch(self.files._claim, "_device", -2)
        for number in range(6):
            self.assertFalse(self.reads(number))
            self.assertFalse(self.put(number + 10))
        self.clock.advance(30)
        self.assertIn("gone", self.backend.usage().degraded)
        self.assertFalse(Path(self.path).exists())
        (away / "00" / "others").write_bytes(bytes(5000))
        away.rename(self.path)
        self.file_of(3).unlink()
        self.clock.advance(30)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertEqual(self.gone, [made_up(3)[0]])
        self.assertEqual([each for each in range(4) if self.reads(each)], [0, 1, 2])
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_taken_over(self) -> None:
        """
        A directory that another process has locked meanwhile is left to it.
        """
        shutil.rmtree(self.path)
        self.put(1)
        other = type(self.files)(self.path)
        other.claim()
        self.clock.advance(30)
        self.assertIn("in use", self.backend.usage().degraded)
        other.release()
        self.clock.advance(30)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertTrue(self.put(1))

    def test_no_files(self) -> None:
        """
        What is called like a chunk and is none is dropped and left where it is if it
        cannot be removed; its neighbours are served.
        """
        self.put(1)
        self.put(2)
        self.put(3)
        self.file_of(1).unlink()
        self.file_of(1).symlink_to("/etc/passwd")
        self.file_of(2).unlink()
        self.file_of(2).mkdir()
        self.assertFalse(self.reads(1))
        self.assertFalse(self.reads(2))
        self.assertTrue(self.reads(3))
        self.assertTrue(Path("/etc/passwd").exists())

    def test_garbage_ceiling(self) -> None:
        """
        A file that says nothing sensible of the room there is costs no more than
        waiting for the listing.
        """
        for garbage in (b"", b"garbage", b"\xff" * 20, b"9" * 5000):
            self.put(1)
            self.files.release()
            Path(self.path, CEILING_FILE).write_bytes(garbage)
            self.begin()
            self.successResultOf(self.backend.start())
            self.assertTrue(self.reads(1))
            self.assertTrue(self.put(2))


class DamageTests(DiskCase):
    """
    A disk that turns bits.
    """

    capacity = 4 * _MIB

    def test_bits(self) -> None:
        """
        Of 200 chunks in each of which one bit was turned none is given out.
        """
        rng = random.Random(200)
        for number in range(200):
            self.assertTrue(self.put(number))
            file = self.file_of(number)
            content = bytearray(file.read_bytes())
            content[rng.randrange(LENGTH)] ^= 1 << rng.randrange(8)
            file.write_bytes(content)
        with capturedLogs():
            self.assertEqual(sum(self.reads(number) for number in range(200)), 0)
        self.assertEqual(self.backend.usage().corrupt, 200)
        self.assertEqual(len(self.gone), 200)
        self.assertEqual(self.backend.usage().chunks, 0)
        for number in range(200):
            self.assertTrue(self.put(number))
            self.assertTrue(self.reads(number))

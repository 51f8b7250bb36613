"""
Tests for :mod:`eliop2p.cache.checking` and :mod:`eliop2p.cache.page_cache`.
"""

import os
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache import checking
from eliop2p.cache.checking import Checks
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.page_cache import cached_pages, open_cached
from eliop2p.testing.conformance import made_up

LENGTH = 10_000
PAGES = 3
HOUR_NS = 3600 * 10**9


class CheckTests(SynchronousTestCase):
    """
    When a file is read through.
    """

    def setUp(self) -> None:
        """
        Make a file that has not been written to for an hour, all of it in memory.
        """
        self.ahead_ns = HOUR_NS
        self.pages = PAGES
        self.checks = Checks(self.now_ns, lambda _: self.pages)
        chunk_id, data, digest = made_up(1, LENGTH)
        self.name = ChunkName(chunk_id, LENGTH, digest)
        self.data = bytes(data)
        self.path = Path(self.mktemp())
        self.path.write_bytes(self.data)

    def now_ns(self) -> int:
        """
        Tell a time so long after the file was made.
        """
        return time.time_ns() + self.ahead_ns

    def open(self, *, at_once: bool = False) -> bool:
        """
        Open the file.

        Returns:
            Whether it was opened without being read.
        """
        spared = self.checks.spared
        if at_once:
            fd = self.checks.open_at_once(self.path, self.name)
            if fd < 0:
                return False
        else:
            fd = checking.open_file(self.path)
        try:
            if not at_once:
                self.checks.check(fd, self.name)
        finally:
            os.close(fd)
        return self.checks.spared > spared

    def test_once(self) -> None:
        """
        A file whose pages stay in memory is read through once.
        """
        self.assertEqual([self.open() for _ in range(3)], [False, True, True])

    def test_pages_gone(self) -> None:
        """
        A file of which a page has left memory is read again: its bytes come from the
        disk.
        """
        self.open()
        self.pages = PAGES - 1
        self.assertEqual([self.open(), self.open()], [False, False])
        self.pages = PAGES
        self.assertTrue(self.open())

    def test_written(self) -> None:
        """
        A file that somebody wrote to is read again, and what is wrong is found.
        """
        self.open()
        with self.path.open("r+b") as file:
            file.write(bytes([self.data[0] ^ 1]))
        self.assertFalse(self.open(at_once=True))
        self.assertRaises(CorruptChunk, self.open)
        self.assertRaises(CorruptChunk, self.open)

    def test_replaced(self) -> None:
        """
        Another file of the same name is read.
        """
        self.open()
        other = self.path.with_suffix(".new")
        other.write_bytes(b"x" * LENGTH)
        other.rename(self.path)
        self.assertFalse(self.open(at_once=True))
        self.assertRaises(CorruptChunk, self.open)

    def test_just_written(self) -> None:
        """
        A file that changed so lately that another change might have the same time is
        read again.
        """
        self.ahead_ns = 0
        self.assertEqual([self.open(), self.open()], [False, False])

    def test_at_once(self) -> None:
        """
        A file is opened at once when it needs not be read, and only then.
        """
        self.assertFalse(self.open(at_once=True))
        self.open()
        self.skip_without(open_cached(self.path) >= 0)
        self.assertTrue(self.open(at_once=True))
        self.pages = 0
        self.assertFalse(self.open(at_once=True))
        self.assertFalse(self.open())

    def test_bounded(self) -> None:
        """
        The file that was asked for longest ago is forgotten when there are too many.
        """
        self.patch(checking, "REMEMBERED", 1)
        self.open()
        first, self.path = (self.path, self.name), Path(self.mktemp())
        chunk_id, data, digest = made_up(2, LENGTH)
        self.path.write_bytes(data)
        self.name = ChunkName(chunk_id, LENGTH, digest)
        self.open()
        self.assertTrue(self.open())
        self.path, self.name = first
        self.assertFalse(self.open())

    def skip_without(self, told: bool) -> None:
        """
        Skip the rest where the kernel does not tell.
        """
        if not told:
            raise SkipTest("this kernel has no cachestat or openat2")


class OnDiskTests(SynchronousTestCase):
    """
    What is read past the page cache.
    """

    def setUp(self) -> None:
        """
        Make a file, all of it on the disk.
        """
        chunk_id, data, digest = made_up(1, LENGTH)
        self.name = ChunkName(chunk_id, LENGTH, digest)
        self.path = Path(self.mktemp())
        self.path.write_bytes(data)
        self.fd = os.open(self.path, os.O_RDWR)
        self.addCleanup(os.close, self.fd)
        os.fsync(self.fd)

    def test_pages_stay(self) -> None:
        """
        Those of a file that is in memory stay there, and none come of another.
        """
        if not cached_pages(self.fd):
            raise SkipTest("this kernel has no cachestat")
        checking.check_on_disk(self.path, self.name)
        self.assertEqual(cached_pages(self.fd), PAGES)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        before = cached_pages(self.fd)
        checking.check_on_disk(self.path, self.name)
        self.assertEqual(cached_pages(self.fd), before)

    def test_without_direct_reads(self) -> None:
        """
        Where a file system cannot read past the page cache, files are checked, too.
        """
        self.patch(checking, "_DIRECT", 0)
        self.assert_checked()

    def test_damage(self) -> None:
        """
        Other content, another length, a link, and a file that is not there are told.
        """
        self.assert_checked()

    def assert_checked(self) -> None:
        """
        Check the file, and what became of it.
        """
        checking.check_on_disk(self.path, self.name)
        link = self.path.with_suffix(".link")
        link.symlink_to(self.path)
        for change in (
            lambda: os.pwrite(self.fd, b"x", LENGTH - 1),
            lambda: os.ftruncate(self.fd, LENGTH - 1),
        ):
            change()
            with self.assertRaises(CorruptChunk):
                checking.check_on_disk(self.path, self.name)
        with self.assertRaises(CorruptChunk):
            checking.check_on_disk(link, self.name)
        self.path.unlink()
        with self.assertRaises(FileNotFoundError):
            checking.check_on_disk(self.path, self.name)


class PageCacheTests(SynchronousTestCase):
    """
    What the kernel says.
    """

    def setUp(self) -> None:
        """
        Make a file.
        """
        self.path = Path(self.mktemp())
        self.path.write_bytes(bytes(LENGTH))
        self.fd = open_cached(self.path)
        if self.fd < 0:
            raise SkipTest("this kernel has no openat2")
        self.addCleanup(os.close, self.fd)

    def test_pages(self) -> None:
        """
        Pages that are in memory are counted, and none of a file that was pushed out.
        """
        pages = cached_pages(self.fd)
        if not pages:
            raise SkipTest("this kernel has no cachestat")
        self.assertEqual(pages, PAGES)
        os.fsync(self.fd)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self.assertIn(cached_pages(self.fd), {0, PAGES})  # tmpfs keeps them.

    def test_no_file(self) -> None:
        """
        Nothing is told of what is no file.
        """
        self.assertEqual(open_cached(self.path.with_suffix(".none")), -1)
        link = self.path.with_suffix(".link")
        link.symlink_to(self.path)
        self.assertEqual(open_cached(link), -1)
        self.assertEqual(cached_pages(-1), 0)

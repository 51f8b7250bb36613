"""
Tests for :mod:`eliop2p.cache.open_files`.
"""

import os

from twisted.trial.unittest import SkipTest

from eliop2p.cache import open_files
from eliop2p.model.chunk import Digest
from eliop2p.model.span import FileSpan
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import LENGTH, DiskCase
from tests.cache.disk_tools import descriptors


class OpenFileTests(DiskCase):
    """
    A tier whose files the kernel has in memory.
    """

    capacity = 256 * 1024

    def setUp(self) -> None:
        """
        Put a chunk into it.
        """
        super().setUp()
        self.files.paged = True
        self.put(1)
        self.before = descriptors()
        if self.shown(1) is None:
            raise SkipTest("this kernel has no cachestat or openat2")

    def shown(self, number: int, digest: Digest | None = None) -> FileSpan | None:
        """
        Have the whole of a chunk shown.
        """
        chunk_id, _, its = made_up(number, LENGTH)
        return self.backend.view(chunk_id, digest or its, 0, LENGTH)

    def valid(self, span: FileSpan | None) -> bool:
        """
        Tell whether a span may be used again.
        """
        assert span is not None
        assert span.valid is not None
        return span.valid.since <= self.clock.seconds() < span.valid.until

    def bytes_of(self, span: FileSpan | None) -> bytes:
        """
        Read what is shown.
        """
        assert span is not None
        return os.pread(span.fd, span.length, span.offset)

    def test_kept(self) -> None:
        """
        A file is opened once, and what is shown of it may be used again for a moment.
        """
        first = self.shown(1)
        chunk_id, data, digest = made_up(1, LENGTH)
        part = self.backend.view(chunk_id, digest, 100, 300)
        self.assertEqual(self.bytes_of(part), bytes(data[100:300]))
        self.assertEqual(self.bytes_of(first), bytes(data))
        self.assertTrue(self.valid(first))
        self.clock.advance(open_files.LOOKED_AT)
        self.assertFalse(self.valid(first))
        self.assertTrue(self.valid(self.shown(1)))
        self.assertEqual(descriptors(), self.before + 1)

    def test_other_content(self) -> None:
        """
        Nothing is shown of a chunk that has another digest, or is not there.
        """
        self.assertIsNone(self.shown(1, made_up(2, LENGTH)[2]))
        self.assertIsNone(self.shown(2))

    def test_flipped(self) -> None:
        """
        A bit that flips in an open file is found when the file is looked at next; the
        chunk is dropped and its file closed.
        """
        path, data = self.file_of(1), bytearray(made_up(1, LENGTH)[1])
        data[LENGTH // 2] ^= 4
        path.write_bytes(data)
        self.clock.advance(open_files.LOOKED_AT)
        self.assertIsNone(self.shown(1))
        self.assertEqual(descriptors(), self.before)
        self.assertIsNone(self.opened(1))
        self.assertEqual((self.held(1), path.exists()), ([], False))
        self.assertEqual(self.backend.usage().corrupt, 1)

    def test_flipped_while_read(self) -> None:
        """
        That also goes while somebody reads it, whose file stays open.
        """
        handle = self.backend.open_at_once(made_up(1)[0])
        assert handle is not None
        shown = self.shown(1)
        self.file_of(1).write_bytes(bytes(LENGTH))
        self.clock.advance(open_files.LOOKED_AT)
        self.assertIsNone(self.shown(1))
        self.assertIsNone(self.backend.open_at_once(made_up(1)[0]))
        self.assertFalse(self.valid(shown))
        self.assertEqual(descriptors(), self.before + 1)
        handle.close()
        self.assertIsNone(self.opened(1))
        self.assertEqual(descriptors(), self.before)

    def test_pages_gone(self) -> None:
        """
        A file whose pages left memory is not shown before it has been read through.
        """
        shown = self.shown(1)
        assert shown is not None
        os.fsync(shown.fd)
        os.posix_fadvise(shown.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self.clock.advance(open_files.LOOKED_AT)
        self.assertIsNone(self.shown(1))
        self.assertTrue(self.reads(1))
        self.assertEqual(self.held(1), [1])

    def test_removed(self) -> None:
        """
        What was shown of a chunk may not be used once it is removed, and its file is
        closed.
        """
        shown = self.shown(1)
        self.successResultOf(self.backend.remove(made_up(1)[0]))
        self.assertFalse(self.valid(shown))
        self.assertIsNone(self.shown(1))
        self.assertEqual(descriptors(), self.before)

    def test_evicted(self) -> None:
        """
        The same goes for chunks that others take the place of.
        """
        shown = self.shown(1)
        for number in range(2, 40):
            self.put(number)
            self.assertTrue(self.valid(self.shown(number)))
        self.assertEqual(self.held(1), [])
        self.assertFalse(self.valid(shown))
        self.assertEqual(descriptors() - self.before, len(self.held(*range(1, 40))))

    def test_another_file(self) -> None:
        """
        A file that somebody put in the place of an open one is not shown.
        """
        other = self.file_of(1).with_suffix(".other")
        other.write_bytes(bytes(LENGTH))
        other.rename(self.file_of(1))
        self.clock.advance(open_files.LOOKED_AT)
        self.assertIsNone(self.shown(1))
        self.assertIsNone(self.opened(1))

    def test_clock_set_back(self) -> None:
        """
        A clock that is set back makes nothing valid for longer.
        """
        shown = self.shown(1)
        self.clock.advance(-3600.0)
        self.assertFalse(self.valid(shown))
        self.file_of(1).write_bytes(bytes(LENGTH))
        self.assertIsNone(self.shown(1))

    def test_bounded(self) -> None:
        """
        The file that was used longest ago is closed when there are too many, unless
        somebody reads it: then after that.
        """
        self.patch(open_files, "KEPT", 2)
        for number in (2, 3, 4):
            self.put(number)
        reading = self.backend.open_at_once(made_up(1)[0])
        assert reading is not None
        old = self.shown(2)
        spans = [self.shown(number) for number in (3, 4)]
        self.assertFalse(self.valid(old))
        self.assertEqual(descriptors(), self.before + 3)
        self.assertEqual(
            [self.bytes_of(span) for span in spans],
            [bytes(made_up(number, LENGTH)[1]) for number in (3, 4)],
        )
        reading.close()
        self.assertEqual(descriptors(), self.before + 2)
        self.assertFalse(self.valid(spans[0]))
        self.assertTrue(self.valid(spans[1]))

    def test_stopped(self) -> None:
        """
        A tier that stops closes all files.
        """
        shown = self.shown(1)
        self.successResultOf(self.backend.stop())
        self.assertFalse(self.valid(shown))
        self.assertEqual(descriptors(), self.before - 1)  # And the lock.

"""
Tests for :mod:`eliop2p.cache.disk`.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import FOLDERS, ChunkName
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import cache_backend_tests, made_up, read_handle
from tests.cache.disk_tools import FaultyFiles, bytes_below, descriptors
from tests.cache.doubles import InlineWorker, SteppedWorker

_KIB = 1024


def make(
    case: SynchronousTestCase,
    settings: BackendSettings,
    dropped: Callable[[ChunkId], None],
) -> ICacheBackend:
    """
    Make a directory backend.
    """
    return DirectoryFactory().make(settings, InlineWorker(), Clock(), dropped)


DirectoryConformanceTests = cache_backend_tests(make, persistent=True)


class DirectoryTests(SynchronousTestCase):
    """
    What the disk tier promises beyond the conformance suite.
    """

    def setUp(self) -> None:
        """
        Make a backend.
        """
        self.gone: list[ChunkId] = []
        self.clock = Clock()
        self.path = self.mktemp()
        self.backend = self.made(InlineWorker())
        self.successResultOf(self.backend.start())

    def tearDown(self) -> None:
        """
        Unlock the directory.
        """
        self.files.release()

    def made(self, worker: IWorker) -> DirectoryBackend:
        """
        Make a backend with room for 64 KiB.
        """
        self.files = FaultyFiles(self.path)
        self.files.claim()
        settings = BackendSettings(64 * _KIB, self.path, 0.9, 0.8, "lru")
        return DirectoryBackend(
            self.files, settings, worker, self.clock, self.gone.append
        )

    def remade(self, worker: IWorker) -> None:
        """
        Make a backend after the process of the one before has died.
        """
        self.files.release()
        self.backend = self.made(worker)

    def put(self, number: int, length: int = 8 * _KIB) -> bool:
        """
        Offer a chunk.
        """
        return self.successResultOf(self.backend.put(*made_up(number, length)))

    def opened(self, number: int) -> IChunkHandle | None:
        """
        Open a chunk.
        """
        return self.successResultOf(self.backend.open(made_up(number)[0]))

    def file_of(self, number: int, length: int = 8 * _KIB) -> Path:
        """
        Say where a chunk is.
        """
        chunk_id, _, digest = made_up(number, length)
        return Path(self.path, ChunkName(chunk_id, length, digest).path)

    def test_file(self) -> None:
        """
        The file of a chunk holds its bytes and nothing else.
        """
        self.put(1)
        self.assertEqual(self.file_of(1).read_bytes(), bytes(made_up(1, 8 * _KIB)[1]))

    def test_damage(self) -> None:
        """
        A chunk whose file has changed is removed, told of, logged once and absent.
        """
        content = bytes(made_up(1, 8 * _KIB)[1])
        for damaged in (content[:-1], content + b"x", b"x" + content[1:], b""):
            self.put(1)
            self.file_of(1).write_bytes(damaged)
            with capturedLogs() as logs:
                self.assertIsNone(self.opened(1))
                self.assertIsNone(self.opened(1))
            self.assertEqual(len(logs), 1)
            self.assertFalse(self.file_of(1).exists())
            self.assertEqual(self.gone, [made_up(1)[0]])
            self.gone.clear()
        self.assertEqual(self.backend.usage().chunks, 0)
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))

    def test_vanished(self) -> None:
        """
        A file that somebody removed is forgotten.
        """
        self.put(1)
        self.file_of(1).unlink()
        self.assertIsNone(self.opened(1))
        self.assertFalse(self.backend.contains(made_up(1)[0]))
        self.assertEqual(self.gone, [made_up(1)[0]])

    def test_checked_once(self) -> None:
        """
        A chunk that is open already is not read through again, and its file stays open
        after its last reader until the tier stops.
        """
        self.put(1)
        before = descriptors()
        first, second = self.opened(1), self.opened(1)
        assert first is not None
        assert second is not None
        self.assertEqual(descriptors(), before + 1)
        first.close()
        self.assertEqual(read_handle(second), bytes(made_up(1, 8 * _KIB)[1]))
        second.close()
        self.assertEqual(descriptors(), before + 1)
        self.successResultOf(self.backend.stop())
        self.assertEqual(descriptors(), before - 1)  # And the lock.
        self.assertEqual(self.backend.open_handles, 0)

    def test_at_once(self) -> None:
        """
        A chunk that was just written is opened without reading it or waiting for
        anything, but not another file in its place.
        """
        self.put(1)
        chunk_id, data, _ = made_up(1, 8 * _KIB)
        self.assertIsNone(self.backend.open_at_once(chunk_id))
        self.files.paged = True
        self.assertIsNone(self.backend.open_at_once(made_up(2)[0]))
        handle = self.backend.open_at_once(chunk_id)
        if handle is None:
            raise SkipTest("this kernel has no cachestat or openat2")
        self.assertEqual(self.backend.open_handles, 1)
        self.assertEqual(read_handle(handle), bytes(data))
        handle.close()
        self.assertEqual(self.backend.open_handles, 0)
        other = self.file_of(1).with_suffix(".other")
        other.write_bytes(b"?" + bytes(data)[1:])
        other.rename(self.file_of(1))
        self.clock.advance(1.0)
        self.assertIsNone(self.backend.open_at_once(chunk_id))
        self.assertIsNone(self.opened(1))

    def test_failing_disk(self) -> None:
        """
        A failing disk is told of once, refuses chunks for 30 seconds, is then tried
        again, and serves what it can all along.
        """
        self.put(1)
        used = self.backend.usage().used
        with capturedLogs() as logs:
            for fault in (errno.EIO, errno.EROFS, errno.EMFILE):
                self.files.fault = fault
                self.assertFalse(self.put(2))
                self.assertFalse(self.put(3))
                self.assertEqual(self.backend.usage().used, used)
                self.clock.advance(30)
                self.assertEqual(self.backend.usage().degraded, os.strerror(fault))
        self.assertEqual([log["log_level"] for log in logs], [LogLevel.error])
        self.files.fault = 0
        self.clock.advance(30)
        handle = self.opened(1)
        assert handle is not None
        handle.close()
        self.assertTrue(self.put(2))
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertEqual(bytes_below(self.path), self.backend.usage().used)

    def test_unreadable(self) -> None:
        """
        A chunk that cannot be opened for want of descriptors is absent for now; one
        that cannot be read is dropped.
        """
        self.put(1)
        self.files.fault = errno.EMFILE
        self.assertIsNone(self.opened(1))
        self.assertTrue(self.backend.contains(made_up(1)[0]))
        self.files.fault = errno.EIO
        self.assertIsNone(self.opened(1))
        self.assertEqual(self.gone, [made_up(1)[0]])

    def test_unmounted(self) -> None:
        """
        Nothing is written into the empty directory that a vanished disk leaves.
        """
        shutil.rmtree(self.path)
        Path(self.path).mkdir()
        self.assertFalse(self.put(1))
        self.assertEqual(list(Path(self.path).iterdir()), [])
        self.assertIn("gone", self.backend.usage().degraded)

    def test_others_files(self) -> None:
        """
        Files that are not ours are left alone and count against the capacity.
        """
        stranger = Path(self.path, "00", "a file")
        stranger.write_bytes(bytes(20 * _KIB))
        Path(self.path, "data").mkdir()
        Path(self.path, "data", "more").write_bytes(bytes(20 * _KIB))
        self.remade(InlineWorker())
        self.successResultOf(self.backend.start())
        for number in range(10):
            self.put(number)
            self.assertLessEqual(bytes_below(self.path), 64 * _KIB)
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        self.assertTrue(stranger.exists())

    def test_smaller_capacity(self) -> None:
        """
        What exceeds the capacity at the start is dropped before anything is taken in.
        """
        for number in range(6):
            self.put(number)
        self.files.release()
        self.files = FaultyFiles(self.path)
        self.files.claim()
        settings = BackendSettings(32 * _KIB, self.path, 0.9, 0.8, "lru")
        self.backend = DirectoryBackend(
            self.files, settings, InlineWorker(), self.clock, self.gone.append
        )
        self.successResultOf(self.backend.start())
        self.assertLessEqual(bytes_below(self.path), 32 * _KIB)
        self.assertGreater(self.backend.usage().chunks, 0)

    def test_in_use(self) -> None:
        """
        A directory is used by one process at a time, and the error names it.
        """
        error = self.assertRaises(StartError, ChunkFiles(self.path).claim)
        self.assertIn(self.path, str(error))

    def test_later_format(self) -> None:
        """
        A directory of a later version is refused, and stays free for that version.
        """
        self.files.release()
        Path(self.path, "FORMAT").write_text("2\n")
        for _ in range(2):
            error = self.assertRaises(StartError, ChunkFiles(self.path).claim)
            self.assertIn("format '2'", str(error))
        Path(self.path, "FORMAT").write_text("1\n")

    def test_unusable(self) -> None:
        """
        A path that cannot be a directory is refused with its name.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"")
        error = self.assertRaises(StartError, ChunkFiles(path).claim)
        self.assertIn(path, str(error))

    def test_while_starting(self) -> None:
        """
        Until the directory is listed what is not found yet is absent, nothing is taken
        in, and what is found can be read.
        """
        self.put(1)
        worker = SteppedWorker()
        self.remade(worker)
        started = self.backend.start()
        self.assertFalse(self.backend.contains(made_up(1)[0]))
        self.assertFalse(self.put(2))
        for _ in range(2 + len(FOLDERS)):
            self.assertNoResult(started)
            worker.step()
        self.successResultOf(started)
        self.assertTrue(self.backend.contains(made_up(1)[0]))
        opening = self.backend.open(made_up(1)[0])
        worker.finish()
        handle = self.successResultOf(opening)
        assert handle is not None
        handle.close()

    def test_leftovers(self) -> None:
        """
        What was being written when a process died is removed at the start.
        """
        Path(self.path, "tmp", "leftover").write_bytes(bytes(100))
        self.remade(InlineWorker())
        self.successResultOf(self.backend.start())
        self.assertEqual(list(Path(self.path, "tmp").iterdir()), [])

    def test_twice_on_disk(self) -> None:
        """
        Of two files of the same chunk one is kept.
        """
        self.put(1)
        chunk_id, _, _ = made_up(1)
        _, data, digest = made_up(2, 100)
        Path(self.path, ChunkName(chunk_id, 100, digest).path).write_bytes(data)
        self.remade(InlineWorker())
        self.successResultOf(self.backend.start())
        handle = self.opened(1)
        assert handle is not None
        handle.close()
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))

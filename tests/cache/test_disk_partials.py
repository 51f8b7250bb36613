"""
Tests for :mod:`eliop2p.cache.disk_partials` and :mod:`eliop2p.cache.partial_files`.
"""

import errno
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.partial_layout import PARTIAL, PartialName
from eliop2p.interfaces import BackendSettings, ICacheBackend
from eliop2p.model.chunk import Chunk
from eliop2p.testing.conformance import Dropped, made_up
from eliop2p.testing.partials import bytes_of, partial_chunk_tests
from tests.cache.disk_case import KIB, DiskCase
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker, SteppedWorker
from tests.cache.partial_machine import PartialMachine

LENGTH = 64 * KIB


def make(
    case: SynchronousTestCase, settings: BackendSettings, dropped: Dropped
) -> ICacheBackend:
    """
    Make a directory tier.
    """
    return DirectoryFactory().make(settings, InlineWorker(), Clock(), dropped)


DirectoryPartialTests = partial_chunk_tests(make, persistent=True)


class PartialMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        Only right bytes are read of partial chunks, whatever happens to their files.
        """
        run_state_machine_as_test(
            PartialMachine, settings=settings(max_examples=25, deadline=None)
        )
        for what in ("checkpoints", "crashes", "damages", "wholes"):
            self.assertGreater(PartialMachine.counts[what], 0, what)


class PartialFaultTests(DiskCase):
    """
    Disks that fail, and files that are not what they were.
    """

    capacity = 1024 * KIB

    def keep(self, number: int, start: int, stop: int) -> bool:
        """
        Keep a part of a chunk.
        """
        chunk_id, data, _ = made_up(number, LENGTH)
        chunk = Chunk(chunk_id, number, 0, LENGTH)
        pieces = [(start, data[start:stop])]
        return self.successResultOf(self.backend.checkpoint(chunk, pieces, True))

    def partial_file(self, number: int) -> Path:
        """
        Give the file of a partial chunk.
        """
        return Path(self.path, PartialName(made_up(number)[0], LENGTH).path)

    def test_full_disk(self) -> None:
        """
        A disk without space keeps no parts, gives back what they took, and recovers.
        """
        used = self.backend.usage().used

        def full(length: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(self.files, "check_free", full)
        self.assertFalse(self.keep(1, 0, 5000))
        self.assertEqual(self.backend.usage().used, used)
        self.assertEqual(self.backend.usage().degraded, "No space left on device")
        self.patch(self.files, "check_free", lambda length: None)
        self.clock.advance(31)
        self.assertTrue(self.keep(1, 0, 5000))
        self.assertEqual(self.backend.usage().degraded, "")

    def test_read_only(self) -> None:
        """
        A disk that cannot be written to is left alone for a while.
        """
        self.keep(1, 0, 5000)

        def refuse(length: int) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        self.patch(self.files, "check_free", refuse)
        self.assertFalse(self.keep(1, 5000, 6000))
        self.assertEqual(self.backend.usage().degraded, "Read-only file system")
        self.assertFalse(self.keep(2, 5000, 6000))

    def test_unreadable(self) -> None:
        """
        A part that cannot be read is absent, and its file is given up.
        """
        self.keep(1, 0, 5000)
        self.partial_file(1).unlink()
        load = self.backend.load(made_up(1)[0])
        self.assertIsNone(self.successResultOf(load))
        self.assertEqual(self.backend.extents_of(made_up(1)[0]), ())
        self.assertEqual(self.backend.usage().partial, 0)

    def test_garbage(self) -> None:
        """
        Files that are not ours are left alone and count; ours that list nothing go.
        """
        self.keep(1, 0, 5000)
        folder = Path(self.path, PARTIAL)
        (folder / "README").write_bytes(bytes(5000))
        (folder / "link").symlink_to("/etc/passwd")
        (folder / str(PartialName(made_up(2)[0], LENGTH))).write_bytes(bytes(5000))
        before = self.backend.usage().used
        self.restart(polite=False)
        self.assertEqual(self.backend.usage().used, before + 3 * 4096)
        self.assertEqual(self.backend.usage().partial, 1)
        self.assertFalse(self.partial_file(2).exists())
        self.assertTrue((folder / "README").exists())

    def test_smaller(self) -> None:
        """
        A tier that may take less than before gives up parts until it does.
        """
        for number in range(7):
            self.assertTrue(self.keep(number, 0, 8 * KIB))
        self.capacity = 256 * KIB
        self.restart()
        self.assertEqual(self.backend.usage().partial, 2)
        self.assertLessEqual(bytes_below(self.path), self.capacity)

    def test_directory_away(self) -> None:
        """
        Parts are known again after the directory was out of sight.
        """
        self.keep(1, 0, 5000)
        self.keep(2, 0, 5000)
        Path(self.path).rename(f"{self.path}-away")
        self.assertFalse(self.keep(3, 0, 5000))
        Path(f"{self.path}-away").rename(self.path)
        self.partial_file(2).unlink()
        self.clock.advance(31)
        self.assertEqual(self.backend.usage().degraded, "")
        self.assertEqual(self.backend.usage().partial, 1)
        partial = self.successResultOf(self.backend.load(made_up(1)[0]))
        assert partial is not None
        self.assertEqual(len(bytes_of(partial, LENGTH)), 5000)

    def test_changed_before_it_is_whole(self) -> None:
        """
        Bytes of a part that have changed on the disk are written again for the chunk
        that it becomes.
        """
        for number in (1, 2):
            self.keep(number, 0, 5000)
        with self.partial_file(1).open("r+b") as file:
            file.write(bytes([made_up(1)[1][0] ^ 4]))
        self.partial_file(2).unlink()
        self.keep(2, 6000, 7000)
        self.assertTrue(self.put(1, LENGTH))
        self.assertTrue(self.put(2, LENGTH))
        self.assertTrue(self.reads(1, LENGTH))
        self.assertTrue(self.reads(2, LENGTH))

    def test_half_way_to_a_chunk(self) -> None:
        """
        A part that cannot be made a chunk of takes nothing any more.
        """
        used = self.backend.usage().used
        self.keep(1, 0, 5000)
        self.files.fault = errno.EIO
        self.assertFalse(self.put(1, LENGTH))
        self.assertEqual(self.backend.usage().partial, 0)
        self.assertEqual(self.backend.usage().used, used)
        self.assertFalse(self.partial_file(1).exists())


class PartialOrderTests(DiskCase):
    """
    Parts and wholes of a chunk at one time.
    """

    capacity = 1024 * KIB

    def setUp(self) -> None:
        """
        Let threads do their work when told to.
        """
        super().setUp()
        self.successResultOf(self.backend.stop())
        self.files.release()
        self.threads = self.worker = SteppedWorker()
        self.begin()
        self.backend.start()
        self.threads.finish()

    def test_whole_while_part_is_written(self) -> None:
        """
        A chunk that becomes whole waits for its part to be written, and takes it over.
        """
        chunk_id, data, digest = made_up(1, LENGTH)
        chunk = Chunk(chunk_id, 1, 0, LENGTH)
        kept = self.backend.checkpoint(chunk, [(0, data[:5000])], True)
        later = self.backend.checkpoint(chunk, [(5000, data[5000:6000])], True)
        put = self.backend.put(chunk_id, data, digest)
        self.threads.finish()
        self.assertTrue(self.successResultOf(put))
        self.successResultOf(kept)
        self.successResultOf(later)
        self.assertEqual(self.backend.usage().partial, 0)
        self.assertEqual(list(Path(self.path, PARTIAL).iterdir()), [])
        opened = self.backend.open(chunk_id)
        self.threads.finish()
        handle = self.successResultOf(opened)
        assert handle is not None
        handle.close()

    def test_discarded_while_written(self) -> None:
        """
        A part that is discarded while it is written is gone afterwards.
        """
        chunk_id, data, _ = made_up(1, LENGTH)
        chunk = Chunk(chunk_id, 1, 0, LENGTH)
        used = self.backend.usage().used
        kept = self.backend.checkpoint(chunk, [(0, data[:5000])], True)
        gone = self.backend.discard(chunk_id)
        again = self.backend.checkpoint(chunk, [(0, data[:100])], True)
        self.threads.finish()
        self.successResultOf(kept)
        self.successResultOf(gone)
        self.assertFalse(self.successResultOf(again))
        self.assertEqual(list(Path(self.path, PARTIAL).iterdir()), [])
        self.assertEqual(self.backend.usage().used, used)

"""
Tests for :mod:`eliop2p.cache.sync`.
"""

import errno
from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.sync import GROUP_BYTES, MOST_BYTES, GroupSync
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import DiskCase
from tests.cache.doubles import SteppedWorker

_MIB = 1024 * 1024


class _Files(ChunkFiles):
    """
    Notes what is synced.
    """

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.broken = False

    def sync(self, names: Iterable[ChunkName]) -> None:
        if self.broken:
            raise OSError(errno.EIO, "no")
        self.groups.append([name.length // _MIB for name in names])


class SyncTests(SynchronousTestCase):
    """
    When chunks are synced.
    """

    def setUp(self) -> None:
        """
        Make what syncs.
        """
        self.clock = Clock()
        self.files = _Files()
        self.worker = SteppedWorker()
        self.synced: list[int] = []
        self.errors: list[OSError] = []
        self.sync = GroupSync(
            self.files, self.worker, self.clock, self.note, self.errors.append
        )

    def note(self, names: tuple[ChunkName, ...]) -> None:
        """
        Note what has been synced.
        """
        self.synced += [name.length // _MIB for name in names]

    def write(self, *mebibytes: int) -> None:
        """
        Say that chunks have been written.
        """
        for length in mebibytes:
            chunk_id, _, digest = made_up(1, 1)
            self.sync.written(ChunkName(chunk_id, length * _MIB, digest))

    def test_time(self) -> None:
        """
        A second after the first chunk everything written till then is synced at once.
        """
        self.write(1)
        self.clock.advance(0.9)
        self.write(2)
        self.assertEqual(self.worker.waiting, [])
        self.clock.advance(0.1)
        self.worker.finish()
        self.assertEqual(self.files.groups, [[1, 2]])
        self.assertEqual(self.synced, [1, 2])
        self.clock.advance(5)
        self.assertEqual(self.worker.waiting, [])

    def test_bytes(self) -> None:
        """
        Many bytes do not wait; what is written meanwhile is in the next group.
        """
        self.write(*[8] * (GROUP_BYTES // (8 * _MIB)))
        self.write(3)
        self.assertEqual(len(self.worker.waiting), 1)
        self.assertEqual(self.synced, [])
        self.worker.finish()
        self.assertEqual(len(self.files.groups[0]), 8)
        self.clock.advance(1)
        self.worker.finish()
        self.assertEqual(self.files.groups[1:], [[3]])

    def test_again(self) -> None:
        """
        A chunk that is removed and written again while its group is being synced is not
        said to be synced before the next group is.
        """
        self.write(1, 2)
        self.clock.advance(1)
        self.write(2)
        self.worker.finish()
        self.assertEqual(self.synced, [1])
        self.clock.advance(1)
        self.worker.finish()
        self.assertEqual(self.synced, [1, 2])

    def test_room(self) -> None:
        """
        Who would write much more than has been synced waits for it.
        """
        self.write(*[8] * (MOST_BYTES // (8 * _MIB)))
        self.successResultOf(Deferred.fromCoroutine(self.sync.room()))
        self.write(1)
        waiting = Deferred.fromCoroutine(self.sync.room())
        self.assertNoResult(waiting)
        self.worker.step()
        self.successResultOf(waiting)

    def test_failure(self) -> None:
        """
        A group that could not be synced is never said to be; the next one may be.
        """
        self.files.broken = True
        self.write(1)
        self.clock.advance(1)
        self.worker.finish()
        self.assertEqual((self.synced, len(self.errors)), ([], 1))
        self.files.broken = False
        self.write(2)
        self.clock.advance(1)
        self.worker.finish()
        self.assertEqual(self.synced, [2])

    def test_flush(self) -> None:
        """
        At the end everything is synced, what is being synced as well.
        """
        self.write(64)
        self.write(1)
        flushing = Deferred.fromCoroutine(self.sync.flush())
        self.worker.step()
        self.assertNoResult(flushing)
        self.worker.finish()
        self.successResultOf(flushing)
        self.assertEqual(self.synced, [64, 1])


class SyncedTests(DiskCase):
    """
    What the tier says of its chunks.
    """

    def test_synced(self) -> None:
        """
        A chunk is said to be synced after its group, and no longer once it is gone.
        """
        chunk_id = made_up(1)[0]
        self.put(1)
        self.assertFalse(self.backend.is_synced(chunk_id))
        self.clock.advance(1)
        self.assertTrue(self.backend.is_synced(chunk_id))
        self.successResultOf(self.backend.remove(chunk_id))
        self.assertFalse(self.backend.is_synced(chunk_id))

    def test_gone_meanwhile(self) -> None:
        """
        A chunk that is dropped before it is synced does not matter.
        """
        self.put(1)
        self.put(2)
        self.successResultOf(self.backend.remove(made_up(1)[0]))
        self.clock.advance(1)
        self.assertTrue(self.backend.is_synced(made_up(2)[0]))
        self.assertEqual(self.backend.usage().degraded, "")

"""
Tests for :mod:`eliop2p.cache.disk` while its worker is busy.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.interfaces import (
    BackendSettings,
    IChunkHandle,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.disk_tools import FaultyFiles, bytes_below, descriptors
from tests.cache.doubles import SteppedWorker

_KIB = 1024


class UnderWayTests(SynchronousTestCase):
    """
    What happens while the worker is busy.
    """

    def setUp(self) -> None:
        """
        Make a backend with room for 64 KiB whose worker is stepped.
        """
        self.gone: list[ChunkId] = []
        self.path = self.mktemp()
        self.files = FaultyFiles(self.path)
        self.files.claim()
        self.worker = SteppedWorker()
        self.backend = DirectoryBackend(
            self.files,
            BackendSettings(64 * _KIB, self.path, 0.9, 0.8, "lru"),
            self.worker,
            Clock(),
            self.gone.append,
        )
        started = self.backend.start()
        self.worker.finish()
        self.successResultOf(started)

    def tearDown(self) -> None:
        """
        Finish and unlock.
        """
        self.worker.finish()
        self.files.release()

    def put(self, number: int) -> Deferred[bool]:
        """
        Begin to put a chunk of 8 KiB.
        """
        return self.backend.put(*made_up(number, 8 * _KIB))

    def put_all(self, numbers: range) -> None:
        """
        Put chunks of 8 KiB.
        """
        for number in numbers:
            result = self.put(number)
            self.worker.finish()
            self.assertTrue(self.successResultOf(result))

    def test_many_at_once(self) -> None:
        """
        However many chunks are put at once, and in whatever order threads run, the
        files never exceed the capacity.
        """
        results = [self.put(number) for number in range(20)]
        while self.worker.waiting:
            self.worker.step(len(self.worker.waiting) - 1)
            self.assertLessEqual(bytes_below(self.path), 64 * _KIB)
            self.assertLessEqual(self.backend.usage().used, 64 * _KIB)
        kept = [self.successResultOf(result) for result in results]
        self.assertEqual(self.backend.usage().used, bytes_below(self.path))
        self.assertTrue(any(kept))

    def test_same_at_once(self) -> None:
        """
        A chunk that is being written is not written twice.
        """
        first, second = self.put(1), self.put(1)
        self.assertFalse(self.successResultOf(second))
        self.worker.finish()
        self.assertTrue(self.successResultOf(first))

    def test_put_while_leaving(self) -> None:
        """
        A chunk whose file is being removed is not written, lest the new file go too.
        """
        self.put_all(range(1))
        removing = self.backend.remove(made_up(0)[0])
        self.assertFalse(self.successResultOf(self.put(0)))
        self.worker.finish()
        self.assertTrue(self.successResultOf(removing))
        self.put_all(range(1))

    def test_cancelled_open(self) -> None:
        """
        A file that was opened for nobody is one that nobody reads, and closed as such.
        """
        self.put_all(range(1))
        before = descriptors()
        opening = self.backend.open(made_up(0)[0])
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.worker.finish()
        self.assertEqual(self.backend.open_handles, 0)
        removing = self.backend.remove(made_up(0)[0])
        self.worker.finish()
        self.assertTrue(self.successResultOf(removing))
        self.assertEqual(descriptors(), before)

    def test_opened_at_once(self) -> None:
        """
        Readers that open a chunk at the same time have it read through once, and the
        first one's closing leaves it open for the others.
        """
        self.put_all(range(1))
        handles: list[IChunkHandle | None] = []

        def close_at_once(handle: IChunkHandle | None) -> None:
            assert handle is not None
            handle.close()

        first = self.backend.open(made_up(0)[0]).addCallback(close_at_once)
        second = self.backend.open(made_up(0)[0]).addCallback(handles.append)
        self.assertEqual(len(self.worker.waiting), 1)
        self.worker.finish()
        self.successResultOf(first)
        self.successResultOf(second)
        handle = handles[0]
        assert handle is not None
        self.assertEqual(read_handle(handle), bytes(made_up(0, 8 * _KIB)[1]))
        handle.close()

    def test_stop(self) -> None:
        """
        Stopping waits for what is being written, and takes nothing in any more.
        """
        writing = self.put(1)
        stopping = self.backend.stop()
        self.assertNoResult(stopping)
        self.assertFalse(self.successResultOf(self.put(2)))
        self.worker.finish()
        self.assertTrue(self.successResultOf(writing))
        self.successResultOf(stopping)
        self.files = FaultyFiles(self.path)
        self.files.claim()

"""
Tests for :mod:`eliop2p.net.worker`.
"""

import threading

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import LocalProtocolError
from eliop2p.interfaces import IWorker
from eliop2p.net.worker import ThreadWorker
from tests.net.loopback import REACTOR


class ThreadWorkerTests(TestCase):
    """
    Tests for :class:`.ThreadWorker`.
    """

    timeout = 20

    def setUp(self) -> None:
        """
        Start a worker of two threads.
        """
        self.worker = ThreadWorker(IReactorFromThreads(REACTOR), "disk", 2)
        self.worker.start()
        self.addCleanup(self.worker.stop)

    def test_interface(self) -> None:
        """
        It provides what the interface asks for.
        """
        verifyObject(IWorker, self.worker)

    async def test_result(self) -> None:
        """
        A function runs in another thread, and its result comes back to this one.
        """
        here = threading.current_thread()
        there = await self.worker.run(threading.current_thread)
        self.assertIsNot(there, here)
        self.assertIn("disk", there.name)
        self.assertEqual(await self.worker.run(divmod, 7, 2), (3, 1))

    async def test_exception(self) -> None:
        """
        An exception of the function is the Deferred's.
        """
        await self.assertFailure(self.worker.run(divmod, 1, 0), ZeroDivisionError)
        self.assertEqual(self.worker.pending, 0)

    async def test_bounded_threads(self) -> None:
        """
        No more calls run at once than there are threads; the others wait, and all are
        counted.
        """
        gate = threading.Semaphore(0)
        calls = [self.worker.run(gate.acquire) for _ in range(5)]
        self.assertEqual(self.worker.pending, 5)
        names = {thread.name for thread in threading.enumerate()}
        self.assertLessEqual(len([name for name in names if "disk" in name]), 2)
        gate.release(5)
        for call in calls:
            await call
        self.assertEqual(self.worker.pending, 0)

    async def test_stop(self) -> None:
        """
        Stopping waits for what runs, takes nothing more, and may be repeated.
        """
        gate = threading.Semaphore(0)
        call = self.worker.run(gate.acquire)
        stopping = self.worker.stop()
        again = self.worker.stop()
        refused = self.worker.run(divmod, 7, 2)
        self.failureResultOf(refused, LocalProtocolError)
        self.assertNoResult(stopping)
        gate.release()
        self.assertTrue(await call)
        await stopping
        await again
        names = {thread.name for thread in threading.enumerate()}
        self.assertEqual([name for name in names if "disk" in name], [])

    async def test_cancelled(self) -> None:
        """
        A cancelled call fails at once, and is still waited for when the worker stops.
        """
        gate = threading.Semaphore(0)
        call = self.worker.run(gate.acquire)
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.assertEqual(self.worker.pending, 1)
        stopping = self.worker.stop()
        self.assertNoResult(stopping)
        gate.release()
        await stopping

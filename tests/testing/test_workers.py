"""
Tests for :mod:`eliop2p.testing.workers`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.interfaces import IWorker
from eliop2p.testing.workers import ImmediateWorker, SteppedWorker


class ImmediateWorkerTests(SynchronousTestCase):
    """
    Tests for :class:`.ImmediateWorker`.
    """

    def test_runs_at_once(self) -> None:
        """
        A function's result or exception is there when run returns.
        """
        worker = ImmediateWorker()
        verifyObject(IWorker, worker)
        self.assertEqual(self.successResultOf(worker.run(divmod, 7, 2)), (3, 1))
        self.failureResultOf(worker.run(divmod, 7, 0), ZeroDivisionError)


class SteppedWorkerTests(SynchronousTestCase):
    """
    Tests for :class:`.SteppedWorker`.
    """

    def test_runs_in_order(self) -> None:
        """
        Calls are made one by one, in the order given, when the worker is stepped.
        """
        worker = SteppedWorker()
        verifyObject(IWorker, worker)
        first, second = worker.run(divmod, 7, 2), worker.run(divmod, 7, 0)
        self.assertEqual(worker.pending, 2)
        self.assertNoResult(first)
        worker.step()
        self.assertEqual(self.successResultOf(first), (3, 1))
        self.assertNoResult(second)
        worker.step()
        self.failureResultOf(second, ZeroDivisionError)
        with self.assertRaises(IndexError):
            worker.step()

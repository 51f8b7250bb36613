"""
Threads for what would block the reactor.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.interfaces import IWorker

_T = TypeVar("_T")


@implementer(IWorker)
class ThreadWorker:
    """
    A named pool of threads. What it is given before it starts waits until it does.

    Args:
        reactor: Where results are delivered.
        name: What the threads are called.
        threads: How many calls run at once, at most.

    Attributes:
        pending: Calls that wait or run.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str, threads: int) -> None:
        self.pending = 0
        self._reactor = reactor
        self._name = name
        self._pool = ThreadPool(0, threads, name)
        self._stopping: list[Deferred[None]] = []
        self._stopped = False

    def start(self) -> None:
        """
        Begin to run calls.
        """
        self._pool.start()

    def stop(self) -> Deferred[None]:
        """
        Take no more calls.

        Returns:
            Fires when every call has ended and the threads are gone.
        """
        self._stopped = True
        stopping = Deferred[None]()
        self._stopping.append(stopping)
        self._stop_when_idle()
        return stopping

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        See :meth:`IWorker.run`. Cancelling the Deferred does not stop the call.

        Raises:
            LocalProtocolError: The worker has been stopped (in the Deferred).
        """
        if self._stopped:
            return fail(LocalProtocolError(f"the {self._name} worker has stopped"))
        self.pending += 1
        result = Deferred[_T]()
        call = deferToThreadPool(self._reactor, self._pool, function, *args)
        call.addBoth(self._ended)
        call.chainDeferred(result)
        return result

    def _ended(self, result: _T) -> _T:
        self.pending -= 1
        self._stop_when_idle()
        return result

    def _stop_when_idle(self) -> None:
        if self._stopped and not self.pending:
            if not self._pool.joined:
                self._pool.stop()
            waiting, self._stopping = self._stopping, []
            for stopping in waiting:
                stopping.callback(None)

"""
Workers without threads.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from eliop2p.interfaces import IWorker

_T = TypeVar("_T")


@implementer(IWorker)
class ImmediateWorker:
    """
    Runs what it is given at once, and gives back a Deferred that has fired.
    """

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        See :meth:`IWorker.run`.
        """
        return maybeDeferred(function, *args)


@implementer(IWorker)
class SteppedWorker:
    """
    Runs what it is given when it is told to, in the order in which it was given.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def pending(self) -> int:
        """
        The number of calls that wait.
        """
        return len(self._waiting)

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        See :meth:`IWorker.run`. Cancelling the Deferred does not stop the call.
        """
        result = Deferred[_T]()

        def call() -> None:
            maybeDeferred(function, *args).chainDeferred(result)

        self._waiting.append(call)
        return result

    def step(self) -> None:
        """
        Run one call.

        Raises:
            IndexError: None waits.
        """
        self._waiting.popleft()()

"""
Notes how each request is answered.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails
from eliop2p.proxy.exchange import Answer, Exchange
from eliop2p.proxy.request import shown_target

_T = TypeVar("_T")

_GONE = (CancelledError, ConnectionDone, ConnectionLost)


class Recording:
    """
    Answers requests as another does, and keeps a trail of each.

    Args:
        answer: Who answers them.
        trails: Where the trails are kept.
        seconds: The clock of the exchanges.
    """

    def __init__(
        self, answer: Answer, trails: Trails, seconds: Callable[[], float]
    ) -> None:
        self._answer = answer
        self._trails = trails
        self._seconds = seconds

    def answer(self, exchange: Exchange) -> "Deferred[None]":
        """
        Answer one request.
        """
        head = exchange.head
        trail = exchange.trail = RequestTrail(
            exchange.request_id,
            head.method,
            shown_target(head.target),
            exchange.started,
        )
        if self._trails.watcher is not None:
            trail.context = (
                head.get(b"traceparent") or b"",
                head.get(b"tracestate") or b"",
            )
        self._trails.begin(trail)
        return self._answer(exchange).addBoth(self._end, exchange, trail)

    def _end(self, result: _T, exchange: Exchange, trail: RequestTrail) -> _T:
        trail.seconds = self._seconds() - trail.started
        trail.status = exchange.status
        trail.sent = exchange.sent
        if exchange.begun:
            trail.first = exchange.answered - trail.started
        trail.added = exchange.added
        if isinstance(result, Failure):
            trail.error = what_happened(result)
        self._trails.end(trail)
        return result


def what_happened(failure: Failure) -> str:
    """
    Say in words why a request could not be answered to its end.
    """
    if failure.check(*_GONE):
        return "the client went away"
    return f"{type(failure.value).__name__}: {failure.value}"[:500]

"""
A store that is asked no more than the budget allows.
"""

import random
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.http1.dates import parse_http_date
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodyReceiver,
    IBodySource,
    IOrigin,
    IOriginResponse,
)
from eliop2p.model.ranges import parse_decimal, parse_range
from eliop2p.net.store_budget import StoreBudget
from eliop2p.storage.around import AroundOrigin

PATIENCE = 20.0
"""
For how many seconds, at most, a read is tried again that the store refuses for want of
capacity; then its client hears what the store says.
"""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""
How long to wait before a read is tried again: at first and at most, in seconds, where
the store does not say.
"""

AHEAD = 4
"""
How many turns of a body are paid for before it is asked for: what the store may send
before this node can make it stop.
"""

_SLOW_DOWN = (429, 503)
_READS = (b"GET", b"HEAD")
_DRAINED = 64 * 1024

_log = Logger()


@implementer(IBodyReceiver)
class _Nobody:
    """
    Lets a short body pass, so that its connection can be used again.
    """

    def data_received(self, data: bytes) -> None:
        """
        Drop it.
        """

    def body_ended(self) -> None:
        """
        The connection is free.
        """

    def body_failed(self, error: Exception) -> None:
        """
        The connection is gone.
        """


@implementer(IOriginResponse, IBodyReceiver)
class PacedResponse:
    """
    An answer whose body comes no faster than it is paid for.

    Args:
        response: The answer.
        budget: What all share.
        credit: Bytes that have been paid for already.
    """

    def __init__(
        self, response: IOriginResponse, budget: StoreBudget, credit: float
    ) -> None:
        self.head = response.head
        self._response = response
        self._budget = budget
        self._credit = credit
        self._unpaid = _length(response.head) - credit
        self._receiver: IBodyReceiver | None = None
        self._wanted = True
        self._paying: Deferred[None] | None = None
        if self._unpaid < 0:
            budget.pace.charge("reads", self._unpaid)
        else:
            response.narrow()

    def deliver(self, receiver: IBodyReceiver) -> None:
        """
        See :meth:`IOriginResponse.deliver`.
        """
        self._receiver = receiver
        self._response.deliver(self)

    def pause(self) -> None:
        """
        See :meth:`IOriginResponse.pause`.
        """
        self._wanted = False
        self._response.pause()

    def resume(self) -> None:
        """
        See :meth:`IOriginResponse.resume`.
        """
        self._wanted = True
        if self._paying is None:
            self._response.resume()

    def narrow(self) -> None:
        """
        See :meth:`IOriginResponse.narrow`.
        """
        self._response.narrow()

    def abort(self) -> None:
        """
        See :meth:`IOriginResponse.abort`.
        """
        self._stop()
        self._response.abort()

    def data_received(self, data: bytes) -> None:
        """
        Pay for as many further bytes as have come, and pass them on.
        """
        assert self._receiver is not None
        size = min(float(len(data)), max(self._unpaid, 0.0))
        self._unpaid -= size
        if size:
            self._budget.refresh()
            paying = self._budget.pace.take("reads", size)
            if not paying.called:
                self._paying = paying
                self._response.pause()
                paying.addCallbacks(self._paid, _stopped)
        self._receiver.data_received(data)

    def body_ended(self) -> None:
        """
        See :meth:`IBodyReceiver.body_ended`.
        """
        assert self._receiver is not None
        self._stop()
        self._receiver.body_ended()

    def body_failed(self, error: Exception) -> None:
        """
        See :meth:`IBodyReceiver.body_failed`.
        """
        assert self._receiver is not None
        self._stop()
        self._receiver.body_failed(error)

    def _paid(self, _: None) -> None:
        self._paying = None
        if self._wanted:
            self._response.resume()

    def _stop(self) -> None:
        paying, self._paying = self._paying, None
        if paying is not None:
            paying.cancel()


def _stopped(failure: Failure) -> None:
    failure.trap(CancelledError)


def _length(head: ResponseHead) -> float:
    """
    Tell how many bytes an answer brings; of one that does not say, many.
    """
    if head.status in (204, 304):
        return 0.0
    length = parse_decimal(head.get(b"content-length") or b"")
    return float("inf") if length is None else float(length)


@implementer(IOrigin)
class BudgetedOrigin(AroundOrigin):
    """
    Asks a store as the budget allows, and less when the store says so.

    Reads wait for their turn, and are tried again, unnoticed by the client, when the
    store answers 429 or 503. Everything else counts, and waits for nothing: a write
    that is held up may never come again.

    Args:
        inner: The store.
        budget: What all requests of this node share.
        clock: The time.
        rng: Spreads repetitions over time.
    """

    def __init__(
        self,
        inner: IOrigin,
        budget: StoreBudget,
        clock: IReactorTime,
        rng: random.Random,
    ) -> None:
        super().__init__(inner)
        self._budget = budget
        self._clock = clock
        self._rng = rng

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`.
        """
        if body is not None or head.method not in _READS:
            self._budget.asked()
            self._budget.asking.charge("others", 1)
            return self._inner.request(head, body, interim)
        return Deferred.fromCoroutine(self._read(head, interim))

    async def _read(
        self, head: RequestHead, interim: Callable[[ResponseHead], None] | None
    ) -> IOriginResponse:
        begun, pause = self._clock.seconds(), FIRST_PAUSE
        while True:
            response = await self._ask(head, interim)
            if response.head.status not in _SLOW_DOWN:
                return response
            self._budget.slow_down()
            wait = self._retry_after(response.head)
            if wait is None:
                wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
            # Never sooner than the store wants, and not all at once.
            wait *= self._rng.uniform(1.0, 1.5)
            if self._clock.seconds() + wait - begun > PATIENCE:
                return response
            _log.info(
                "The store wants to be asked less: {status}",
                status=response.head.status,
            )
            _drop(response)
            await deferLater(self._clock, wait)

    async def _ask(
        self, head: RequestHead, interim: Callable[[ResponseHead], None] | None
    ) -> IOriginResponse:
        budget = self._budget
        budget.refresh()
        if budget.asking.limited:
            await budget.asking.take("reads", 1)
        credit = self._expected(head)
        if credit:
            await budget.pace.take("reads", credit)
        budget.asked()
        try:
            response = await self._inner.request(head, None, interim)
        except BaseException:
            budget.pace.charge("reads", -credit)
            raise
        if not budget.pace.limited:
            return response
        if head.method == b"HEAD":
            budget.pace.charge("reads", -credit)
            return response
        return PacedResponse(response, budget, credit)

    def _expected(self, head: RequestHead) -> float:
        """
        Tell how many bytes to pay for before a request is sent.
        """
        pace = self._budget.pace
        if not pace.limited or head.method == b"HEAD":
            return 0.0
        if head.get(b"if-none-match") is not None:
            return 0.0  # Most often nothing has changed, and nothing comes.
        size = AHEAD * pace.turn
        spec = parse_range(head.get(b"range") or b"")
        last = None if spec is None else spec.last
        if spec is not None and spec.first is not None and last is not None:
            size = min(size, last + 1 - spec.first)
        return float(size)

    def _retry_after(self, head: ResponseHead) -> float | None:
        """
        Tell for how many seconds the store wants to be left alone, if it says so (RFC
        9110, section 10.2.3).
        """
        text = head.get(b"retry-after")
        if text is None:
            return None
        seconds = parse_decimal(text.strip())
        if seconds is not None:
            return float(seconds)
        date = parse_http_date(text)
        return None if date is None else max(0.0, date - self._clock.seconds())


def _drop(response: IOriginResponse) -> None:
    if _length(response.head) <= _DRAINED:
        response.deliver(_Nobody())
    else:
        response.abort()

"""
One request and its answer on one connection to the store.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from eliop2p.base.errors import OriginUnavailable, RemoteProtocolError, WrongAnswer
from eliop2p.http1.framing import (
    BodyScanner,
    body_scanner,
    keep_alive,
    response_framing,
)
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.parse import ResponseReader
from eliop2p.interfaces import IBodySource
from eliop2p.net.window import clamp_window
from eliop2p.storage.response import QueuedResponse
from eliop2p.storage.stall import StallTimer
from eliop2p.storage.transport import StreamTransport, write_at_once
from eliop2p.storage.upload import Upload

_MAX_INTERIM = 16


class StaleConnection(OriginUnavailable):
    """
    The connection was lost before anything of an answer came: the store may not have
    seen the request.
    """


class ExchangeOwner(Protocol):
    """
    What an exchange needs from its connection.
    """

    def body_bytes(self, count: int) -> None:
        """
        So many bytes of a body have come.
        """

    def exchange_over(self, reusable: bool) -> None:
        """
        The exchange takes no more bytes; called once.
        """


class Exchange:
    """
    Sends a request, waits for the head of its answer, and hands out the body.

    Knows nothing of pools and retries. Holds at most what one read of the transport
    brought.

    Args:
        request: The request; its body, if any, is given to :meth:`start`.
        interim: Told of 1xx answers.
        transport: Writes, pauses and resumes.
        clock: Time.
        read_timeout: Seconds without a byte after which the store counts as gone. They
            run while an answer is waited for or its body flows, and while the store
            takes nothing of the request's body.
        owner: The connection.
        body_over: Called once when an answer that was given has ended, broken off or
            been aborted.

    Attributes:
        answer: Fires with the answer when its head is there.
    """

    def __init__(
        self,
        request: RequestHead,
        interim: Callable[[ResponseHead], None] | None,
        *,
        transport: StreamTransport,
        clock: IReactorTime,
        read_timeout: float,
        owner: ExchangeOwner,
        body_over: Callable[[], None],
    ) -> None:
        self._request = request
        self._interim = interim
        self._transport = transport
        self._read_timeout = read_timeout
        self._owner = owner
        self._body_over = body_over
        self._timer = StallTimer(clock, read_timeout, self._stalled)
        self._reader = ResponseReader()
        self._interims = 0
        self._heard = False
        self._upload: Upload | None = None
        self._response: QueuedResponse | None = None
        self._scanner = BodyScanner()
        self._keep = False
        self._over = False
        self.answer: Deferred[QueuedResponse] = Deferred(self._cancelled)

    # --- towards the store

    def start(self, body: IBodySource | None) -> None:
        """
        Send the request.
        """
        write_at_once(self._transport, self._request.serialize())
        if body is None:
            self._timer.start()
        else:
            self._upload = Upload(
                body, self._transport, self._upload_blocked, self._upload_ended
            )
            self._upload.start()

    def _upload_blocked(self, blocked: bool) -> None:
        if blocked:
            self._timer.start()
        else:
            self._timer.stop()

    def _upload_ended(self, complete: bool) -> None:
        if complete:
            self._timer.start()
        else:
            self._fail(OriginUnavailable("the body of the request broke off"))

    # --- from the store

    def received(self, data: bytes) -> None:
        """
        Take bytes of the connection.
        """
        self._heard = True
        self._timer.touch()
        if self._response is None:
            self._read_head(data)
        else:
            self._read_body(self._response, data)

    def lost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        if self._over:
            return
        error = OriginUnavailable(f"the store went away: {reason.getErrorMessage()}")
        if self._response is None:
            stale = StaleConnection(str(error))
            self._fail(error if self._heard else stale)
        elif self._scanner.ends_at_close and reason.check(ConnectionDone):
            self._end_body(self._response, None, False)
        else:
            self._end_body(self._response, error, False)

    def _read_head(self, data: bytes) -> None:
        while self._response is None and not self._over:
            try:
                head = self._reader.feed(data)
            except RemoteProtocolError as error:
                self._fail(WrongAnswer(str(error)))
                return
            if head is None:
                return
            data = self._reader.take_rest()
            if head.status < 200:
                self._told(head)
            else:
                self._answered(head, data)

    def _told(self, head: ResponseHead) -> None:
        self._interims += 1
        if head.status == 101 or self._interims > _MAX_INTERIM:
            self._fail(WrongAnswer(f"a {head.status} that nobody asked for"))
        elif self._interim is not None:
            self._interim(head)

    def _answered(self, head: ResponseHead, rest: bytes) -> None:
        try:
            framing = response_framing(head, self._request.method)
        except RemoteProtocolError as error:
            self._fail(WrongAnswer(str(error)))
            return
        self._timer.stop()
        self._keep = keep_alive(self._request) and keep_alive(head)
        if self._upload is not None and self._upload.active:
            # The store has made up its mind; the rest of the body is in nobody's way.
            self._keep = False
            self._upload.stop()
        self._scanner = body_scanner(framing)
        response = self._response = QueuedResponse(head, self)
        if not self._scanner.ended:
            self._transport.pauseProducing()
        self._read_body(response, rest)
        self.answer.callback(response)

    def _read_body(self, response: QueuedResponse, data: bytes) -> None:
        try:
            count = self._scanner.scan(data)
        except RemoteProtocolError as error:
            self._end_body(response, WrongAnswer(str(error)), False)
            return
        ended = self._scanner.ended
        if ended:
            self._leave(self._keep and count == len(data))
        if count:
            self._owner.body_bytes(count)
            response.take(data if count == len(data) else data[:count])
        if ended:
            self._finish(response, None)

    # --- the end

    def _leave(self, reusable: bool) -> None:
        self._over = True
        self._timer.cancel()
        if self._upload is not None:
            self._upload.stop()
        self._owner.exchange_over(reusable)

    def _finish(self, response: QueuedResponse, error: Exception | None) -> None:
        self._body_over()
        response.finish(error)

    def _end_body(
        self, response: QueuedResponse, error: Exception | None, reusable: bool
    ) -> None:
        if not self._over:
            self._leave(reusable)
            self._finish(response, error)

    def _fail(self, error: Exception) -> None:
        if not self._over:
            self._leave(False)
            self.answer.errback(error)

    def _cancelled(self, _: "Deferred[QueuedResponse]") -> None:
        if not self._over:
            self._leave(False)

    def _stalled(self) -> None:
        error = OriginUnavailable(f"no byte in {self._read_timeout:g} s")
        if self._response is None:
            self._fail(error)
        else:
            self._end_body(self._response, error, False)

    # --- the flow of the body

    def pause(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        if not self._over:
            self._timer.stop()
            self._transport.pauseProducing()

    def resume(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        if not self._over:
            self._timer.start()
            self._transport.resumeProducing()

    def narrow(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        if not self._over:
            clamp_window(self._transport)

    def abort(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        if not self._over:
            self._leave(False)
            self._body_over()

"""
One client's connection: requests in, answers out, in order.
"""

from collections.abc import Callable
from typing import Protocol as Structure

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import BadRequest, ElioError, RemoteProtocolError
from eliop2p.http1.framing import (
    NO_BODY,
    body_scanner,
    keep_alive,
    request_framing,
)
from eliop2p.http1.message import RequestHead
from eliop2p.http1.parse import RequestReader
from eliop2p.interfaces import IBodySender, IStreamTransport
from eliop2p.proxy.exchange import Answer, Exchange, Upgrade
from eliop2p.proxy.heads import error_answer
from eliop2p.proxy.prepared_answers import ALL_SENT, AtOnce
from eliop2p.proxy.request_body import MAX_AHEAD, RequestBody

_log = Logger()

IDLE_SECONDS = 75.0
"""
How long a connection may wait for a request, and how long the head of one may take;
nginx's default.
"""

STALL_SECONDS = 300.0
"""
How long a client may take nothing of an answer, or send nothing of a request.
"""

LINGER_SECONDS = 5.0
"""
How long a refused upload is read and dropped, so that the client sees the answer rather
than a reset connection.
"""


class ConnectionOwner(Structure):
    """
    What a connection needs of the port that accepted it.

    Attributes:
        answer: Answers requests.
        at_once: Answers a request given by its bytes, if it can do so without thought;
            see :meth:`.PreparedAnswers.answer`.
        make_sender: Makes the outgoing side.
        seconds: A clock.
        leaving: Whether the node stops.
    """

    answer: Answer
    at_once: AtOnce
    make_sender: Callable[[IStreamTransport], IBodySender]
    seconds: Callable[[], float]
    leaving: bool

    def request_id(self) -> str:
        """
        Name a request.
        """

    def opened(self, connection: "ProxyConnection") -> None:
        """
        A client is there.
        """

    def closed(self, connection: "ProxyConnection") -> None:
        """
        A client is gone.
        """

    def refused(self, error: RemoteProtocolError) -> None:
        """
        A client sent what is not a request.
        """


class ProxyConnection(Protocol):
    """
    Reads requests, has them answered one at a time, and keeps the connection.
    """

    transport: IStreamTransport

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._reader = RequestReader()
        self._rest = b""
        self._body: RequestBody | None = None
        self._answering: Deferred[None] | None = None
        self._lingering = False
        self._upgraded = False
        self._within_head = False
        self._since = owner.seconds()
        self._sent_then = 0

    def connectionMade(self) -> None:
        """
        A client has come.
        """
        self._sender = self._owner.make_sender(self.transport)
        self._owner.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes of requests.
        """
        if self._answering is None and not (self._within_head or self._rest):
            answering = self._owner.at_once(data, self._sender)
            if answering is ALL_SENT:
                return
            if answering is not None:
                self._answering = answering
                answering.addCallbacks(lambda _: self._sent(), self._cut)
                return
        if not self._lingering:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if not self._within_head:
            # A head that comes in drops must not keep the connection for ever.
            self._since = self._owner.seconds()
        try:
            if self._body is not None:
                data = self._body.take(data)
            self._rest += data
            if self._answering is None:
                self._read_request()
            elif len(self._rest) > MAX_AHEAD:
                self.transport.pauseProducing()
        except RemoteProtocolError as error:
            self._refuse(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """
        The client has gone: what was under way for it ends.
        """
        self._owner.closed(self)
        self._sender.close()
        if self._body is not None:
            self._body.lost()
        if self._answering is not None:
            self._answering.cancel()

    @property
    def idle(self) -> bool:
        """
        Whether no request is being answered.
        """
        return self._answering is None

    def check(self, now: float) -> None:
        """
        Cut the connection if nothing has moved on it for too long.
        """
        if self._upgraded:
            return
        sent = self._sender.bytes_sent
        if sent != self._sent_then:
            self._sent_then, self._since = sent, now
        still = now - self._since
        if still > (LINGER_SECONDS if self._lingering else STALL_SECONDS):
            self.transport.abortConnection()
        elif self.idle and still > IDLE_SECONDS:
            # In good order: a slow client may not have taken all of its last answer.
            self.transport.loseConnection()

    def leave(self) -> None:
        """
        Close after the answer under way, or now when there is none.
        """
        if self.idle:
            self.transport.loseConnection()

    def _read_request(self) -> None:
        while self._rest and self._answering is None and not self._lingering:
            data, self._rest = self._rest, b""
            begun = self._within_head
            head = self._reader.feed(data)
            self._within_head = head is None
            if head is None:
                return
            self._rest = self._reader.take_rest()
            self._begin(head, b"" if begun or self._rest else data)

    def _begin(self, head: RequestHead, raw: bytes) -> None:
        framing = request_framing(head)
        body = None
        if framing != NO_BODY:
            body = RequestBody(body_scanner(framing), self.transport)
        self._body = body
        exchange = Exchange(
            head,
            body,
            self._owner.request_id(),
            sender=self._sender,
            keep_alive=keep_alive(head) and not self._owner.leaving,
            seconds=self._owner.seconds,
        )
        if body is not None:
            self._rest = body.take(self._rest)
        else:
            exchange.raw = raw
        answering = self._owner.answer(exchange)
        self._answering = answering
        answering.addCallbacks(
            lambda _: self._answered(exchange),
            self._cut,
            errbackArgs=(exchange.request_id,),
        )

    def _answered(self, exchange: Exchange) -> None:
        body, self._body, self._answering = self._body, None, None
        self._since = self._owner.seconds()
        if exchange.upgrade is not None:
            self._hand_over(exchange.upgrade)
        elif body is not None and not body.complete:
            self._linger()
        elif exchange.close_after:
            self._rest = b""
            self.transport.loseConnection()
        else:
            self._sent()

    def _sent(self) -> None:
        """
        An answer has been given, after which the connection may be kept.
        """
        self._answering = None
        self._since = self._owner.seconds()
        if self._owner.leaving:
            self._rest = b""
            self.transport.loseConnection()
        else:
            self.transport.resumeProducing()
            self._go_on()

    def _hand_over(self, upgrade: Upgrade) -> None:
        """
        Leave the connection to a tunnel; the port hears of its end.
        """
        self._upgraded = True
        self._sender.close()
        rest, self._rest = self._rest, b""
        upgrade.take_over(self.transport, rest, lambda: self._owner.closed(self))

    def _go_on(self) -> None:
        """
        Read the next request from what has come already.
        """
        try:
            self._read_request()
        except RemoteProtocolError as error:
            self._refuse(error)

    def _cut(self, failure: Failure, request_id: str = "") -> None:
        """
        Break the connection, so that a truncated answer cannot pass for a whole one.
        """
        self._answering = None
        if not failure.check(CancelledError, ConnectionDone, ConnectionLost, ElioError):
            _log.failure("Request {request_id} failed", failure, request_id=request_id)
        self.transport.abortConnection()

    def _refuse(self, error: RemoteProtocolError) -> None:
        """
        Answer a request that cannot be understood, and close.
        """
        self._owner.refused(error)
        if self._answering is not None:
            self.transport.abortConnection()
            return
        status = error.status if isinstance(error, BadRequest) else 400
        name = self._owner.request_id()
        head, body = error_answer(status, "InvalidRequest", str(error), name)
        head = head.adding(
            (b"X-Elio-Request-Id", name.encode()), (b"Connection", b"close")
        )
        self._sender.send(memoryview(head.serialize() + body), False).addErrback(
            lambda failure: failure.trap(ConnectionLost, ConnectionDone)
        )
        self._linger()

    def _linger(self) -> None:
        """
        Send no more, and drop what still comes for a moment.
        """
        self._lingering = True
        self._since = self._owner.seconds()
        self._rest = b""
        self.transport.resumeProducing()
        self.transport.loseWriteConnection()

"""
A connection to the store: one exchange after the other, idle in between.
"""

from collections.abc import Callable
from typing import Protocol as TypingProtocol
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource
from eliop2p.storage.exchange import Exchange
from eliop2p.storage.response import QueuedResponse
from eliop2p.storage.transport import StreamTransport

_LINGER = 2.0

_READ_BYTES = 256 * 1024
"""
The most that is read at once. Each piece wakes the chunk, its readers and their
clients, which with Twisted's 64 KiB was a quarter of the cost of a cold read.
"""


class ConnectionOwner(TypingProtocol):
    """
    Who counts connections and keeps the idle ones.
    """

    def connection_made(self, connection: "OriginConnection") -> None:
        """
        The connection is open.
        """

    def connection_idle(self, connection: "OriginConnection") -> None:
        """
        The connection can be used again.
        """

    def connection_unusable(self, connection: "OriginConnection") -> None:
        """
        The connection, if it was idle, cannot be used any more.
        """

    def connection_lost(self, connection: "OriginConnection") -> None:
        """
        The connection is gone.
        """

    def body_bytes(self, count: int) -> None:
        """
        So many bytes of a body have come.
        """


class OriginConnection(Protocol):
    """
    Carries exchanges, and closes itself when something comes that nobody asked for.

    Args:
        clock: Time.
        read_timeout: Seconds without a byte after which the store counts as gone.
        owner: The pool.

    Attributes:
        gone: Fires when the connection is closed, if it ever opened.
    """

    def __init__(
        self, clock: IReactorTime, read_timeout: float, owner: ConnectionOwner
    ) -> None:
        self._clock = clock
        self._read_timeout = read_timeout
        self._owner = owner
        self._exchange: Exchange | None = None
        self._unwanted = False
        self._linger: IDelayedCall | None = None
        self.gone: Deferred[None] = Deferred()

    @property
    def _wire(self) -> StreamTransport:
        return cast("StreamTransport", self.transport)

    @property
    def peer(self) -> str:
        """
        The address that the connection leads to.
        """
        return self._wire.getPeer().host

    def exchange(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
        body_over: Callable[[], None],
    ) -> "Deferred[QueuedResponse]":
        """
        Send a request and wait for the head of its answer.

        Args:
            head: Sent as it is.
            body: Its body.
            interim: Told of 1xx answers.
            body_over: Called once when an answer that was given is done with, after
                the connection has gone back to its owner.

        Raises:
            StaleConnection: The connection was lost before anything came.
            OriginUnavailable: There is no answer (both in the Deferred).
            WrongAnswer: The answer is not HTTP.
        """
        exchange = Exchange(
            head,
            interim,
            transport=self._wire,
            clock=self._clock,
            read_timeout=self._read_timeout,
            owner=self,
            body_over=body_over,
        )
        self._exchange = exchange
        exchange.start(body)
        return exchange.answer

    def close(self) -> None:
        """
        Close an idle connection in an orderly way, within a moment.
        """
        self._unwanted = True
        self._owner.connection_unusable(self)
        self._wire.loseConnection()
        if not self.gone.called:
            # Over TLS the other side has a say, and may never say it.
            self._linger = self._clock.callLater(_LINGER, self._give_up)

    def abandon(self) -> None:
        """
        Close at once, or as soon as the connection is made.
        """
        self._unwanted = True
        if self.transport is not None:
            self._wire.abortConnection()

    # --- of the exchange

    def body_bytes(self, count: int) -> None:
        """
        See :class:`eliop2p.storage.exchange.ExchangeOwner`.
        """
        self._owner.body_bytes(count)

    def exchange_over(self, reusable: bool) -> None:
        """
        See :class:`eliop2p.storage.exchange.ExchangeOwner`.
        """
        self._exchange = None
        if reusable and not self._unwanted:
            self._wire.resumeProducing()
            self._owner.connection_idle(self)
        else:
            self.abandon()

    # --- of the transport

    def connectionMade(self) -> None:
        """
        The connection is open.
        """
        self._wire.bufferSize = _READ_BYTES
        self._owner.connection_made(self)
        if self._unwanted:
            self._wire.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes have come.
        """
        if self._exchange is not None:
            self._exchange.received(data)
        elif not self._unwanted:
            self._owner.connection_unusable(self)
            self.abandon()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone.
        """
        self._unwanted = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._owner.connection_lost(self)
        self.gone.callback(None)
        if self._exchange is not None:
            self._exchange.lost(reason)

    def _give_up(self) -> None:
        self._linger = None
        self._wire.abortConnection()

"""
The client's end of a connection to the proxy, and what answers on the other.
"""

import random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource
from eliop2p.net.copying_sender import TransportSender
from eliop2p.proxy.exchange import Answer, Exchange
from eliop2p.proxy.prepared_answers import not_at_once
from eliop2p.proxy.server import ProxyFactory

PLENTY = 1 << 30


class Wire(StringTransport):
    """
    A client. Nothing of what it says reaches the proxy while that is paused; it takes
    so many bytes before the proxy has to wait for it.

    Attributes:
        closed: Whether the proxy has closed the connection in an orderly way.
        aborted: Whether it has broken it off.
        half_closed: Whether it has said that nothing more follows.
    """

    def __init__(self, clock: Clock, room: int = PLENTY) -> None:
        super().__init__(lenient=True)
        self.closed = self.aborted = self.half_closed = False
        self._clock = clock
        self._room = room
        self._inbound: list[bytes] = []
        self._open = True

    def join(self, protocol: IProtocol) -> "Wire":
        """
        Connect.
        """
        self._protocol = protocol
        protocol.makeConnection(self)
        return self

    def say(self, *parts: bytes) -> None:
        """
        Send to the proxy, each part in a read of its own.
        """
        self._inbound += parts
        self._flush()

    @property
    def unread(self) -> int:
        """
        Bytes that the proxy has not read.
        """
        return sum(map(len, self._inbound))

    def heard(self) -> bytes:
        """
        Take what the proxy has sent since the last call.
        """
        data: bytes = self.value()
        self.clear()
        return data

    def take(self, count: int) -> None:
        """
        Be ready for so many bytes more.
        """
        self._room += count
        if self._room > 0 and self.producer is not None:
            cast("Any", self.producer).resumeProducing()

    def hang_up(self, reason: Exception | None = None) -> None:
        """
        Close the connection.
        """
        if self._open:
            self._open = False
            if self.producer is not None:
                self.producer.stopProducing()
            self._protocol.connectionLost(Failure(reason or ConnectionDone()))

    @property
    def paused(self) -> bool:
        """
        Whether the proxy reads nothing.
        """
        return self.producerState == "paused"

    @property
    def gone(self) -> bool:
        """
        Whether the connection is over.
        """
        return not self._open

    # --- the proxy's transport

    def write(self, data: bytes) -> None:
        """
        Take bytes.
        """
        super().write(data)
        self._room -= len(data)
        if self._room <= 0 and self.producer is not None:
            cast("Any", self.producer).pauseProducing()

    def resumeProducing(self) -> None:
        """
        Give the proxy what has come meanwhile.
        """
        super().resumeProducing()
        self._flush()

    def loseConnection(self) -> None:
        """
        Close on the next turn.
        """
        self.closed = True
        self._clock.callLater(0, self.hang_up)

    def loseWriteConnection(self) -> None:  # noqa: N802
        """
        Hear that nothing more follows.
        """
        self.half_closed = True

    def abortConnection(self) -> None:
        """
        Break off on the next turn.
        """
        self.aborted = True
        self._clock.callLater(0, self.hang_up, ConnectionAborted())

    def _flush(self) -> None:
        while self._inbound and self._reads:
            self._protocol.dataReceived(self._inbound.pop(0))

    @property
    def _reads(self) -> bool:
        return not (self.gone or self.paused or self.closed or self.aborted)


def make_factory(clock: Clock, answer: Answer, connections: int = 10) -> ProxyFactory:
    """
    Make a port's factory.
    """
    return ProxyFactory(
        answer,
        lambda transport: TransportSender(cast("ITCPTransport", transport)),
        at_once=not_at_once,
        metrics=Metrics(),
        clock=clock,
        rng=random.Random(0),
        max_connections=connections,
    )


def connect(clock: Clock, factory: ProxyFactory, room: int = PLENTY) -> Wire:
    """
    Connect a client.
    """
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    return Wire(clock, room).join(protocol)


class ByHand:
    """
    Answers exchanges when a test says so.

    Attributes:
        exchanges: Those that have begun.
        cancelled: How many were given up.
    """

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.cancelled = 0
        self._waiting: list[Deferred[None]] = []

    def __call__(self, exchange: Exchange) -> Deferred[None]:
        """
        Note a request.
        """

        def cancelled(_: Deferred[None]) -> None:
            self.cancelled += 1

        self.exchanges.append(exchange)
        waiting: Deferred[None] = Deferred(cancelled)
        self._waiting.append(waiting)
        return waiting

    @property
    def targets(self) -> list[bytes]:
        """
        What was asked for, in order.
        """
        return [exchange.head.target for exchange in self.exchanges]

    def answer(self, body: bytes = b"", *headers: Header, status: int = 200) -> None:
        """
        Answer the oldest request that waits.
        """
        waiting = self._waiting.pop(0)
        exchange = self.exchanges[len(self.exchanges) - len(self._waiting) - 1]
        length = (b"Content-Length", b"%d" % len(body))
        exchange.begin(ResponseHead(status, b"", (length, *headers)))
        sent = exchange.send(memoryview(body)) if body else exchange.flush()
        Deferred.fromCoroutine(sent).chainDeferred(waiting)

    def fail(self, error: Exception) -> None:
        """
        Fail the oldest request that waits.
        """
        self._waiting.pop(0).errback(error)


class Upload:
    """
    Takes a request body, as the store's side does.

    Attributes:
        data: What has come.
        ended: How it ended: empty, finished or failed.
    """

    def __init__(self, source: IBodySource | None) -> None:
        assert source is not None
        self.data = b""
        self.ended = ""
        self.source = source

    def start(self) -> None:
        """
        Begin.
        """
        self.source.start(
            self._write, lambda: self._end("finished"), lambda: self._end("failed")
        )

    def _write(self, data: bytes) -> None:
        assert not self.ended
        self.data += data

    def _end(self, how: str) -> None:
        assert not self.ended
        self.ended = how


def request(
    target: bytes, *headers: Header, method: bytes = b"GET", version: bytes = b"1.1"
) -> bytes:
    """
    Write a request's head.
    """
    host = (b"Host", b"store")
    return RequestHead(method, target, (host, *headers), b"HTTP/" + version).serialize()

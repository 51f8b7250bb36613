"""
A network within one process: bytes travel on a clock, in order, in pieces.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    TimeoutError,  # noqa: A004 - Twisted's name for what Twisted raises.
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.interfaces import INetwork, IWorker

SEGMENT = 64 * 1024
LATENCY = 0.001

_T = TypeVar("_T")


class MemoryTransport(StringTransport):
    """
    One end of a connection.

    Keeps what it is given as it is until it is delivered, as Twisted's transport does,
    and asks its producer to pause when it has more than 64 KiB.

    Attributes:
        peak: The most bytes it ever held.
        frozen: Whether bytes stay where they are: the other side does not read.
    """

    def __init__(self, clock: Clock, protocol: IProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.peer: MemoryTransport | None = None
        self.peak = 0
        self.frozen = False
        self._clock = clock
        self._pieces: deque[bytes | memoryview] = deque()
        self._held = 0
        self._full = False
        self._scheduled = False
        self._over = False

    def write(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self.writeSequence([data])

    def writeSequence(self, data: list[bytes | memoryview]) -> None:
        """
        Take several pieces.
        """
        if self._over or self.disconnecting:
            return
        self._pieces += data
        self._held += sum(map(len, data))
        self.peak = max(self.peak, self._held)
        if self.producer is not None and self._held > SEGMENT and not self._full:
            self._full = True
            self.producer.pauseProducing()
        self.schedule()

    def loseConnection(self) -> None:
        """
        Close after what is held has gone out.
        """
        self.disconnecting = True
        self.schedule()

    def abortConnection(self) -> None:
        """
        Close at once.
        """
        self.disconnecting = True
        self._pieces.clear()
        self._held = 0
        self._clock.callLater(0, self.end, ConnectionLost())

    def end(self, reason: Exception) -> None:
        """
        Tell both sides that the connection is gone.
        """
        for transport in (self, self.peer):
            if transport is not None and not transport._over:
                transport._over = True
                transport._pieces.clear()
                transport.protocol.connectionLost(Failure(reason))

    def schedule(self) -> None:
        """
        Deliver soon.
        """
        if not self._scheduled and not self._over:
            self._scheduled = True
            self._clock.callLater(LATENCY, self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self.frozen or self._over:
            return
        data = self._take()
        if data and self.peer is not None and not self.peer.disconnecting:
            self.peer.protocol.dataReceived(data)
        if self._pieces:
            self.schedule()
        elif self._full:
            self._full = False
            if self.producer is not None:
                self.producer.resumeProducing()
            self.schedule()
        elif self.disconnecting:
            self.end(ConnectionDone())

    def _take(self) -> bytes:
        taken = bytearray()
        while self._pieces and len(taken) < SEGMENT:
            piece = memoryview(self._pieces.popleft())
            room = SEGMENT - len(taken)
            taken += piece[:room]
            if len(piece) > room:
                self._pieces.appendleft(piece[room:])
        self._held -= len(taken)
        return bytes(taken)


@implementer(IListeningPort)
class MemoryPort:
    """
    A port that is listened to.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop

    def startListening(self) -> None:
        """
        It does so already.
        """

    def stopListening(self) -> None:
        """
        Accept nothing more.
        """
        self._stop()

    def getHost(self) -> IAddress:
        """
        There is no address.
        """
        raise NotImplementedError


@implementer(INetwork)
class MemoryNetwork:
    """
    Connects whoever listens with whoever connects.

    Attributes:
        pairs: The transports of each connection, that of the connecting side first.
        attempts: How often somebody tried to connect.
        deaf: Whether attempts to connect hear nothing at all.
    """

    def __init__(self, clock: Clock) -> None:
        self.pairs: list[tuple[MemoryTransport, MemoryTransport]] = []
        self.attempts = 0
        self.deaf = False
        self._clock = clock
        self._ports: dict[tuple[str, int], IProtocolFactory] = {}

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Accept connections.
        """
        self._ports[host, port] = factory
        return MemoryPort(lambda: self._ports.pop((host, port)))

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,
    ) -> Deferred[Any]:
        """
        Open a connection.
        """
        self.attempts += 1
        connected: Deferred[Any] = Deferred(lambda _: call.cancel())
        if self.deaf:
            call = self._clock.callLater(timeout, connected.errback, TimeoutError())
        else:
            call = self._clock.callLater(
                LATENCY, self._connect, (host, port), factory, connected
            )
        return connected

    def _connect(
        self,
        address: tuple[str, int],
        factory: IProtocolFactory,
        connected: Deferred[Any],
    ) -> None:
        if address not in self._ports:
            connected.errback(ConnectError())
            return
        client = factory.buildProtocol(None)  # type: ignore[arg-type]
        server = self._ports[address].buildProtocol(None)  # type: ignore[arg-type]
        assert client is not None
        near = MemoryTransport(self._clock, client)
        if server is not None:
            far = MemoryTransport(self._clock, server)
            near.peer, far.peer = far, near
            self.pairs.append((near, far))
            server.makeConnection(far)
        client.makeConnection(near)
        connected.callback(client)
        if server is None:
            near.end(ConnectionDone())

    def freeze(self) -> None:
        """
        Let no byte of any present connection arrive any more.
        """
        for pair in self.pairs:
            for transport in pair:
                transport.frozen = True

    def break_all(self) -> None:
        """
        Break every present connection.
        """
        for near, _ in self.pairs:
            near.end(ConnectionLost())


@implementer(IWorker)
class ImmediateWorker:
    """
    Does everything at once.
    """

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        Call the function now.
        """
        return maybeDeferred(function, *args)


@implementer(IWorker)
class SteppedWorker:
    """
    Does everything when it is told to.

    Attributes:
        waiting: What is to be done.
    """

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        Call the function later.
        """
        result: Deferred[_T] = Deferred()
        self.waiting.append(
            lambda: maybeDeferred(function, *args).chainDeferred(result)
        )
        return result

    def step(self) -> None:
        """
        Do the first thing that waits.
        """
        self.waiting.pop(0)()

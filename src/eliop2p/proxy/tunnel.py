"""
CONNECT: bytes between a client and a store that the node cannot read.
"""

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import Busy, ForbiddenTarget, OriginUnavailable
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import ResponseHead
from eliop2p.interfaces import INetwork, IStreamTransport
from eliop2p.model.store import StoreAddress
from eliop2p.net.address import is_internal
from eliop2p.proxy.exchange import Exchange

TUNNEL_IDLE_SECONDS = 300.0
"""
How long nothing may move in a tunnel.
"""

ESTABLISHED = ResponseHead(200, b"Connection established")


@implementer(IHalfCloseableProtocol)
class TunnelEnd(Protocol):
    """
    One of the two connections of a tunnel.

    Each is the producer of the other's transport: what one side does not take, the
    other is not asked for.

    Attributes:
        up: Whether it is the client's.
        silent: Whether the other side has said its last byte.
        lost: Whether the connection is gone.
    """

    transport: IStreamTransport

    def __init__(self, tunnel: "Tunnel", *, up: bool) -> None:
        self._tunnel = tunnel
        self.up = up
        self.silent = False
        self.lost = False

    def connectionMade(self) -> None:
        """
        Read nothing before there is somebody to pass it on to.
        """
        self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass bytes on.
        """
        self._tunnel.passed(self, data)

    def readConnectionLost(self) -> None:
        """
        Pass on that this side says no more.
        """
        self.silent = True
        self._tunnel.silenced(self)

    def writeConnectionLost(self) -> None:
        """
        The last byte towards this side is sent.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """
        End the other side, too, once it has what was sent to it.
        """
        self.lost = True
        self._tunnel.lost()


class Tunnel:
    """
    A client, a store, and what flows between them.

    Attributes:
        client: The client's end.
        store: The store's end, connected before the client's.
    """

    def __init__(
        self, clock: IReactorTime, metrics: Metrics, ended: Callable[["Tunnel"], None]
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._ended = ended
        self._client_lost: Callable[[], None] | None = None
        self._moved_at = clock.seconds()
        self._timer: IDelayedCall = clock.callLater(TUNNEL_IDLE_SECONDS, self._check)
        self.client = TunnelEnd(self, up=True)
        self.store = TunnelEnd(self, up=False)

    def take_over(
        self, transport: IStreamTransport, rest: bytes, lost: Callable[[], None]
    ) -> None:
        """
        See :class:`eliop2p.proxy.exchange.Upgrade`.
        """
        self._client_lost = lost
        transport.protocol = self.client
        self.client.makeConnection(transport)
        if self.store.lost:
            transport.loseConnection()
            return
        for one, other in ((self.client, self.store), (self.store, self.client)):
            one.transport.registerProducer(other.transport, True)
            other.transport.resumeProducing()
        if rest:
            self.passed(self.client, rest)

    def abandon(self) -> None:
        """
        It comes to nothing, whether or not there is a connection to the store yet.
        """
        self._timer.cancel()
        self.abort()
        self._ended(self)

    def abort(self) -> None:
        """
        Break off what is still open of it.
        """
        for end in (self.client, self.store):
            if end.connected and not end.lost:
                end.transport.abortConnection()

    # --- of the ends

    def passed(self, end: TunnelEnd, data: bytes) -> None:
        """
        Bytes have come at an end.
        """
        self._moved_at = self._clock.seconds()
        self._metrics.tunnel_bytes.labels("up" if end.up else "down").inc(len(data))
        other = self._other(end)
        if not other.lost:
            other.transport.write(data)

    def silenced(self, end: TunnelEnd) -> None:
        """
        No more comes at an end.
        """
        other = self._other(end)
        if other.lost:
            return
        # It would resume reading where nothing is to be read any more.
        other.transport.unregisterProducer()
        if other.silent:
            self._close()
        else:
            other.transport.loseWriteConnection()

    def lost(self) -> None:
        """
        An end is gone.
        """
        self._close()
        if self.client.lost and self._client_lost is not None:
            told, self._client_lost = self._client_lost, None
            told()
        if self.store.lost and (self.client.lost or not self.client.connected):
            if self._timer.active():
                self._timer.cancel()
            self._ended(self)

    def _other(self, end: TunnelEnd) -> TunnelEnd:
        return self.store if end is self.client else self.client

    def _close(self) -> None:
        for end in (self.client, self.store):
            if end.connected and not end.lost:
                end.transport.unregisterProducer()
                end.transport.loseConnection()

    def _check(self) -> None:
        left = self._moved_at + TUNNEL_IDLE_SECONDS - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._check)
        else:
            self.abort()


class Tunnels:
    """
    Makes tunnels, a bounded number of them.
    """

    def __init__(
        self,
        network: INetwork,
        clock: IReactorTime,
        metrics: Metrics,
        *,
        limit: int,
        connect_timeout: float,
    ) -> None:
        """
        Args:
            network: The way to the stores.
            clock: Time.
            metrics: Where tunnels and their bytes are counted.
            limit: How many may be open.
            connect_timeout: Seconds until an attempt to connect fails.
        """
        self._network = network
        self._clock = clock
        self._metrics = metrics
        self._limit = limit
        self._connect_timeout = connect_timeout
        self._open: set[Tunnel] = set()

    @property
    def open_count(self) -> int:
        """
        Tunnels open now.
        """
        return len(self._open)

    async def open(self, exchange: Exchange, store: StoreAddress) -> None:
        """
        Connect to a store, tell the client so, and have the tunnel take over.

        Raises:
            Busy: There are too many.
            OriginUnavailable: The store cannot be reached.
            ForbiddenTarget: The store's name leads to an internal address.
        """
        if len(self._open) >= self._limit:
            raise Busy(f"There are {self._limit} tunnels open already.")
        tunnel = Tunnel(self._clock, self._metrics, self._open.discard)
        self._open.add(tunnel)
        try:
            await self._connect(tunnel, store)
            exchange.begin(ESTABLISHED)
            await exchange.flush()
        except BaseException:
            tunnel.abandon()
            raise
        self._metrics.tunnels_opened.inc()
        exchange.upgrade = tunnel

    async def _connect(self, tunnel: Tunnel, store: StoreAddress) -> None:
        factory = Factory.forProtocol(lambda: tunnel.store)
        factory.noisy = False
        connecting = self._network.connect(
            store.host, store.port, factory, self._connect_timeout, False
        )
        try:
            await connecting
        except CancelledError:
            raise
        except Exception as error:
            raise OriginUnavailable(
                f"cannot connect to {store.host}:{store.port}: {error}"
            ) from error
        if store.guarded and is_internal(tunnel.store.transport.getPeer().host):
            raise ForbiddenTarget("address", f"{store.host} is an internal address.")

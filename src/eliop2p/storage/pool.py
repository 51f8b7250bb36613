"""
The connections to one store.
"""

from collections.abc import Awaitable

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory

from eliop2p.base.errors import ForbiddenTarget, OriginUnavailable
from eliop2p.interfaces import INetwork
from eliop2p.net.address import is_internal
from eliop2p.storage.connection import OriginConnection
from eliop2p.storage.endpoint import Endpoint


class ConnectionPool:
    """
    Opens connections, and keeps those that are idle for the next request: last in,
    first out, so that those that are not needed grow old and are closed.

    Does not bound how many are in use; that is for whoever takes them. As a connection
    is opened only when none is idle, or in the place of one that was lost, those in use
    and those idle together stay within the same bound.

    Args:
        endpoint: Where the store is.
        network: The way there.
        clock: Time.
        guarded: Whether an internal address is refused.
        connect_timeout: Seconds until an attempt to connect fails.
        read_timeout: Seconds without a byte after which the store counts as gone.
        idle_timeout: Seconds after which an idle connection is closed.

    Attributes:
        open_count: Connections open now, idle ones among them.
        bytes_in: Bytes of response bodies received.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        network: INetwork,
        clock: IReactorTime,
        guarded: bool = False,
        connect_timeout: float,
        read_timeout: float,
        idle_timeout: float,
    ) -> None:
        self._endpoint = endpoint
        self._network = network
        self._clock = clock
        self._guarded = guarded
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._idle_timeout = idle_timeout
        self._open: set[OriginConnection] = set()
        self._idle: dict[OriginConnection, float] = {}
        self._sweep: IDelayedCall | None = None
        self._closed = False
        self.bytes_in = 0

    @property
    def open_count(self) -> int:
        """
        Connections open now.
        """
        return len(self._open)

    def take(self) -> OriginConnection | None:
        """
        Give the connection that has been idle for the shortest time, if there is one.
        """
        return self._idle.popitem()[0] if self._idle else None

    async def connect(self) -> OriginConnection:
        """
        Open a connection. May be cancelled.

        Raises:
            OriginUnavailable: The store cannot be reached.
            ForbiddenTarget: Its name leads to an internal address.
        """
        connection = OriginConnection(self._clock, self._read_timeout, self)
        factory = Factory.forProtocol(lambda: connection)
        factory.noisy = False
        where = self._endpoint
        attempt: Awaitable[object] = self._network.connect(
            where.host,
            where.port,
            factory,
            self._connect_timeout,
            where.tls,
        )
        try:
            await attempt
        except CancelledError:
            connection.abandon()
            raise
        except Exception as error:
            connection.abandon()
            raise OriginUnavailable(
                f"cannot connect to {where.address}: {error}"
            ) from error
        if self._guarded and is_internal(connection.peer):
            connection.abandon()
            raise ForbiddenTarget("address", f"{where.host} is an internal address.")
        return connection

    def close(self) -> "Deferred[None]":
        """
        Close the idle connections, and from now on every other one after its use.

        Returns:
            Fires when those that were idle are gone.
        """
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        idle = list(self._idle)
        for connection in idle:
            connection.close()
        gone = gatherResults([connection.gone for connection in idle])
        return gone.addCallback(lambda _: None)

    # --- of the connections

    def connection_made(self, connection: OriginConnection) -> None:
        """
        See :class:`eliop2p.storage.connection.ConnectionOwner`.
        """
        self._open.add(connection)

    def connection_idle(self, connection: OriginConnection) -> None:
        """
        See :class:`eliop2p.storage.connection.ConnectionOwner`.
        """
        if self._closed:
            connection.close()
            return
        self._idle[connection] = self._clock.seconds()
        if self._sweep is None:
            self._sweep = self._clock.callLater(self._idle_timeout, self._close_old)

    def connection_unusable(self, connection: OriginConnection) -> None:
        """
        See :class:`eliop2p.storage.connection.ConnectionOwner`.
        """
        self._idle.pop(connection, None)

    def connection_lost(self, connection: OriginConnection) -> None:
        """
        See :class:`eliop2p.storage.connection.ConnectionOwner`.
        """
        self._idle.pop(connection, None)
        self._open.discard(connection)

    def body_bytes(self, count: int) -> None:
        """
        See :class:`eliop2p.storage.connection.ConnectionOwner`.
        """
        self.bytes_in += count

    def _close_old(self) -> None:
        self._sweep = None
        now = self._clock.seconds()
        for connection, since in list(self._idle.items()):
            left = since + self._idle_timeout - now
            if left > 0:
                self._sweep = self._clock.callLater(left, self._close_old)
                return
            connection.close()

"""
An object store behind HTTP/1.1.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource, INetwork, IOrigin, IOriginResponse
from eliop2p.storage.endpoint import parse_endpoint
from eliop2p.storage.exchange import StaleConnection
from eliop2p.storage.pool import ConnectionPool

_RETRIED = frozenset((b"GET", b"HEAD"))


class _Slot:
    """
    The right to one connection; given back once, however often that is asked for.
    """

    def __init__(self, semaphore: DeferredSemaphore) -> None:
        self._semaphore: DeferredSemaphore | None = semaphore

    def free(self) -> None:
        """
        Give it back.
        """
        semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()


@implementer(IOrigin)
class HttpOrigin:
    """
    Sends requests byte for byte over connections that are kept for the next one.

    Neither heads nor bodies are changed, added to or understood beyond where they end.
    Requests beyond the bound wait for a connection in order, and may be cancelled
    meanwhile.

    Args:
        endpoint: An ``http://`` or ``https://`` URL without a path.
        network: The way there.
        clock: Time.
        guarded: Whether an endpoint that leads to an internal address is refused.
        max_connections: How many connections may be open.
        connect_timeout: Seconds until an attempt to connect fails.
        read_timeout: Seconds without a byte after which the store counts as gone; time
            in which the body is paused or the client is still sending is not counted.
        idle_timeout: Seconds after which an idle connection is closed.

    Attributes:
        name: ``scheme://host:port``.
        requests: How often a request was sent, repetitions counted.

    Raises:
        ValueError: The endpoint is not such a URL.
    """

    def __init__(
        self,
        endpoint: str,
        network: INetwork,
        clock: IReactorTime,
        *,
        guarded: bool = False,
        max_connections: int = 64,
        connect_timeout: float,
        read_timeout: float,
        idle_timeout: float = 30.0,
    ) -> None:
        where = parse_endpoint(endpoint)
        self.name = where.name
        self.requests = 0
        self._slots = DeferredSemaphore(max_connections)
        self._pool = ConnectionPool(
            where,
            network=network,
            clock=clock,
            guarded=guarded,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            idle_timeout=idle_timeout,
        )

    @property
    def bytes_in(self) -> int:
        """
        Bytes of response bodies received.
        """
        return self._pool.bytes_in

    @property
    def connections_open(self) -> int:
        """
        Connections open now, idle ones among them.
        """
        return self._pool.open_count

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`.
        """
        return Deferred.fromCoroutine(self._request(head, body, interim))

    def close(self) -> "Deferred[None]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.close`.
        """
        return self._pool.close()

    async def _request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> IOriginResponse:
        if self._slots.tokens:
            self._slots.tokens -= 1
        else:
            await self._slots.acquire()
        slot = _Slot(self._slots)
        try:
            return await self._exchange(head, body, interim, slot.free)
        except BaseException:
            slot.free()
            raise

    async def _exchange(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
        body_over: Callable[[], None],
    ) -> IOriginResponse:
        connection = self._pool.take()
        if connection is not None:
            self.requests += 1
            try:
                return await connection.exchange(head, body, interim, body_over)
            except StaleConnection:
                if body is not None or head.method not in _RETRIED:
                    raise
        connection = await self._pool.connect()
        self.requests += 1
        return await connection.exchange(head, body, interim, body_over)

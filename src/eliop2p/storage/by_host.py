"""
Several stores as one: each request goes to the one that its Host names.
"""

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.target import host_of
from eliop2p.interfaces import IBodySource, IOrigin, IOriginResponse
from eliop2p.model.store import Stores


@implementer(IOrigin)
class OriginsByHost:
    """
    Chooses among stores as the proxy does when it names what is cached.

    Args:
        stores: Their addresses.
        origins: The stores by name, every one of the addresses among them.

    Attributes:
        name: That of the main store.
    """

    def __init__(self, stores: Stores, origins: Mapping[bytes, IOrigin]) -> None:
        self._stores = stores
        self._origins = origins
        self.name = stores.main.name

    @property
    def requests(self) -> int:
        """
        Requests sent to any of them.
        """
        return sum(origin.requests for origin in self._origins.values())

    @property
    def bytes_in(self) -> int:
        """
        Body bytes received from any of them.
        """
        return sum(origin.bytes_in for origin in self._origins.values())

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`.
        """
        host = host_of(head)
        store = self._stores.main
        if host is not None:
            store = self._stores.place(host.host, host.port).store
        return self._origins[store.name].request(head, body, interim)

    def close(self) -> "Deferred[None]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.close`.
        """
        closing = gatherResults([each.close() for each in self._origins.values()])
        return closing.addCallback(lambda _: None)

"""
Who is let in, before anything else is done for a request.
"""

from collections.abc import Callable
from typing import Protocol

import attrs

from eliop2p.base.clients import Clients
from eliop2p.http1.message import RequestHead
from eliop2p.model.store import Place
from eliop2p.proxy.checked_body import CheckedBody
from eliop2p.proxy.exchange import Exchange
from eliop2p.signing.admission import admit
from eliop2p.signing.claim import Verify
from eliop2p.signing.payload import Passage, passage
from eliop2p.signing.resource import path_style
from eliop2p.signing.strip import stripped


class Gate(Protocol):
    """
    Lets requests in.

    Attributes:
        steady: Whether a request that was let in once always is, and as the same.
    """

    steady: bool

    def admit(self, exchange: Exchange, place: Place) -> Place:
        """
        Make an exchange ready for the store, or refuse it.

        Args:
            exchange: The request; its head and body may change.
            place: Where it goes.

        Returns:
            Where it goes, with the bucket in the path if it has been moved there.

        Raises:
            Refused: The client may not have what it asks for.
        """


class StoreDecides:
    """
    Lets every request in as it came: the store checks its signature.
    """

    steady = True

    def admit(self, exchange: Exchange, place: Place) -> Place:  # noqa: ARG002
        """
        See :meth:`Gate.admit`.
        """
        return place


class OssDecides:
    """
    Lets every request in, with the bucket in the path: OSS's signatures cover the
    bucket however it is named, and not Host.

    Args:
        store: The name of the store that is OSS.
    """

    steady = True

    def __init__(self, store: bytes) -> None:
        self._store = store

    def admit(self, exchange: Exchange, place: Place) -> Place:
        """
        See :meth:`Gate.admit`.
        """
        if place.store.name != self._store:
            return place
        exchange.head = _by_path(exchange.head, place)
        return attrs.evolve(place, bucket="")


class NobodyChecks:
    """
    Lets every request in, without its signature: the node's own takes its place.
    """

    steady = True

    def admit(self, exchange: Exchange, place: Place) -> Place:
        """
        See :meth:`Gate.admit`.
        """
        head = stripped(_by_path(exchange.head, place))
        _send_on(exchange, passage(head, None, None, False))
        return attrs.evolve(place, bucket="")


class NodeChecks:
    """
    Lets in who is known and may do what the request asks for.
    """

    steady = False

    def __init__(
        self,
        clients: Callable[[], Clients],
        verify: tuple[Verify, ...],
        now: Callable[[], float],
    ) -> None:
        """
        Args:
            clients: Gives those who are known.
            verify: What checks signatures.
            now: Seconds since the epoch.
        """
        self._clients = clients
        self._verify = verify
        self._now = now

    def admit(self, exchange: Exchange, place: Place) -> Place:
        """
        See :meth:`Gate.admit`.
        """
        head = exchange.head
        resource = path_style(_by_path(head, place).target)
        if place.bucket:
            resource = attrs.evolve(resource, by_host=True)
        admission = admit(head, resource, self._clients(), self._now(), self._verify)
        proof, has_body = admission.proof, exchange.body is not None
        bare = _by_path(admission.head, place)
        _send_on(exchange, passage(bare, proof.payload, proof.chunks, has_body))
        return attrs.evolve(place, bucket="")


def _by_path(head: RequestHead, place: Place) -> RequestHead:
    """
    Name the bucket by the path, where Host does.
    """
    if not place.bucket:
        return head
    return attrs.evolve(head, target=b"/" + place.bucket.encode() + head.target)


def _send_on(exchange: Exchange, way: Passage) -> None:
    exchange.head = way.head
    if way.body is not None and exchange.body is not None:
        exchange.checked = CheckedBody(exchange.body, way.body)
        exchange.body = exchange.checked

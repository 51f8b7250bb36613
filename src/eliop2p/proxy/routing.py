"""
Where a request goes, decided from its head and the stores that the node may reach.

A client's words are only compared with the names of these stores, never looked up: what
is connected to is always an address that the operator has written down.
"""

import attrs

from eliop2p.base.errors import BadRequest, ForbiddenTarget
from eliop2p.http1.message import RequestHead
from eliop2p.http1.target import (
    AbsoluteTarget,
    host_of,
    parse_absolute,
    parse_authority,
)
from eliop2p.model.store import Place, StoreAddress, Stores

_REMEDY = "add the store to [proxy] allowed_hosts"


@attrs.frozen
class Route:
    """
    A request and its store.

    Attributes:
        head: The request with a target in origin form; its Host is the client's, byte
            for byte, since it is signed.
        place: Where it goes.
    """

    head: RequestHead
    place: Place


def find_route(head: RequestHead, stores: Stores, *, forward: bool) -> Route:
    """
    Decide where a request goes.

    Args:
        head: As the client sent it; any method but CONNECT.
        stores: What the node may reach.
        forward: Whether the node serves as a forward proxy.

    Raises:
        ForbiddenTarget: The client names a host that is none of these stores.
        BadRequest: It is not clear where the request should go.
    """
    absolute = parse_absolute(head.target)
    host = host_of(head)
    if absolute is None:
        place = stores.place(host.host, host.port) if host else Place(stores.main, "")
        return Route(head, place)
    _check_forward(absolute, forward)
    authority = absolute.authority
    found = stores.find(authority.host, authority.port)
    if found is None:
        raise _no_store(authority.host, authority.port)
    # RFC 9112 lets a proxy rebuild Host from the target, which would break signatures;
    # stores look at Host alone, and it decides what is connected to.
    if host is None or stores.find(host.host, host.port) != found:
        raise BadRequest("Host and the request target name different hosts")
    return Route(attrs.evolve(head, target=absolute.origin_form), found)


def _check_forward(absolute: AbsoluteTarget, forward: bool) -> None:
    if not forward:
        raise not_forwarding()
    if absolute.scheme != b"http":
        raise BadRequest(
            "the target of a forwarded request begins with http://; the node speaks "
            "TLS to stores that ask for it"
        )


def not_forwarding() -> ForbiddenTarget:
    """
    Say that the node takes no requests for a forward proxy.
    """
    return ForbiddenTarget(
        "off", "This node is not a forward proxy; see [proxy] forward."
    )


def _no_store(host: str, port: int) -> ForbiddenTarget:
    return ForbiddenTarget(
        "host", f"{host}:{port} is not a store of this node; {_REMEDY}."
    )


def find_tunnel(head: RequestHead, stores: Stores) -> StoreAddress:
    """
    Decide where a CONNECT leads to.

    Raises:
        ForbiddenTarget: To no store of this node.
        BadRequest: The target is not ``host:port``.
    """
    authority = parse_authority(head.target, 0)
    for store in (stores.main, *stores.others):
        known = store.host and authority.port == store.port
        if known and store.bucket_in(authority.host, store.port) is not None:
            return store
    raise _no_store(authority.host, authority.port)

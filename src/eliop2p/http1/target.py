"""
Where a request is meant to go: the forms of its target, and Host.
"""

from functools import lru_cache

import attrs

from eliop2p.base.errors import BadRequest
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import parse_decimal

HTTP_PORT = 80
_MAX_PORT = 65535
_NOT_IN_HOST = b'@/?#\\,<>"^`{|} '


@attrs.frozen
class Authority:
    """
    A host and a port.

    Attributes:
        host: Name or address, in lower case, without brackets and without the dot that
            may end a name.
        port: TCP port.
    """

    host: str
    port: int


@lru_cache(256)
def parse_authority(text: bytes, default_port: int) -> Authority:
    """
    Read ``host[:port]``.

    Raises:
        BadRequest: It is something else.
    """
    host, colon, digits = text.rpartition(b":")
    if not colon or text.endswith(b"]"):
        host, digits = text, b""
    if host[:1] == b"[" and host[-1:] == b"]":
        host = host[1:-1]
    elif b":" in host:
        raise BadRequest("not a host and a port")
    port = parse_decimal(digits) if digits else default_port
    if port is None or not 0 < port <= _MAX_PORT:
        raise BadRequest("not a port")
    name = host.rstrip(b".").lower()
    if not name or not name.isascii() or name.translate(None, _NOT_IN_HOST) != name:
        raise BadRequest("not a host")
    return Authority(name.decode("ascii"), port)


def host_of(head: RequestHead) -> Authority | None:
    """
    Read the Host header; None when there is none, or an empty one.

    Raises:
        BadRequest: It is not a host.
    """
    text = head.get(b"host")
    return parse_authority(text, HTTP_PORT) if text else None


@attrs.frozen
class AbsoluteTarget:
    """
    A target in absolute form, as clients of a forward proxy send it.

    Attributes:
        scheme: In lower case.
        authority: Where the client means the request to go.
        origin_form: Path and query, exactly as sent, for the store's request line.
    """

    scheme: bytes
    authority: Authority
    origin_form: bytes


def parse_absolute(target: bytes) -> AbsoluteTarget | None:
    """
    Read ``scheme://host[:port][/path][?query]``.

    Returns:
        None for a target in another form.

    Raises:
        BadRequest: The part between scheme and path is not a host and a port.
    """
    scheme, mark, rest = target.partition(b"://")
    if not mark or not scheme.isalpha():
        return None
    end = min((at for at in map(rest.find, (b"/", b"?")) if at >= 0), default=len(rest))
    path = rest[end:]
    if path[:1] != b"/":
        path = b"/" + path
    scheme = scheme.lower()
    default_port = 443 if scheme == b"https" else HTTP_PORT
    return AbsoluteTarget(scheme, parse_authority(rest[:end], default_port), path)

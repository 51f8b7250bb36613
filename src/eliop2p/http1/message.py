"""
Heads as values: names, case and order of the headers as they came.
"""

from collections.abc import Iterable

import attrs

Header = tuple[bytes, bytes]
"""
A header's name in its own case, and its value without surrounding white space.
"""

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization")
)
"""
What must not be relayed (RFC 9110, section 7.6.1). Transfer-Encoding, Trailer, TE and
Upgrade are not here: bodies are relayed with the framing that they came in.
"""


class _Head:
    """
    What requests and responses have in common.
    """

    __slots__ = ()

    headers: tuple[Header, ...]

    def get(self, name: bytes) -> bytes | None:
        """
        Give the first value of a header.

        Args:
            name: In lower case.
        """
        for present, value in self.headers:
            if present.lower() == name:
                return value
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """
        Give every value of a header.

        Args:
            name: In lower case.
        """
        return [value for present, value in self.headers if present.lower() == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """
        Give the comma-separated, lower-cased elements of a list header.

        Args:
            name: In lower case.
        """
        joined = b",".join(self.get_all(name))
        return [part for raw in joined.split(b",") if (part := raw.strip().lower())]


def _lines(start: bytes, headers: Iterable[Header]) -> bytes:
    parts = [start]
    parts.extend(name + b": " + value for name, value in headers)
    parts.append(b"\r\n")
    return b"\r\n".join(parts)


@attrs.frozen(slots=True)
class RequestHead(_Head):
    """
    A request without its body.

    Attributes:
        method: As sent; methods are case-sensitive.
        target: The request target exactly as sent.
        headers: In order.
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
    """

    method: bytes
    target: bytes
    headers: tuple[Header, ...] = ()
    version: bytes = b"HTTP/1.1"

    def serialize(self) -> bytes:
        """
        Write the head, ending in an empty line.
        """
        start = b" ".join((self.method, self.target, self.version))
        return _lines(start, self.headers)

    def without(self, names: frozenset[bytes]) -> "RequestHead":
        """
        Leave headers out.

        Args:
            names: In lower case.
        """
        kept = tuple(item for item in self.headers if item[0].lower() not in names)
        return RequestHead(self.method, self.target, kept, self.version)

    def adding(self, *headers: Header) -> "RequestHead":
        """
        Append headers.
        """
        added = self.headers + headers
        return RequestHead(self.method, self.target, added, self.version)


@attrs.frozen(slots=True)
class ResponseHead(_Head):
    """
    A response without its body.

    Attributes:
        status: Three digits.
        reason: As sent, possibly empty.
        headers: In order.
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
    """

    status: int
    reason: bytes
    headers: tuple[Header, ...] = ()
    version: bytes = b"HTTP/1.1"

    def serialize(self) -> bytes:
        """
        Write the head, ending in an empty line.
        """
        start = b"%s %03d %s" % (self.version, self.status, self.reason)
        return _lines(start, self.headers)

    def without(self, names: frozenset[bytes]) -> "ResponseHead":
        """
        Leave headers out.

        Args:
            names: In lower case.
        """
        kept = tuple(item for item in self.headers if item[0].lower() not in names)
        return ResponseHead(self.status, self.reason, kept, self.version)

    def adding(self, *headers: Header) -> "ResponseHead":
        """
        Append headers.
        """
        added = self.headers + headers
        return ResponseHead(self.status, self.reason, added, self.version)

"""
An answer that a worker may give again and again, as it goes over the channel.
"""

import struct

import attrs

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.dates import http_date

_FORM = struct.Struct("!dd6I")


@attrs.define(eq=False)
class Lease:
    """
    A request and the answer to it, as :class:`eliop2p.proxy.prepared.Prepared` has it.

    Attributes:
        raw: The very bytes of the request.
        since: From when the answer counts, in seconds since the epoch.
        until: Until when.
        head: Its head in four parts: up to the value of Date or to the request's id
            where there is none; that value; from there to the id; what follows it.
        body: The body.
        opening: The head up to the id, as it is in this second.
        expires: When that second ends, in seconds since the epoch.
    """

    raw: bytes
    since: float
    until: float
    head: tuple[bytes, bytes, bytes, bytes]
    body: bytes
    opening: bytes = b""
    expires: float = 0.0

    def encode(self) -> bytes:
        """
        Write it.
        """
        parts = (self.raw, *self.head, self.body)
        form = _FORM.pack(self.since, self.until, *map(len, parts))
        return b"".join((form, *parts))

    def write(self, now: float) -> None:
        """
        Write the head for this second.
        """
        before, date, between, _ = self.head
        self.opening = before + (date and http_date(now)) + between
        self.expires = int(now) + 1.0


def decode_lease(data: bytes) -> Lease:
    """
    Read a lease.

    Raises:
        RemoteProtocolError: It is none.
    """
    try:
        since, until, *lengths = _FORM.unpack_from(data)
    except struct.error as error:
        raise RemoteProtocolError(f"not a lease: {error}") from error
    if _FORM.size + sum(lengths) != len(data):
        raise RemoteProtocolError("not a lease: its lengths are wrong")
    parts, position = [], _FORM.size
    for length in lengths:
        parts.append(data[position : position + length])
        position += length
    raw, before, date, between, after, body = parts
    return Lease(raw, since, until, (before, date, between, after), body)

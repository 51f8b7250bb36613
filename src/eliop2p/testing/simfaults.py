"""
What can be wrong with an answer of a store.
"""

import attrs

from eliop2p.http1.message import Header, ResponseHead

_CHUNK = 1000


@attrs.frozen(kw_only=True)
class Fault:
    """
    What is wrong with one answer. Without arguments: nothing.

    Attributes:
        status: Answer with this status, an error's body and nothing of the object.
        truncate: Close in an orderly way after so many bytes of the body.
        reset: Break the connection after so many bytes of the body.
        stall: Fall silent after so many bytes of the body.
        pad: So many bytes follow the body that its length does not announce.
        announce: Content-Length is so many bytes more than are sent, or less.
        longer: A 206 is so many bytes longer than its Content-Range, and says so.
        ignore_range: Answer a ranged request with the whole object.
        ignore_conditions: Answer as if there were no ``If-`` headers.
        unasked: Answer a request for the whole object with a part of so many bytes.
        shift: Answer with a range that begins so many bytes later.
        move: Say that the range begins so many bytes later.
        total: Say that the object is so many bytes longer.
        etag: Say that this is the ETag.
        chunked: Send the body in chunks, with no other length.
        until_close: Send the body without a length; the connection's end is its end.
        drop: Leave these headers out, in lower case.
        add: Headers to add.
        interims: So many 103 answers come first.
        raw: Send this in the place of the head, and then close.
    """

    status: int = 0
    truncate: int | None = None
    reset: int | None = None
    stall: int | None = None
    pad: int = 0
    announce: int = 0
    longer: int = 0
    ignore_range: bool = False
    ignore_conditions: bool = False
    unasked: int = 0
    shift: int = 0
    move: int = 0
    total: int = 0
    etag: bytes = b""
    chunked: bool = False
    until_close: bool = False
    drop: frozenset[bytes] = frozenset()
    add: tuple[Header, ...] = ()
    interims: int = 0
    raw: bytes = b""


NO_FAULT = Fault()


def distort(
    fault: Fault, head: ResponseHead, payload: bytes
) -> tuple[ResponseHead, bytes]:
    """
    Make an answer wrong in its framing and its headers.

    Returns:
        The head and the body as they are sent.
    """
    drop = fault.drop
    add: tuple[Header, ...] = fault.add
    if fault.announce:
        drop |= {b"content-length"}
        length = max(len(payload) + fault.announce, 0)
        add += ((b"Content-Length", b"%d" % length),)
    if fault.chunked:
        drop |= {b"content-length"}
        add += ((b"Transfer-Encoding", b"chunked"),)
        payload = _in_chunks(payload)
    if fault.until_close:
        drop |= {b"content-length"}
    return head.without(drop).adding(*add), payload


def _in_chunks(data: bytes) -> bytes:
    pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    framed = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    return b"".join((*framed, b"0\r\n\r\n"))

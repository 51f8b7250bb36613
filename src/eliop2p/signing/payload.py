"""
Bodies of requests, checked against what was signed of them while they pass.
"""

import hashlib
import hmac
from typing import Protocol

import attrs

from eliop2p.http1.message import Header, RequestHead
from eliop2p.model.ranges import parse_decimal
from eliop2p.signing.aws import EMPTY_SHA256, UNSIGNED
from eliop2p.signing.chunked import BodySignature, ChunkedBody
from eliop2p.signing.refusal import Refused
from eliop2p.signing.trailer import TrailerEncoder
from eliop2p.signing.v4 import STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED

_CONTENT = b"x-amz-content-sha256"
_DECODED = b"x-amz-decoded-content-length"
_CODING = b"aws-chunked"


class BodyFilter(Protocol):
    """
    Turns a body into what is sent on.
    """

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes.

        Returns:
            What to send of them.

        Raises:
            Refused: They are not what was signed.
        """

    def close(self) -> bytes:
        """
        Take the end.

        Returns:
            What to send at last.

        Raises:
            Refused: The body was not what was signed.
        """


class HashedBody:
    """
    Lets a body pass whose SHA-256 was signed.
    """

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> bytes:
        """
        See :meth:`BodyFilter.feed`.
        """
        self._hash.update(data)
        return data

    def close(self) -> bytes:
        """
        See :meth:`BodyFilter.close`.
        """
        if not hmac.compare_digest(self._hash.hexdigest(), self._expected):
            raise _mismatch()
        return b""


class DecodedBody:
    """
    Takes signed chunks apart; puts unsigned ones in their place where there are
    trailers, so that the store has the checksum.
    """

    def __init__(self, chunks: ChunkedBody, encoder: TrailerEncoder | None) -> None:
        self._chunks = chunks
        self._encoder = encoder

    def feed(self, data: bytes) -> bytes:
        """
        See :meth:`BodyFilter.feed`.
        """
        found = self._chunks.feed(data)
        return found if self._encoder is None else self._encoder.encode(found)

    def close(self) -> bytes:
        """
        See :meth:`BodyFilter.close`.
        """
        self._chunks.close()
        if self._encoder is None:
            return b""
        return self._encoder.end(self._chunks.trailers)


@attrs.frozen
class Passage:
    """
    How a request with a body goes on.

    Attributes:
        head: As it is sent on, before the node signs it.
        body: What the body passes through; None when it goes on as it is.
    """

    head: RequestHead
    body: BodyFilter | None


def passage(
    head: RequestHead, payload: str | None, chunks: BodySignature | None, has_body: bool
) -> Passage:
    """
    Choose how a body goes on.

    Args:
        head: The request without its signature.
        payload: The SHA-256 that was signed, None when none was.
        chunks: Checks signed chunks, None when nobody does.
        has_body: Whether there is a body.

    Raises:
        Refused: The body cannot be what was signed, or not be told to be.
    """
    said = (head.get(_CONTENT) or b"").decode("latin-1")
    if said in (STREAMING, STREAMING_TRAILER):
        return _decoding(head, chunks, said == STREAMING_TRAILER)
    if payload is None:
        return Passage(head, None)
    if not has_body:
        if payload != EMPTY_SHA256:
            raise _mismatch()
        return Passage(head, None)
    if head.get(b"content-length") is None:
        raise _no_length()
    return Passage(head, HashedBody(payload))


def _decoding(
    head: RequestHead, chunks: BodySignature | None, trailer: bool
) -> Passage:
    length = parse_decimal(head.get(_DECODED) or b"")
    if length is None or head.get(b"content-length") is None:
        raise _no_length()
    body = ChunkedBody(chunks, length)
    if trailer:
        names = head.tokens(b"x-amz-trailer")
        encoder = TrailerEncoder(length, names)
        changed = _evolved(head, STREAMING_UNSIGNED, encoder.encoded_length)
        return Passage(changed, DecodedBody(body, encoder))
    bare = _evolved(head.without(frozenset((_DECODED,))), UNSIGNED, length)
    return Passage(_without_coding(bare), DecodedBody(body, None))


def _evolved(head: RequestHead, payload: str, length: int) -> RequestHead:
    values = {_CONTENT: payload.encode(), b"content-length": b"%d" % length}
    headers = tuple(
        (name, values.get(name.lower(), value)) for name, value in head.headers
    )
    return attrs.evolve(head, headers=headers)


def _without_coding(head: RequestHead) -> RequestHead:
    headers: list[Header] = []
    for name, value in head.headers:
        if name.lower() == b"content-encoding":
            parts = [part.strip() for part in value.split(b",")]
            kept = [part for part in parts if part.lower() != _CODING]
            if kept:
                headers.append((name, b",".join(kept)))
        else:
            headers.append((name, value))
    return attrs.evolve(head, headers=tuple(headers))


def _mismatch() -> Refused:
    return Refused(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )


def _no_length() -> Refused:
    return Refused(
        "MissingContentLength", "You must provide the Content-Length HTTP header."
    )

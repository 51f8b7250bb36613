"""
Bodies in the ``aws-chunked`` coding: each chunk signed by itself, trailers perhaps.

The form is that of AWS's "Transferring Payload in Multiple Chunks" for Signature V4:
``SIZE;chunk-signature=HEX``, a line end, so many bytes, a line end; an empty chunk ends
the data, trailers and their signature may follow.
"""

import hashlib
import hmac
from enum import Enum, auto

import attrs

from eliop2p.http1.fields import split_field
from eliop2p.http1.message import Header
from eliop2p.signing.aws import EMPTY_SHA256, V4
from eliop2p.signing.refusal import Refused, wrong_signature

MAX_LINE = 1024
"""
The longest line between chunks, in bytes with its end.
"""

MAX_TRAILERS = 8
"""
The most lines behind the last chunk.
"""

_SIGNATURE = b"x-amz-trailer-signature"


def _equal(one: str, other: bytes) -> bool:
    return hmac.compare_digest(one.encode(), other)


@attrs.define
class BodySignature:
    """
    The chain of signatures over the chunks of a body: each covers the one before it.

    Attributes:
        key: What signs.
        previous: The signature of the request, then of the last chunk.
        trailer: Whether the trailers are signed too.
    """

    key: V4
    previous: str
    trailer: bool

    def check_chunk(self, digest: str, signature: bytes) -> None:
        """
        Check the next chunk.

        Args:
            digest: SHA-256 of its data, in hexadecimal digits.
            signature: What the client says.

        Raises:
            Refused: It is wrong.
        """
        self._check("AWS4-HMAC-SHA256-PAYLOAD", (EMPTY_SHA256, digest), signature)

    def check_trailer(self, lines: bytes, signature: bytes) -> None:
        """
        Check the trailers.

        Args:
            lines: Each trailer as ``name:value`` and a line feed.
            signature: What the client says.

        Raises:
            Refused: It is wrong.
        """
        digest = hashlib.sha256(lines).hexdigest()
        self._check("AWS4-HMAC-SHA256-TRAILER", (digest,), signature)

    def _check(self, kind: str, digests: tuple[str, ...], signature: bytes) -> None:
        scope = self.key.scope
        text = "\n".join((kind, scope.timestamp, scope.text, self.previous, *digests))
        right = self.key.sign(text)
        if not _equal(right, signature):
            raise wrong_signature()
        self.previous = right


class _Next(Enum):
    SIZE = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedBody:
    """
    Takes the coding off a body. Holds at most one line.

    Args:
        signature: Checks chunks and trailers; None when nobody does.
        length: How many bytes of data there are to be.

    Attributes:
        ended: Whether the last byte of the coding has come.
        trailers: What stood behind the data.
    """

    def __init__(self, signature: BodySignature | None, length: int) -> None:
        self.ended = False
        self.trailers: list[Header] = []
        self._check = signature
        self._left = length
        self._next = _Next.SIZE
        self._line = bytearray()
        self._chunk = 0
        self._said = b""
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> bytes:
        """
        Take bytes of the coding.

        Returns:
            The data in them.

        Raises:
            Refused: A signature is wrong, or the coding is.
        """
        found = bytearray()
        view, position = memoryview(data), 0
        while position < len(data):
            if self._chunk:
                piece = view[position : position + self._chunk]
                found += piece
                self._take(piece)
                position += len(piece)
            else:
                position = self._feed_line(data, position)
        return bytes(found)

    def close(self) -> None:
        """
        The body has ended.

        Raises:
            Refused: The coding or the data have not.
        """
        if not self.ended or self._left:
            raise _incomplete()

    def _take(self, piece: memoryview) -> None:
        if self._check is not None:
            self._hash.update(piece)
        self._chunk -= len(piece)
        self._left -= len(piece)

    def _feed_line(self, data: bytes, position: int) -> int:
        if self.ended:
            raise _incomplete()
        room = MAX_LINE - len(self._line)
        end = data.find(b"\n", position, position + room)
        stop = len(data) if end < 0 else end + 1
        if end < 0 and stop - position >= room:
            raise _incomplete()
        self._line += data[position:stop]
        if end >= 0:
            line = bytes(self._line)
            self._line.clear()
            if not line.endswith(b"\r\n"):
                raise _incomplete()
            self._end_line(line[:-2])
        return stop

    def _end_line(self, line: bytes) -> None:
        if self._next is _Next.SIZE:
            self._begin_chunk(line)
        elif self._next is _Next.DATA_END:
            if line:
                raise _incomplete()
            self._end_chunk()
            self._next = _Next.SIZE
        elif line:
            self._take_trailer(line)
        else:
            self._end_trailers()

    def _begin_chunk(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        if not 0 < len(digits) <= 16 or digits.strip(b"0123456789abcdefABCDEF"):
            raise _incomplete()
        self._chunk = int(digits, 16)
        if self._chunk > self._left:
            raise _incomplete()
        self._said = extension.removeprefix(b"chunk-signature=")
        self._hash = hashlib.sha256()
        self._next = _Next.DATA_END
        if not self._chunk:
            self._end_chunk()
            self._next = _Next.TRAILER

    def _end_chunk(self) -> None:
        if self._check is not None:
            self._check.check_chunk(self._hash.hexdigest(), self._said)

    def _take_trailer(self, line: bytes) -> None:
        if len(self.trailers) >= MAX_TRAILERS:
            raise _incomplete()
        try:
            self.trailers.append(split_field(line))
        except ValueError:
            raise _incomplete() from None

    def _end_trailers(self) -> None:
        said = [v for name, v in self.trailers if name.lower() == _SIGNATURE]
        self.trailers = [t for t in self.trailers if t[0].lower() != _SIGNATURE]
        if self._check is not None and self._check.trailer:
            lines = b"".join(b"%s:%s\n" % (n.lower(), v) for n, v in self.trailers)
            self._check.check_trailer(lines, said[0] if len(said) == 1 else b"")
        elif self._check is not None and self.trailers:
            raise _incomplete()
        self.ended = True


def _incomplete() -> Refused:
    return Refused(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP "
        "header, or the body is not in the aws-chunked coding",
    )

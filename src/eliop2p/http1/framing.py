"""
Where a body ends, without decoding it.

Bodies are relayed in the framing that they came in: chunk sizes, extensions and
trailers stay as they are. A scanner only counts along.
"""

from enum import Enum

import attrs

from eliop2p.base.errors import BadRequest, RemoteProtocolError
from eliop2p.http1.fields import split_field
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.ranges import parse_decimal

MAX_CHUNK_LINE = 4 * 1024
"""
The longest line with a chunk's size, in bytes, extensions and line end included.
"""

MAX_TRAILERS = 16 * 1024
"""
The most bytes of trailers.
"""

_HEX = b"0123456789abcdefABCDEF"
_MAX_HEX_DIGITS = 16


class Kind(Enum):
    """
    What tells the end of a body.
    """

    NONE = "none"
    """
    There is no body.
    """
    LENGTH = "length"
    """
    Its length, said in advance.
    """
    CHUNKED = "chunked"
    """
    The chunked transfer coding.
    """
    CLOSE = "close"
    """
    The end of the connection.
    """


@attrs.frozen
class Framing:
    """
    How a body is delimited.

    Attributes:
        kind: By what.
        length: Bytes of the body; only with ``Kind.LENGTH``.
    """

    kind: Kind
    length: int = 0


NO_BODY = Framing(Kind.NONE)
CHUNKED = Framing(Kind.CHUNKED)
UNTIL_CLOSE = Framing(Kind.CLOSE)


def _codings(values: list[bytes]) -> list[bytes]:
    # Only SP and HTAB count as white space: a server that does not strip, say, a
    # vertical tab would not see the chunked coding that another sees.
    return [
        part.strip(b" \t").lower() for value in values for part in value.split(b",")
    ]


def _length(values: list[bytes]) -> int:
    """
    Read Content-Length.

    Raises:
        ValueError: It is no length, or the headers differ.
    """
    if len(set(values)) > 1:
        raise ValueError("several different Content-Lengths")
    length = parse_decimal(values[0])
    if length is None:
        raise ValueError("Content-Length is not a length")
    return length


def _last_coding(values: list[bytes], version: bytes) -> bytes:
    """
    Read Transfer-Encoding.

    Raises:
        ValueError: It makes no sense, or stands where it must not.
    """
    codings = _codings(values)
    if version == b"HTTP/1.0":
        raise ValueError("Transfer-Encoding in HTTP/1.0")
    if b"" in codings or b"chunked" in codings[:-1]:
        raise ValueError("a Transfer-Encoding that makes no sense")
    return codings[-1]


def _delimiters(head: RequestHead | ResponseHead) -> tuple[bytes | None, int | None]:
    """
    Read the last transfer coding or the length.

    Raises:
        ValueError: The headers are contradictory or doubtful.
    """
    coded, lengths = head.get_all(b"transfer-encoding"), head.get_all(b"content-length")
    if coded and lengths:
        raise ValueError("Content-Length together with Transfer-Encoding")
    return (
        _last_coding(coded, head.version) if coded else None,
        _length(lengths) if lengths else None,
    )


def request_framing(head: RequestHead) -> Framing:
    """
    Tell how the body of a request is delimited.

    Raises:
        BadRequest: The head says contradictory or doubtful things about it.
    """
    try:
        coding, length = _delimiters(head)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if coding is None:
        return NO_BODY if length is None else Framing(Kind.LENGTH, length)
    if coding != b"chunked":
        raise BadRequest("the last transfer coding is not chunked")
    return CHUNKED


def response_framing(head: ResponseHead, method: bytes) -> Framing:
    """
    Tell how the body of a response is delimited.

    Args:
        head: The response.
        method: Of the request that it answers.

    Raises:
        RemoteProtocolError: The head says contradictory or doubtful things about it.
    """
    if method == b"HEAD" or head.status < 200 or head.status in (204, 304):
        return NO_BODY
    try:
        coding, length = _delimiters(head)
    except ValueError as error:
        raise RemoteProtocolError(str(error)) from error
    if coding == b"chunked":
        return CHUNKED
    if coding is not None or length is None:
        return UNTIL_CLOSE
    return Framing(Kind.LENGTH, length)


def keep_alive(head: RequestHead | ResponseHead) -> bool:
    """
    Tell whether the sender of a head means to use the connection again.
    """
    tokens = head.tokens(b"connection")
    if b"close" in tokens:
        return False
    return head.version == b"HTTP/1.1" or b"keep-alive" in tokens


class BodyScanner:
    """
    Follows a body; this one ends only with the connection.

    Attributes:
        ended: Whether the last byte of the body has been scanned.
        ends_at_close: Whether the end of the connection completes the body.
    """

    ended = False
    ends_at_close = True

    def scan(self, data: bytes) -> int:
        """
        Follow the next bytes of the connection.

        Returns:
            How many of them belong to the body: fewer than given only when it has
            ended.

        Raises:
            RemoteProtocolError: The framing is broken; the body cannot be relied on.
        """
        return len(data)


class LengthScanner(BodyScanner):
    """
    Follows a body whose length is known.
    """

    ends_at_close = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length

    def scan(self, data: bytes) -> int:
        """
        See :meth:`BodyScanner.scan`.
        """
        count = min(self._left, len(data))
        self._left -= count
        self.ended = not self._left
        return count


class _Expect(Enum):
    SIZE = MAX_CHUNK_LINE
    PAYLOAD_END = 2
    TRAILER = MAX_TRAILERS


class ChunkedScanner(BodyScanner):
    """
    Follows a chunked body. Holds at most the one line that is incomplete.
    """

    ends_at_close = False

    def __init__(self) -> None:
        self._expect = _Expect.SIZE
        self._payload = 0
        self._line = bytearray()
        self._trailers = 0

    def scan(self, data: bytes) -> int:
        """
        See :meth:`BodyScanner.scan`.
        """
        position = 0
        while position < len(data) and not self.ended:
            if self._payload:
                count = min(self._payload, len(data) - position)
                self._payload -= count
                position += count
            else:
                position = self._scan_line(data, position)
        return position

    def _scan_line(self, data: bytes, position: int) -> int:
        room = self._expect.value - len(self._line) - self._trailers
        end = data.find(b"\n", position, position + room)
        stop = len(data) if end < 0 else end + 1
        if end < 0 and stop - position >= room:
            raise RemoteProtocolError("a line of the chunked coding is too long")
        self._line += data[position:stop]
        if end >= 0:
            line = bytes(self._line)
            self._line.clear()
            self._end_line(line)
        return stop

    def _end_line(self, line: bytes) -> None:
        text = line[:-2]
        if not line.endswith(b"\r\n") or b"\r" in text or b"\0" in text:
            raise RemoteProtocolError("a bad line end in the chunked coding")
        if self._expect is _Expect.SIZE:
            self._payload = _chunk_size(text)
            self._expect = _Expect.PAYLOAD_END if self._payload else _Expect.TRAILER
        elif self._expect is _Expect.PAYLOAD_END:
            self._expect = _Expect.SIZE
        else:
            self._end_trailer(text, len(line))

    def _end_trailer(self, text: bytes, length: int) -> None:
        if not text:
            self.ended = True
            return
        self._trailers += length
        try:
            split_field(text)
        except ValueError as error:
            raise RemoteProtocolError(str(error)) from error


def _chunk_size(line: bytes) -> int:
    digits, _, _ = line.partition(b";")
    if not 0 < len(digits) <= _MAX_HEX_DIGITS or digits.translate(None, _HEX):
        raise RemoteProtocolError(f"not a chunk size: {digits[:32]!r}")
    return int(digits, 16)


def body_scanner(framing: Framing) -> BodyScanner:
    """
    Make the scanner for a body.
    """
    if framing.kind is Kind.CHUNKED:
        return ChunkedScanner()
    if framing.kind is Kind.CLOSE:
        return BodyScanner()
    return LengthScanner(framing.length)

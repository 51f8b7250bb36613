"""
Heads out of a stream of bytes, and nothing that two servers could read differently.

A relay hands on what it has read as it came, so that anything on which it and the next
server disagree lets one client's bytes pass for another's request (RFC 9112, section
11.2). Here the doubtful is refused, never repaired.
"""

from typing import Generic, TypeVar

from eliop2p.base.errors import BadRequest, RemoteProtocolError
from eliop2p.http1.fields import is_token, split_field
from eliop2p.http1.framing import request_framing
from eliop2p.http1.message import Header, RequestHead, ResponseHead

MAX_HEAD = 64 * 1024
"""
The longest head, in bytes, with the empty line that ends it.
"""

MAX_HEADERS = 256
"""
The most header lines in a head.
"""

_MAX_EMPTY_LINES = 2
_END = b"\r\n\r\n"
_CONTROLS = bytes((*range(0x21), 0x7F))
_NOT_IN_HOST = _CONTROLS + b',/?#@\\"<>^`{|}'
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_CHECKED = frozenset((b"host", b"content-length", b"transfer-encoding"))

_Head = TypeVar("_Head", RequestHead, ResponseHead)


def _lines(text: bytes) -> list[bytes]:
    """
    Cut a head into lines.

    Raises:
        ValueError: A line ends in a bare CR or LF, or there is a NUL.
        BadRequest: There are too many lines.
    """
    lines = text.split(b"\r\n")
    breaks = len(lines) - 1
    if text.count(b"\n") != breaks or text.count(b"\r") != breaks:
        raise ValueError("a line ends in a bare CR or LF")
    if b"\0" in text:
        raise ValueError("a NUL in the head")
    if breaks > MAX_HEADERS:
        raise BadRequest("too many headers", 431)
    return lines


class _HeadReader(Generic[_Head]):
    """
    Collects bytes until there is a head.

    Keeps at most :data:`MAX_HEAD` bytes and what one feed brought; a head that comes
    in many pieces is searched only once.
    """

    _empty_lines_allowed = 0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._empty_lines = 0
        self._rest = b""

    def feed(self, data: bytes) -> _Head | None:
        """
        Take bytes from the connection.

        Returns:
            The head once it is complete; then :meth:`take_rest` gives what came after
            it. None while more is needed.
        """
        whole: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            whole = self._buffer
        start = self._skip(whole)
        end = whole.find(_END, max(start, self._searched), start + MAX_HEAD)
        if end < 0:
            self._keep(whole, start)
            return None
        text = bytes(whole[start:end])
        self._rest = bytes(whole[end + 4 :])
        self._buffer = bytearray()
        self._searched = self._empty_lines = 0
        try:
            return self._parse(_lines(text))
        except ValueError as error:
            raise BadRequest(str(error)) from error

    def take_rest(self) -> bytes:
        """
        Give, once, the bytes that followed the head; the next head is fed with them.
        """
        rest, self._rest = self._rest, b""
        return rest

    def _skip(self, whole: bytes | bytearray) -> int:
        start = 0
        while self._empty_lines < self._empty_lines_allowed and whole.startswith(
            b"\r\n", start
        ):
            start += 2
            self._empty_lines += 1
        return start

    def _keep(self, whole: bytes | bytearray, start: int) -> None:
        if len(whole) - start >= MAX_HEAD:
            if whole.find(b"\r\n", start, start + MAX_HEAD) < 0:
                raise BadRequest("the first line is too long", 414)
            raise BadRequest("the head is too long", 431)
        if whole is not self._buffer:
            self._buffer = bytearray(whole)
        if start:
            del self._buffer[:start]
            self._searched = 0
        self._check_partial(self._buffer, self._searched)
        self._searched = max(len(self._buffer) - 3, 0)

    def _check_partial(self, buffer: bytearray, new: int) -> None:
        # Who sends bare LFs, or no HTTP at all, would otherwise wait for an answer
        # until it times out.
        if new and buffer[new] == 0x0A:
            new -= 1
        if buffer.count(b"\n", new) != buffer.count(b"\r\n", new):
            raise BadRequest("a line ends in a bare LF")
        if buffer and not self._may_begin(bytes(buffer[:7])):
            raise BadRequest("not HTTP/1.1")

    def _may_begin(self, text: bytes) -> bool:
        raise NotImplementedError

    def _parse(self, lines: list[bytes]) -> _Head:
        raise NotImplementedError


class RequestReader(_HeadReader[RequestHead]):
    """
    Reads the heads of requests, each after at most two empty lines.

    ``feed`` raises :class:`eliop2p.base.errors.BadRequest`, whose status is 400,
    414 when the request line is too long, 431 when the rest of the head is, or 505.
    """

    _empty_lines_allowed = 2

    def _may_begin(self, text: bytes) -> bool:
        return is_token(text[:1]) or text == b"\r"

    def _parse(self, lines: list[bytes]) -> RequestHead:
        method, target, version = _request_line(lines[0])
        headers, checked = _request_fields(lines)
        head = RequestHead(method, target, headers, version)
        _check_request(head, checked)
        return head


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest("not a request line")
    method, target, version = parts
    if not is_token(method):
        raise BadRequest("the method is not a token")
    if not target or target.translate(None, _CONTROLS) != target:
        raise BadRequest("a control character in the request target")
    if version not in _VERSIONS:
        form = version[:5] == b"HTTP/" and len(version) == 8
        raise BadRequest("not HTTP/1.1", 505 if form else 400)
    return method, target, version


def _request_fields(lines: list[bytes]) -> tuple[tuple[Header, ...], list[bytes]]:
    headers = []
    checked = []
    for index in range(1, len(lines)):
        field = split_field(lines[index])
        headers.append(field)
        name = field[0].lower()
        if name in _CHECKED:
            checked.append(name)
    return tuple(headers), checked


def _check_request(head: RequestHead, checked: list[bytes]) -> None:
    hosts = checked.count(b"host")
    if hosts > 1 or (not hosts and head.version == b"HTTP/1.1"):
        raise BadRequest(f"{hosts} Host headers")
    host = head.get(b"host") or b""
    if host.translate(None, _NOT_IN_HOST) != host:
        raise BadRequest("not a Host")
    if len(checked) > hosts:
        request_framing(head)


class ResponseReader(_HeadReader[ResponseHead]):
    """
    Reads the heads of responses, interim ones among them.
    """

    def feed(self, data: bytes) -> ResponseHead | None:
        """
        Take bytes from the connection.

        Returns:
            The head once it is complete, None while more is needed.

        Raises:
            RemoteProtocolError: This is no HTTP/1.1 response.
        """
        try:
            return super().feed(data)
        except BadRequest as error:
            raise RemoteProtocolError(str(error)) from error

    def _may_begin(self, text: bytes) -> bool:
        return b"HTTP/1.".startswith(text)

    def _parse(self, lines: list[bytes]) -> ResponseHead:
        version, status, reason = _status_line(lines[0])
        headers = tuple([split_field(line) for line in lines[1:]])
        return ResponseHead(status, reason, headers, version)


def _status_line(line: bytes) -> tuple[bytes, int, bytes]:
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if version not in _VERSIONS:
        raise ValueError("not an HTTP/1.1 response")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise ValueError(f"not a status: {status[:16]!r}")
    return version, int(status), reason

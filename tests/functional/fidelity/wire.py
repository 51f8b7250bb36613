"""
HTTP as it is on the wire: requests sent byte for byte, answers kept as they came.
"""

import contextlib
import re
import socket

import attrs

Header = tuple[bytes, bytes]

TIMEOUT = 30.0

_HOP_BY_HOP = frozenset((b"connection", b"keep-alive"))
_OWN = frozenset((b"x-cache", b"x-elio-request-id", b"x-elio-source"))
_CHANGING = frozenset(
    (
        *(b"date", b"x-amz-request-id", b"x-amz-id-2"),
        *(b"x-amzn-requestid", b"x-trans-id", b"x-openstack-request-id"),
    )
)
_BOUNDARY = re.compile(rb"boundary=([^;]+)")
_CHANGING_ELEMENTS = re.compile(
    rb"<(RequestId|HostId|UploadId|LastModified|RequestID)>[^<]*</\1>"
)


@attrs.frozen
class Sent:
    """
    A request, ready to be sent.

    Attributes:
        method: Its method.
        target: In origin form.
        headers: Host among them.
        body: With its transfer framing.
        expects: Whether the body waits for a 100.
    """

    method: bytes
    target: bytes
    headers: tuple[Header, ...]
    body: bytes = attrs.field(default=b"", repr=False)
    expects: bool = False

    def head(self, prefix: bytes = b"") -> bytes:
        """
        Write the head.

        Args:
            prefix: ``http://host``, for a forward proxy.
        """
        lines = [b"%s %s%s HTTP/1.1" % (self.method, prefix, self.target)]
        lines += [b"%s: %s" % header for header in self.headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@attrs.frozen
class Received:
    """
    An answer.

    Attributes:
        interim: The statuses of 1xx answers before it.
        status: The status line.
        headers: In order.
        body: Without transfer framing.
        whole: Whether the body came to its proper end.
        cache: What the node says of its cache, empty from a store.
    """

    interim: tuple[bytes, ...]
    status: bytes
    headers: tuple[Header, ...]
    body: bytes
    whole: bool

    @property
    def cache(self) -> bytes:
        """
        What the node says of its cache, empty from a store.
        """
        return _get(self.headers, b"x-cache")

    def comparable(self, *masked: bytes) -> "Received":
        """
        Leave out what concerns one connection or one request.

        Args:
            masked: Further headers whose values are not compared.
        """
        changing = _CHANGING.union(masked)
        body = self.body
        if body[:1] == b"<":
            body = _CHANGING_ELEMENTS.sub(rb"<\1/>", body)
        kind = _get(self.headers, b"content-type")
        if boundary := _BOUNDARY.search(kind):
            # Made up by the store for each answer of several ranges.
            body = body.replace(boundary[1], b"*")
            changing |= {b"content-type"}
        if b"<UploadId/>" in body:
            changing |= {b"content-length"}
        headers = tuple(
            (name, b"*" if name.lower() in changing else value)
            for name, value in self.headers
            if name.lower() not in _HOP_BY_HOP | _OWN
        )
        return attrs.evolve(self, headers=headers, body=body)


def _get(headers: tuple[Header, ...], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name.lower() == wanted), b"")


class Wire:
    """
    A connection that is made again when the other side has closed it.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._data = bytearray()

    def close(self) -> None:
        """
        Close it.
        """
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._data.clear()

    def ask(self, sent: Sent, prefix: bytes = b"") -> Received:
        """
        Send a request and take its answer, on a new connection when the old one died.
        """
        for fresh in (False, True):
            if fresh:
                self.close()
            try:
                return self._ask(sent, prefix)
            except (ConnectionError, EOFError):
                if fresh:
                    raise
            except TimeoutError as error:
                raise TimeoutError(f"{sent} by {prefix!r} to {self._port}") from error
        raise AssertionError("unreachable")

    def _ask(self, sent: Sent, prefix: bytes) -> Received:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
        interim: list[bytes] = []
        self._socket.sendall(sent.head(prefix))
        if sent.expects:
            status, headers = self._head()
            if status.split(b" ")[1] != b"100":
                # The body was not asked for: this connection cannot be used again.
                return self._finish(sent, interim, status, headers, last=True)
            interim.append(status)
        # A store may answer, and even close, before it has the body.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(sent.body)
        while True:
            status, headers = self._head()
            assert status.startswith(b"HTTP/1."), (sent, status, headers)
            if status.split(b" ")[1][:1] != b"1":
                return self._finish(sent, interim, status, headers, last=False)
            interim.append(status)

    def _finish(
        self,
        sent: Sent,
        interim: list[bytes],
        status: bytes,
        headers: tuple[Header, ...],
        *,
        last: bool,
    ) -> Received:
        body, whole, reusable = self._body(sent, status, headers)
        closing = b"close" in _get(headers, b"connection").lower()
        if last or closing or not reusable:
            self.close()
        return Received(tuple(interim), status, headers, body, whole)

    def _body(
        self, sent: Sent, status: bytes, headers: tuple[Header, ...]
    ) -> tuple[bytes, bool, bool]:
        if sent.method == b"HEAD" or status.split(b" ")[1] in {b"204", b"304"}:
            return b"", True, True
        try:
            if _get(headers, b"transfer-encoding"):
                return self._chunked(), True, True
            length = _get(headers, b"content-length")
            if length:
                return self._exactly(int(length)), True, True
        except (ConnectionError, EOFError):
            return bytes(self._data), False, False
        with contextlib.suppress(EOFError):
            while True:
                self._more()
        return bytes(self._data), True, False

    def _chunked(self) -> bytes:
        body = bytearray()
        while size := int(self._line().partition(b";")[0], 16):
            body += self._exactly(size)
            self._line()
        while self._line():
            pass
        return bytes(body)

    def _head(self) -> tuple[bytes, tuple[Header, ...]]:
        status = self._line()
        headers = []
        while line := self._line():
            name, _, value = line.partition(b":")
            headers.append((name, value.strip()))
        return status, tuple(headers)

    def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self._data[:end])
        del self._data[: end + 2]
        return line

    def _exactly(self, count: int) -> bytes:
        while len(self._data) < count:
            self._more()
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(256 * 1024)
        if not piece:
            raise EOFError
        self._data += piece

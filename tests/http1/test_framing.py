"""
Tests for :mod:`eliop2p.http1.framing`.
"""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import BadRequest, RemoteProtocolError
from eliop2p.http1.framing import (
    CHUNKED,
    MAX_CHUNK_LINE,
    MAX_TRAILERS,
    NO_BODY,
    UNTIL_CLOSE,
    ChunkedScanner,
    Framing,
    Kind,
    body_scanner,
    keep_alive,
    request_framing,
    response_framing,
)
from eliop2p.http1.message import Header, RequestHead, ResponseHead

chunks = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=50),
        st.sampled_from((b"", b";x", b';a="b"', b";chunk-signature=0123")),
        st.sampled_from((b"%x", b"%X", b"000%x")),
    ),
    max_size=6,
)
trailer_lists = st.lists(
    st.sampled_from((b"x-amz-checksum-crc32: AAAA", b"A:b", b"Long: " + b"y" * 300)),
    max_size=3,
)


def encode(parts: list[tuple[bytes, bytes, bytes]], trailers: list[bytes]) -> bytes:
    """
    Write a chunked body.
    """
    body = b"".join(
        form % len(data) + extension + b"\r\n" + data + b"\r\n"
        for data, extension, form in parts
    )
    return body + b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


_SIZE_LINE = re.compile(rb"([0-9a-fA-F]+)(;[^\r\n\0]*)?\r\n")
_TRAILERS = re.compile(rb"([!-9;-~]+:[^\r\n\0]*\r\n)*\r\n")


def slow_length(stream: bytes) -> int | None:
    """
    Find the end of a chunked body in a whole stream, the obvious way.

    Returns:
        Its length, None when the stream is no complete chunked body.
    """
    position = 0
    while line := _SIZE_LINE.match(stream, position):
        size = int(line[1], 16)
        position = line.end()
        if not size:
            trailers = _TRAILERS.match(stream, position)
            return trailers.end() if trailers else None
        position += size + 2
        if stream[position - 2 : position] != b"\r\n":
            return None
    return None


def scan_parts(stream: bytes, size: int) -> tuple[int, bool]:
    """
    Scan a stream in pieces of one size, up to the end of the body.
    """
    scanner = ChunkedScanner()
    total = 0
    for at in range(0, len(stream), size):
        part = stream[at : at + size]
        count = scanner.scan(part)
        total += count
        if count < len(part) or scanner.ended:
            break
    return total, scanner.ended


class ChunkedScannerTests(SynchronousTestCase):
    """
    A chunked body is followed to its last byte, without being decoded.
    """

    @given(chunks, trailer_lists, st.binary(max_size=20), st.integers(1, 40))
    def test_ends_where_it_ends(
        self,
        parts: list[tuple[bytes, bytes, bytes]],
        trailers: list[bytes],
        rest: bytes,
        size: int,
    ) -> None:
        """
        Extensions and trailers belong to the body, what follows does not, whatever
        the pieces.
        """
        body = encode(parts, trailers)
        self.assertEqual(slow_length(body + rest), len(body))
        self.assertEqual(scan_parts(body + rest, size), (len(body), True))
        self.assertEqual(scan_parts(body + rest, 10_000), (len(body), True))

    @given(chunks, trailer_lists, st.integers(0), st.integers(1, 40))
    def test_unfinished(
        self,
        parts: list[tuple[bytes, bytes, bytes]],
        trailers: list[bytes],
        cut: int,
        size: int,
    ) -> None:
        """
        A body that lacks its last bytes has not ended.
        """
        body = encode(parts, trailers)
        short = body[: cut % len(body)]
        self.assertEqual(scan_parts(short, size), (len(short), False))

    @given(
        st.lists(st.sampled_from((b"0", b"5", b"a", b"\r\n", b"\n", b";", b"xxxxx")))
    )
    def test_noise(self, parts: list[bytes]) -> None:
        """
        Whether damaged bytes are refused, complete or incomplete does not depend on
        how they are cut, and agrees with the slow way.
        """
        stream = b"".join(parts)
        outcomes = []
        for size in (1, 2, 7, 10_000):
            try:
                count, ended = scan_parts(stream, size)
                outcomes.append(count if ended else None)
            except RemoteProtocolError:
                outcomes.append(-1)
        self.assertEqual(len(set(outcomes)), 1, outcomes)
        if outcomes[0] != -1:
            self.assertEqual(slow_length(stream), outcomes[0])

    def test_large_chunk(self) -> None:
        """
        The payload of a chunk is counted, and not kept.
        """
        scanner = ChunkedScanner()
        scanner.scan(b"ffffffffff\r\n")
        piece = bytes(65536)
        for _ in range(100):
            self.assertEqual(scanner.scan(piece), len(piece))
        self.assertEqual(len(scanner._line), 0)

    def test_bounds(self) -> None:
        """
        Endless size lines and trailers are refused, and not collected.
        """
        for start, line, bound in (
            (b"", b"0" * 100, MAX_CHUNK_LINE),
            (b"5;", b"x" * 100, MAX_CHUNK_LINE),
            (b"0\r\n", b"a: b\r\n", MAX_TRAILERS),
            (b"0\r\n", b"a" * 100, MAX_TRAILERS),
        ):
            scanner = ChunkedScanner()
            scanner.scan(start)
            taken = 0
            with self.assertRaises(RemoteProtocolError):
                while taken <= bound:
                    taken += scanner.scan(line)
            self.assertLessEqual(len(scanner._line), bound)

    def test_hostile(self) -> None:
        """
        Sizes that others may read differently are refused.
        """
        for text in (
            b"\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b"1_0\r\n",
            b" 1\r\n",
            b"1 \r\n",
            b"1 ;x\r\n",
            b"g\r\n",
            b"1\n",
            b"1\r\r\n",
            b"1;\rx\r\n",
            b"11111111111111111\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"0\r\n folded\r\n",
            b"0\r\nno colon\r\n",
            b"0\r\nA : b\r\n",
        ):
            with self.assertRaises(RemoteProtocolError, msg=repr(text)):
                ChunkedScanner().scan(text)


def request(*headers: Header, version: bytes = b"HTTP/1.1") -> RequestHead:
    """
    Make a request.
    """
    return RequestHead(b"PUT", b"/", headers, version)


def response(
    status: int, *headers: Header, version: bytes = b"HTTP/1.1"
) -> ResponseHead:
    """
    Make a response.
    """
    return ResponseHead(status, b"", headers, version)


LENGTH_5 = (b"Content-Length", b"5")
TE_CHUNKED = (b"Transfer-Encoding", b"chunked")


class FramingTests(SynchronousTestCase):
    """
    The heads tell how bodies end.
    """

    def test_requests(self) -> None:
        """
        A request has a body only when it says so.
        """
        self.assertEqual(request_framing(request()), NO_BODY)
        self.assertEqual(request_framing(request(LENGTH_5)), Framing(Kind.LENGTH, 5))
        self.assertEqual(request_framing(request(TE_CHUNKED)), CHUNKED)

    def test_doubtful_request(self) -> None:
        """
        A request with two framings is refused.
        """
        with self.assertRaises(BadRequest):
            request_framing(request(LENGTH_5, TE_CHUNKED))

    def test_responses(self) -> None:
        """
        A response's body ends by method, status, coding, length, or with the
        connection, in this order.
        """
        for status in (100, 204, 304):
            self.assertEqual(
                response_framing(response(status, LENGTH_5), b"GET"), NO_BODY
            )
        self.assertEqual(response_framing(response(200, LENGTH_5), b"HEAD"), NO_BODY)
        self.assertEqual(response_framing(response(200, TE_CHUNKED), b"GET"), CHUNKED)
        self.assertEqual(
            response_framing(response(206, LENGTH_5), b"GET"), Framing(Kind.LENGTH, 5)
        )
        self.assertEqual(response_framing(response(200), b"GET"), UNTIL_CLOSE)
        gzip = (b"Transfer-Encoding", b"gzip")
        self.assertEqual(response_framing(response(200, gzip), b"GET"), UNTIL_CLOSE)

    def test_doubtful_responses(self) -> None:
        """
        A response whose framing is contradictory is refused.
        """
        for head in (
            response(200, LENGTH_5, TE_CHUNKED),
            response(200, LENGTH_5, (b"content-length", b"6")),
            response(200, (b"Content-Length", b"")),
            response(200, TE_CHUNKED, version=b"HTTP/1.0"),
            response(200, TE_CHUNKED, TE_CHUNKED),
        ):
            with self.assertRaises(RemoteProtocolError):
                response_framing(head, b"GET")

    def test_keep_alive(self) -> None:
        """
        HTTP/1.1 connections persist unless closed, HTTP/1.0 ones only when asked.
        """
        close = (b"connection", b"x, Close")
        keep = (b"Connection", b"Keep-Alive")
        self.assertTrue(keep_alive(request()))
        self.assertTrue(keep_alive(response(200)))
        self.assertFalse(keep_alive(response(200, close)))
        self.assertFalse(keep_alive(response(200, keep, close)))
        self.assertFalse(keep_alive(response(200, version=b"HTTP/1.0")))
        self.assertTrue(keep_alive(response(200, keep, version=b"HTTP/1.0")))

    def test_length(self) -> None:
        """
        A body of known length ends with its last byte.
        """
        scanner = body_scanner(Framing(Kind.LENGTH, 5))
        self.assertEqual(scanner.scan(b"abc"), 3)
        self.assertFalse(scanner.ended or scanner.ends_at_close)
        self.assertEqual(scanner.scan(b"defg"), 2)
        self.assertTrue(scanner.ended)

    def test_no_body(self) -> None:
        """
        Where there is no body, it has ended before its first byte.
        """
        scanner = body_scanner(NO_BODY)
        self.assertTrue(scanner.ended)
        self.assertEqual(scanner.scan(b"x"), 0)

    def test_until_close(self) -> None:
        """
        A body without framing goes on until the connection ends.
        """
        scanner = body_scanner(UNTIL_CLOSE)
        self.assertEqual(scanner.scan(b"abc"), 3)
        self.assertTrue(scanner.ends_at_close and not scanner.ended)
        self.assertIsInstance(body_scanner(CHUNKED), ChunkedScanner)

"""
Tests for :mod:`eliop2p.http1.parse`.
"""

import string
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import BadRequest, RemoteProtocolError
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.parse import (
    MAX_HEAD,
    MAX_HEADERS,
    RequestReader,
    ResponseReader,
)

_TOKEN = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

tokens = st.text(_TOKEN, min_size=1, max_size=12).map(str.encode)
targets = st.text(_VISIBLE + "\xe9", min_size=1, max_size=40).map(
    lambda text: text.encode("latin-1")
)
values = st.text(
    "".join(map(chr, (9, *range(0x20, 0x7F), *range(0x80, 0x100)))), max_size=40
).map(lambda text: text.encode("latin-1").strip(b" \t"))
_SPECIAL = frozenset((b"host", b"content-length", b"transfer-encoding"))
fields = st.lists(
    st.tuples(tokens.filter(lambda name: name.lower() not in _SPECIAL), values),
    max_size=8,
).map(tuple)
requests = st.builds(
    lambda method, target, headers, place: RequestHead(
        method,
        target,
        (*headers[:place], (b"hOsT", b"store:9000"), *headers[place:]),
    ),
    tokens,
    targets,
    fields,
    st.integers(0, 8),
)
responses = st.builds(
    ResponseHead,
    st.integers(100, 999),
    values,
    fields,
    st.sampled_from((b"HTTP/1.1", b"HTTP/1.0")),
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """
    Cut data at the given places.
    """
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[low:high] for low, high in pairwise(edges)]


def read_requests(parts: list[bytes]) -> tuple[list[RequestHead], bytes]:
    """
    Read heads that follow each other until the bytes end.
    """
    reader = RequestReader()
    heads = []
    for part in parts:
        data = part
        while (head := reader.feed(data)) is not None:
            heads.append(head)
            data = reader.take_rest()
    return heads, reader.take_rest()


class RequestReaderTests(SynchronousTestCase):
    """
    Requests are read as they are, or refused.
    """

    @given(requests)
    def test_round_trip(self, head: RequestHead) -> None:
        """
        A serialized head is read back with names, case, order and values.
        """
        self.assertEqual(RequestReader().feed(head.serialize()), head)

    @given(st.lists(requests, max_size=4), st.lists(st.integers(0), max_size=20))
    def test_any_cut(self, heads: list[RequestHead], cuts: list[int]) -> None:
        """
        However the stream is cut, the same heads come out of it.
        """
        stream = b"".join(head.serialize() for head in heads)
        self.assertEqual(read_requests(pieces(stream, cuts)), (heads, b""))

    @given(requests, st.integers(0, 2))
    def test_byte_by_byte(self, head: RequestHead, empty_lines: int) -> None:
        """
        A head that comes byte by byte, after up to two empty lines, is read.
        """
        stream = b"\r\n" * empty_lines + head.serialize()
        parts = [stream[at : at + 1] for at in range(len(stream))]
        self.assertEqual(read_requests(parts), ([head], b""))

    @given(requests, st.binary(max_size=64), st.integers(0))
    def test_rest(self, head: RequestHead, rest: bytes, cut: int) -> None:
        """
        What follows a head is kept, once.
        """
        reader = RequestReader()
        stream = head.serialize()
        first = cut % len(stream)
        self.assertIsNone(reader.feed(stream[:first]))
        self.assertEqual(reader.feed(stream[first:] + rest), head)
        self.assertEqual(reader.take_rest(), rest)
        self.assertEqual(reader.take_rest(), b"")

    @given(st.binary(max_size=200), st.lists(st.integers(0), max_size=10))
    def test_noise(self, noise: bytes, cuts: list[int]) -> None:
        """
        Arbitrary bytes give a head, a BadRequest or a wait, and nothing else; a head
        that comes whole is judged as one that comes in pieces.
        """
        stream = noise + b"\r\n\r\n"
        outcomes = []
        for parts in ([stream], pieces(stream, cuts)):
            try:
                outcomes.append(read_requests(parts)[0][:1])
            except BadRequest:
                outcomes.append([])
        self.assertEqual(outcomes[0], outcomes[1])

    def test_hostile(self) -> None:
        """
        What two servers could read differently is refused with status 400.
        """
        host = b"Host: h\r\n"
        line = b"GET / HTTP/1.1\r\n" + host
        for text in (
            b"GET / HTTP/1.1\nHost: h\n\n",
            b"GET / HTTP/1.1\r\nHost: h\n\r\n\r\n",
            line + b"A: b\nC: d\r\n",
            line + b"A: b\rC: d\r\n",
            line + b"A: b\0\r\n",
            line + b"A: b\r\n folded\r\n",
            line + b"A: b\r\n\tfolded\r\n",
            b"GET / HTTP/1.1\r\n Host: h\r\n",
            line + b"Content-Length : 3\r\n",
            line + b": empty\r\n",
            line + b"no colon\r\n",
            line + b"b\xe9d: x\r\n",
            line + b"a(b): x\r\n",
            line + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            line + b"Content-Length: 3\r\nContent-Length: 4\r\n",
            line + b"Content-Length: 3, 3\r\n",
            line + b"Content-Length: \r\n",
            line + b"Content-Length: -1\r\n",
            line + b"Content-Length: +5\r\n",
            line + b"Content-Length: 0x5\r\n",
            line + b"Content-Length: 1_0\r\n",
            line + b"Content-Length: \x0b5\r\n",
            line + b"Transfer-Encoding: identity\r\n",
            line + b"Transfer-Encoding: chunked, identity\r\n",
            line + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            line + b"Transfer-Encoding: chunked, chunked\r\n",
            line + b"Transfer-Encoding: xchunked\r\n",
            line + b"Transfer-Encoding: \x0bchunked\r\n",
            line + b"Transfer-Encoding: chunked;q=1\r\n",
            line + b"Transfer-Encoding: chunked,\r\n",
            line + b"Transfer-Encoding:\r\n",
            b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.0\r\n" + host + host,
            line + host,
            b"GET / HTTP/1.1\r\nHost: a b\r\n",
            b"GET / HTTP/1.1\r\nHost: a,b\r\n",
            b"GET / HTTP/1.1\r\nHost: u@h\r\n",
            b"GET /a b HTTP/1.1\r\n" + host,
            b"GET /a\x01 HTTP/1.1\r\n" + host,
            b"GET /a\x7f HTTP/1.1\r\n" + host,
            b"GET /\tHTTP/1.1\r\n" + host,
            b"GET  / HTTP/1.1\r\n" + host,
            b"GET  HTTP/1.1\r\n" + host,
            b"GET / http/1.1\r\n" + host,
            b"GET / HTTP/1.1 \r\n" + host,
            b"GET /\r\n" + host,
            b"G@T / HTTP/1.1\r\n" + host,
            b" GET / HTTP/1.1\r\n" + host,
            b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + host,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ):
            for parts in ([text + b"\r\n"], [bytes((c,)) for c in text + b"\r\n"]):
                with self.assertRaises(BadRequest, msg=repr(text)) as caught:
                    read_requests(parts)
                self.assertEqual(caught.exception.status, 400, text)

    def test_accepted(self) -> None:
        """
        Unusual heads that everybody reads alike pass.
        """
        line = b"PUT / HTTP/1.1\r\nHost: h\r\n"
        for text in (
            b"GET / HTTP/1.0\r\n",
            b"GET http://h:80/k?x=%20 HTTP/1.1\r\nHost:\r\n",
            b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n",
            line + b"Content-Length: 3\r\ncontent-length: 3\r\n",
            line + b"Transfer-Encoding: gzip, Chunked\r\n",
            line + b"Empty:\r\nX-Tab:\ta\tb \r\n",
        ):
            self.assertIsNotNone(RequestReader().feed(text + b"\r\n"), text)

    def test_other_versions(self) -> None:
        """
        HTTP/2 without negotiation is refused with status 505.
        """
        with self.assertRaises(BadRequest) as caught:
            RequestReader().feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assertEqual(caught.exception.status, 505)

    def test_early_refusal(self) -> None:
        """
        What cannot become a request is refused before its end has come.
        """
        for text in (b"\x16\x03\x01", b"GET / HTTP/1.1\nHost: h\n\n", b"\r\n\r\n\r\n"):
            with self.assertRaises(BadRequest, msg=repr(text)):
                RequestReader().feed(text)

    def test_longest_head(self) -> None:
        """
        A head of exactly the longest length passes; one byte more is status 431.
        """
        start = b"GET / HTTP/1.1\r\nHost: h\r\nA: "
        room = MAX_HEAD - len(start) - 4
        longest = start + b"x" * room + b"\r\n\r\n"
        self.assertIsNotNone(RequestReader().feed(longest))
        for size in (1, 3, 1000, MAX_HEAD * 2):
            with self.assertRaises(BadRequest) as caught:
                read_requests(
                    [
                        (start + b"x" * (room + 1) + b"\r\n\r\n")[at : at + size]
                        for at in range(0, MAX_HEAD + 1, size)
                    ]
                )
            self.assertEqual(caught.exception.status, 431)

    def test_endless_request_line(self) -> None:
        """
        A request line without end is status 414, and is not collected further.
        """
        reader = RequestReader()
        with self.assertRaises(BadRequest) as caught:
            for _ in range(MAX_HEAD):
                reader.feed(b"GGG")
        self.assertEqual(caught.exception.status, 414)
        self.assertLess(len(reader._buffer), MAX_HEAD + 4)

    def test_many_headers(self) -> None:
        """
        As many headers as allowed pass; one more is status 431.
        """
        start = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a:\r\n" * (MAX_HEADERS - 1)
        self.assertIsNotNone(RequestReader().feed(start + b"\r\n"))
        with self.assertRaises(BadRequest) as caught:
            RequestReader().feed(start + b"a:\r\n\r\n")
        self.assertEqual(caught.exception.status, 431)


class ResponseReaderTests(SynchronousTestCase):
    """
    Responses are read as they are, or refused.
    """

    @given(responses, st.binary(max_size=20), st.lists(st.integers(0), max_size=10))
    def test_round_trip(self, head: ResponseHead, rest: bytes, cuts: list[int]) -> None:
        """
        A serialized head is read back however it is cut, and the rest is kept.
        """
        reader = ResponseReader()
        read = None
        after = b""
        for part in pieces(head.serialize() + rest, cuts):
            if read is None:
                read = reader.feed(part)
                after = reader.take_rest()
            else:
                after += part
        self.assertEqual((read, after), (head, rest))

    def test_hostile(self) -> None:
        """
        What is no HTTP/1.1 response is refused.
        """
        for text in (
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 +20 OK\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"SSH-2.0-OpenSSH",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\nA: b\n\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * (MAX_HEADERS + 1) + b"\r\n",
            b"HTTP/1.1 200 " + b"x" * MAX_HEAD,
        ):
            with self.assertRaises(RemoteProtocolError, msg=repr(text[:40])) as caught:
                ResponseReader().feed(text)
            self.assertNotIsInstance(caught.exception, BadRequest)

    def test_without_reason(self) -> None:
        """
        A status line may lack the reason and the space before it.
        """
        head = ResponseReader().feed(b"HTTP/1.0 200\r\n\r\n")
        self.assertEqual(head, ResponseHead(200, b"", (), b"HTTP/1.0"))

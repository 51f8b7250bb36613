"""
Damaged messages, and what holds of them all the same.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.http1.head_properties import check

TOKENS = (
    b"GET /b/k?x=1 HTTP/1.1\r\n",
    b"PUT http://s3.test/b/k HTTP/1.0\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 304 \r\n",
    b"Host: a:80\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"content-length:\t0 \r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Connection: close, te\r\n",
    b"Authorization: AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host;range\r\n",
    b"x-amz-date: 20270115T080000Z\r\n",
    b"X: \xff\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nTrailer: x\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"hello",
)

pieces = st.lists(
    st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)), max_size=14
)
cuts = st.lists(st.integers(0, 1 << 16), max_size=8)


class FuzzTests(SynchronousTestCase):
    """
    Arbitrary sequences of what messages are made of; benchmarks.fuzz_heads looks
    further.
    """

    @given(pieces, cuts)
    def test_pieces(self, parts: list[bytes], where: list[int]) -> None:
        """
        Whatever comes is read or refused, never more; the same however it is cut; and
        what was read is read again by the next server as it was.
        """
        check(b"".join(parts), where)

    @given(st.sampled_from(TOKENS), st.integers(1, 9000), cuts)
    def test_long(self, token: bytes, times: int, where: list[int]) -> None:
        """
        However long it gets, little of it is held.
        """
        for start in (b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"):
            check(start + token * times, where)

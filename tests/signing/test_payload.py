"""
Tests for :mod:`eliop2p.signing.payload`, :mod:`eliop2p.signing.chunked` and
:mod:`eliop2p.signing.trailer`.
"""

import base64
import hashlib
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead
from eliop2p.signing.admission import admit, verifiers
from eliop2p.signing.aws import EMPTY_SHA256, V4, Scope
from eliop2p.signing.chunked import BodySignature, ChunkedBody
from eliop2p.signing.payload import BodyFilter, passage
from eliop2p.signing.refusal import Refused
from eliop2p.signing.resource import path_style
from tests.signing.v4_case import AKID, DATE, NOW, SECRET, authorization, client

SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = (
    (65536, b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
"""
The example of AWS's "Signature Calculations for the Authorization Header: Transferring
Payload in Multiple Chunks": 66,560 times the letter a.
"""


def example() -> bytes:
    """
    Encode the example's body.
    """
    return b"".join(
        b"%x;chunk-signature=%s\r\n%s\r\n" % (size, signature, b"a" * size)
        for size, signature in CHUNKS
    )


def example_head() -> RequestHead:
    """
    Make the example's request.
    """
    return RequestHead(
        b"PUT",
        b"/examplebucket/chunkObject.txt",
        (
            (b"Host", b"s3.amazonaws.com"),
            (b"x-amz-date", DATE.encode()),
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
            authorization(
                SEED,
                "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
                "x-amz-decoded-content-length;x-amz-storage-class",
            ),
            (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            (b"Content-Encoding", b"aws-chunked"),
            (b"x-amz-decoded-content-length", b"66560"),
            (b"Content-Length", b"66824"),
        ),
    )


def key() -> V4:
    """
    Make the example's key.
    """
    return V4(Secret(SECRET), Scope(DATE, "us-east-1"))


def run(through: BodyFilter, data: bytes, step: int = 0) -> bytes:
    """
    Pass a body through.
    """
    pieces = (
        [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    )
    return b"".join(map(through.feed, pieces)) + through.close()


class ExampleTests(SynchronousTestCase):
    """
    The example of AWS's documentation, from the head to the last chunk.
    """

    def through(self) -> BodyFilter:
        """
        Let the request in.
        """
        head = example_head()
        verify = verifiers("s3", "us-east-1")
        known = {AKID: client()}
        found = admit(head, path_style(head.target), known, NOW, verify)
        way = passage(found.head, found.proof.payload, found.proof.chunks, True)
        names = {name.lower(): value for name, value in way.head.headers}
        self.assertEqual(names[b"content-length"], b"66560")
        self.assertEqual(names[b"x-amz-content-sha256"], b"UNSIGNED-PAYLOAD")
        self.assertNotIn(b"content-encoding", names)
        self.assertNotIn(b"x-amz-decoded-content-length", names)
        assert way.body is not None
        return way.body

    def test_whole(self) -> None:
        """
        The data come out, wherever the network has cut them.
        """
        for step in (0, 1, 7, 4096, 65536):
            self.assertEqual(run(self.through(), example(), step), b"a" * 66560)

    def test_tampered(self) -> None:
        """
        A byte changed in data or signature, a chunk left out, swapped or moved to
        another length spoil the body.
        """
        body = example()
        second = body.index(b"400;")
        for changed, code in (
            (body.replace(b"aaa", b"aba", 1), "SignatureDoesNotMatch"),
            (body.replace(b"ad80", b"ad81"), "SignatureDoesNotMatch"),
            (body.replace(b"b6c6", b"b6c7"), "SignatureDoesNotMatch"),
            (body[:second] + body[body.index(b"0;chunk") :], "SignatureDoesNotMatch"),
            (body[second:], "SignatureDoesNotMatch"),
            (body[:-10], "IncompleteBody"),
            (body + b"x", "IncompleteBody"),
            (body.replace(b"400;", b"401;"), "IncompleteBody"),
            (b"xyz" + body, "IncompleteBody"),
            (b"0" * 2000, "IncompleteBody"),
        ):
            with self.assertRaises(Refused) as caught:
                run(self.through(), changed, 1000)
            self.assertEqual(caught.exception.code, code)


def chunked(data: bytes, key: V4, seed: str, size: int, *, last: bool = True) -> bytes:
    """
    Encode a body in signed chunks, as clients do.

    Args:
        data: The body.
        key: What signs.
        seed: The signature of the request.
        size: Bytes in each chunk.
        last: Whether nothing follows the empty chunk.
    """
    scope, previous, out = key.scope, seed, b""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    for piece in (*pieces, b""):
        digest = hashlib.sha256(piece).hexdigest()
        parts = ("AWS4-HMAC-SHA256-PAYLOAD", scope.timestamp, scope.text, previous)
        previous = key.sign("\n".join((*parts, EMPTY_SHA256, digest)))
        out += b"%x;chunk-signature=%s\r\n" % (len(piece), previous.encode())
        out += piece + b"\r\n" if piece or last else b""
    return out


def trailed(data: bytes, key: V4, seed: str, size: int) -> bytes:
    """
    Encode a body with signed chunks and a signed trailer, as clients do.
    """
    scope, body = key.scope, chunked(data, key, seed, size, last=False)
    previous = body.rpartition(b"chunk-signature=")[2].strip().decode()
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big"))
    line = b"x-amz-checksum-crc32:" + crc
    digest = hashlib.sha256(line + b"\n").hexdigest()
    parts = ("AWS4-HMAC-SHA256-TRAILER", scope.timestamp, scope.text, previous)
    signature = key.sign("\n".join((*parts, digest))).encode()
    return body + line + b"\r\nx-amz-trailer-signature:" + signature + b"\r\n\r\n"


def head_with_trailer(
    length: int, trailer: bytes = b"x-amz-checksum-crc32"
) -> RequestHead:
    """
    Make the bare head of such an upload.
    """
    return RequestHead(
        b"PUT",
        b"/b/k",
        (
            (b"Content-Length", b"1"),
            (b"Content-Encoding", b"gzip, aws-chunked"),
            (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            (b"x-amz-decoded-content-length", b"%d" % length),
            (b"x-amz-trailer", trailer),
        ),
    )


class TrailerTests(SynchronousTestCase):
    """
    Signed trailers become unsigned ones, so that the store has the checksum.
    """

    @given(st.binary(max_size=200_000), st.integers(1, 70_000), st.integers(1, 9_000))
    @settings(max_examples=40)
    def test_encoded(self, data: bytes, size: int, step: int) -> None:
        """
        What comes out is as long as the head says, holds the same data and trailer, and
        has no signatures.
        """
        signature = BodySignature(key(), SEED, trailer=True)
        way = passage(head_with_trailer(len(data)), None, signature, True)
        assert way.body is not None
        out = run(way.body, trailed(data, key(), SEED, size), step)
        self.assertEqual(way.head.get(b"content-length"), b"%d" % len(out))
        said = way.head.get(b"x-amz-content-sha256")
        self.assertEqual(said, b"STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        self.assertEqual(way.head.get(b"content-encoding"), b"gzip, aws-chunked")
        again = ChunkedBody(None, len(data))
        self.assertEqual(again.feed(out), data)
        again.close()
        crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big"))
        self.assertEqual(again.trailers, [(b"x-amz-checksum-crc32", crc)])

    def test_tampered(self) -> None:
        """
        A trailer that is changed, or not signed, or not announced spoils the body.
        """
        body = trailed(b"data", key(), SEED, 10)
        line = body.index(b"x-amz-checksum")
        signature = body.index(b"x-amz-trailer-signature")
        for changed, code in (
            (
                body[:line] + b"x-amz-checksum-crc32:AAAAAA==\r\n" + body[signature:],
                "S",
            ),
            (body[:signature] + b"\r\n", "S"),
            (body[:line] + body[signature:], "S"),
            (body[:line] + b"broken\r\n\r\n", "I"),
        ):
            chunks = BodySignature(key(), SEED, trailer=True)
            way = passage(head_with_trailer(4), None, chunks, True)
            assert way.body is not None
            with self.assertRaises(Refused) as caught:
                run(way.body, changed)
            self.assertTrue(caught.exception.code.startswith(code), changed)

    def test_announced(self) -> None:
        """
        The trailers that come must be those that were announced, and of a kind whose
        length is known.
        """
        chunks = BodySignature(key(), SEED, trailer=True)
        other = head_with_trailer(4, b"x-amz-checksum-sha1")
        way = passage(other, None, chunks, True)
        assert way.body is not None
        with self.assertRaises(Refused) as caught:
            run(way.body, trailed(b"data", key(), SEED, 10))
        self.assertEqual(caught.exception.code, "InvalidRequest")
        with self.assertRaises(Refused) as caught:
            passage(head_with_trailer(4, b"x-amz-checksum-xyz"), None, chunks, True)
        self.assertEqual(caught.exception.code, "InvalidRequest")


class PlainTests(SynchronousTestCase):
    """
    Bodies in one piece.
    """

    def head(self, *headers: tuple[bytes, bytes]) -> RequestHead:
        """
        Make an upload.
        """
        return RequestHead(b"PUT", b"/b/k", headers)

    def test_hash(self) -> None:
        """
        A signed hash must be that of the body.
        """
        digest = hashlib.sha256(b"data").hexdigest()
        for body, right in ((b"data", True), (b"dato", False)):
            way = passage(self.head((b"Content-Length", b"4")), digest, None, True)
            assert way.body is not None
            if right:
                self.assertEqual(run(way.body, body, 3), body)
                continue
            with self.assertRaises(Refused) as caught:
                run(way.body, body, 3)
            self.assertEqual(caught.exception.code, "XAmzContentSHA256Mismatch")

    def test_no_body(self) -> None:
        """
        Without a body the hash is that of nothing.
        """
        self.assertIsNone(passage(self.head(), EMPTY_SHA256, None, False).body)
        with self.assertRaises(Refused) as caught:
            passage(self.head(), "0" * 64, None, False)
        self.assertEqual(caught.exception.code, "XAmzContentSHA256Mismatch")

    def test_no_length(self) -> None:
        """
        A body whose end is not known beforehand cannot have been signed.
        """
        chunked = self.head((b"Transfer-Encoding", b"chunked"))
        signed = self.head(
            (b"Transfer-Encoding", b"chunked"),
            (b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        )
        for head, payload in ((chunked, "0" * 64), (signed, None)):
            with self.assertRaises(Refused) as caught:
                passage(head, payload, None, True)
            self.assertEqual(caught.exception.code, "MissingContentLength")
            self.assertEqual(caught.exception.status, 411)

    def test_unsigned(self) -> None:
        """
        What was not signed goes on as it is, unsigned trailers included.
        """
        for said in (b"UNSIGNED-PAYLOAD", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
            head = self.head((b"x-amz-content-sha256", said))
            way = passage(head, None, None, True)
            self.assertEqual((way.head, way.body), (head, None))

"""
Requests that change something, before they are signed.
"""

import base64
import hashlib
import random
from collections.abc import Callable
from urllib.parse import quote

from tests.functional.fidelity.wire import Header, Sent

READS = "fidelity-reads"
WRITES = "fidelity-writes"


def path_of(bucket: str, key: str = "") -> bytes:
    """
    Write a path as SDKs do.
    """
    return (
        f"/{bucket}/{quote(key, safe='/~-_.')}".encode()
        if key
        else b"/" + (bucket.encode())
    )


Write = Callable[[bytes, bytes, random.Random], Sent]


def _length(body: bytes) -> Header:
    return b"Content-Length", b"%d" % len(body)


def _put(path: bytes, body: bytes, rng: random.Random) -> Sent:
    headers = rng.sample(
        (
            (b"Content-Type", b"application/x-thing"),
            (b"x-amz-meta-one", b"1"),
            (b"Content-MD5", base64.b64encode(hashlib.md5(body).digest())),
            (b"Cache-Control", b"no-store"),
            (b"Content-MD5", b"AAAAAAAAAAAAAAAAAAAAAA=="),
        ),
        rng.randrange(3),
    )
    if sum(name == b"Content-MD5" for name, _ in headers) > 1:
        headers = headers[:1]
    return Sent(b"PUT", path, (*headers, _length(body)), body)


def _expecting(path: bytes, body: bytes, rng: random.Random) -> Sent:
    headers = ((b"Expect", b"100-continue"), _length(body))
    return Sent(b"PUT", path, headers, body, expects=True)


def _framed(path: bytes, body: bytes, rng: random.Random) -> Sent:
    framed = bytearray()
    at = 0
    while at < len(body):
        size = rng.choice((1, 100, 65536))
        piece = body[at : at + size] if len(body) - at < 200_000 else body[at:]
        framed += b"%x\r\n%s\r\n" % (len(piece), piece)
        at += len(piece)
    headers = ((b"Transfer-Encoding", b"chunked"),)
    return Sent(b"PUT", path, headers, bytes(framed) + b"0\r\n\r\n")


def _delete(path: bytes, body: bytes, rng: random.Random) -> Sent:
    return Sent(b"DELETE", path, ())


def _copy(path: bytes, body: bytes, rng: random.Random) -> Sent:
    source = rng.choice((path_of(READS, "plain"), path, b"/no-such-bucket/x"))
    headers: tuple[Header, ...] = ((b"x-amz-copy-source", source), _length(b""))
    if source == path:
        replace = (b"x-amz-metadata-directive", b"REPLACE")
        headers = (replace, (b"x-amz-meta-new", b"2"), *headers)
    return Sent(b"PUT", path, headers)


def _begin(path: bytes, body: bytes, rng: random.Random) -> Sent:
    return Sent(b"POST", path + b"?uploads", (_length(b""),))


def _multi_delete(path: bytes, body: bytes, rng: random.Random) -> Sent:
    text = b"<Delete><Object><Key>gone</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(text).digest())
    target = b"/%s?delete" % WRITES.encode()
    return Sent(b"POST", target, ((b"Content-MD5", digest), _length(text)), text)


def _chunks(path: bytes, body: bytes, rng: random.Random) -> Sent:
    return Sent(b"PUT", path, ())


KINDS: dict[str, Write] = {
    "put": _put,
    "expecting": _expecting,
    "framed": _framed,
    "delete": _delete,
    "copy": _copy,
    "begin": _begin,
    "multi-delete": _multi_delete,
    "chunks": _chunks,
}
"""
Makes each kind of write from a path, a body and chance.
"""

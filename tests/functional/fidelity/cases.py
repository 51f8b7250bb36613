"""
Requests made up from a seed: what clients send, and what they should not.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import attrs

from tests.functional.fidelity import signing
from tests.functional.fidelity.wire import Header, Sent
from tests.functional.fidelity.writes import KINDS, READS, WRITES, path_of
from tests.functional.stores.store import Credentials, RealStore

MIB = 1024 * 1024

KEYS = (
    *("plain", "a b", "a+b", "a//b", "a/../b", "./x", "folder/", "deep/er/and/deeper"),
    *("ünïcode-日本", "a?b", "a#b", "a&b=c", "a;b", "~t'(!)*", "100%", "a%2Fb", "q=1"),
    *("back\\slash", "semi:colon@x", "x" * 200),
)
SIZES = (
    *(0, 1, 10, 1000, 4096, 65536, 100_001),
    *(MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 500_000, 3 * MIB + 7),
)


@attrs.frozen
class Stored:
    """
    An object that the reads find.

    Attributes:
        key: Its key.
        body: Its content.
        headers: What it was put with.
    """

    key: str
    body: bytes
    headers: tuple[Header, ...]

    @property
    def etag(self) -> bytes:
        """
        The ETag of an object put in one go.
        """
        return hashlib.md5(self.body).hexdigest().encode()


def objects() -> tuple[Stored, ...]:
    """
    Make up the objects.
    """
    rng = random.Random(4)
    extra: tuple[tuple[Header, ...], ...] = (
        (),
        ((b"Content-Type", b"text/plain; charset=utf-8"), (b"x-amz-meta-k", b"v  w")),
        ((b"Cache-Control", b"max-age=60"), (b"Content-Language", b"de")),
        (
            (b"Content-Disposition", b'attachment; filename="a b"'),
            (b"x-amz-meta-Mixed-Case", b"1"),
            (b"Expires", b"Thu, 01 Dec 2033 16:00:00 GMT"),
        ),
        ((b"Content-Encoding", b"gzip"), (b"Content-Type", b"application/x-odd")),
    )
    return tuple(
        Stored(key, rng.randbytes(SIZES[at % len(SIZES)]), extra[at % len(extra)])
        for at, key in enumerate(KEYS)
    )


@attrs.frozen
class Case:
    """
    One request, not signed yet.

    Attributes:
        seed: What it was made from.
        name: What it is about.
        sent: The request without signature and Host.
        payload: The body before framing, hashed where that is signed.
        auth: How it is signed.
        signs_more: Whether Range and conditions are signed, too.
        resets: The key in the writes' bucket that must be as at first before it.
        reads: The key in the reads' bucket that it is about.
    """

    seed: int
    name: str
    sent: Sent
    auth: str
    payload: bytes = b""
    signs_more: bool = True
    resets: str = ""
    reads: str = ""


@attrs.frozen
class Signer:
    """
    Signs cases for one store.

    Attributes:
        store: The store.
        host: What Host says.
    """

    store: RealStore
    host: bytes

    def sign(self, case: Case, now: datetime) -> Sent:
        """
        Sign a case for this moment.
        """
        sent = attrs.evolve(
            case.sent, headers=((b"Host", self.host), *case.sent.headers)
        )
        who = self.store.alice
        if case.auth == "bob":
            who = self.store.bob
        elif case.auth == "wrong":
            who = Credentials(who.access_key, "not-the-secret-of-anybody")
        elif case.auth == "unknown":
            who = Credentials("NOBODY00000000000000", "secret")
        return self._signed(case, sent, who, now)

    def _signed(self, case: Case, sent: Sent, who: Credentials, now: datetime) -> Sent:
        if case.auth == "anonymous":
            return sent
        if case.auth == "chunks":
            return signing.aws_chunked(case.payload, sent, who, now)
        if case.auth in _SCHEMES:
            return _SCHEMES[case.auth](sent, who, now)
        if case.auth == "v4 old":
            now -= timedelta(minutes=20)
        payload = hashlib.sha256(case.payload).hexdigest().encode()
        if case.auth == "v4 unsigned":
            payload = signing.UNSIGNED
        also = _SIGNED_TOO if case.signs_more else frozenset()
        return signing.v4_header(sent, who, now, payload, also)


_HOUR = timedelta(hours=1)
_SCHEMES: dict[str, Callable[[Sent, Credentials, datetime], Sent]] = {
    "v4 url": lambda sent, who, now: signing.v4_url(sent, who, now, 600),
    "v4 url expired": lambda sent, who, now: signing.v4_url(sent, who, now - _HOUR, 60),
    "v2": signing.v2_header,
    "v2 url": lambda sent, who, now: signing.v2_url(sent, who, now, 600),
}

_SIGNED_TOO = frozenset(
    (
        *(b"range", b"if-match", b"if-none-match", b"if-modified-since"),
        *(b"if-unmodified-since", b"content-type", b"accept-encoding"),
    )
)

READ_AUTHS = (
    *("v4", "v4", "v4", "v4", "v4 unsigned", "v4 unsigned", "v4 url", "v4 url"),
    *("v4 url", "v2", "v2", "v2", "v2 url", "v2 url"),
    *("anonymous", "wrong", "bob", "unknown", "v4 old", "v4 url expired"),
)
"""
How reads are signed, the usual ways more often.
"""

HEADER_AUTHS = (*("v4",) * 4, *("v4 unsigned",) * 4, "wrong", "anonymous")
"""
What moto can check without falling over.
"""

WRITE_AUTHS = ("v4", "v4", "v4 unsigned", "v2", "wrong", "bob", "anonymous")


class Maker:
    """
    Makes cases for a store.
    """

    def __init__(self, stored: Sequence[Stored], *, header_only: bool) -> None:
        """
        Args:
            stored: The objects that are there.
            header_only: Whether the store checks version 4 in headers only.
        """
        self._stored = stored
        self._read_auths = HEADER_AUTHS if header_only else READ_AUTHS
        self._write_auths = HEADER_AUTHS if header_only else WRITE_AUTHS
        self._header_only = header_only

    def make(self, seed: int) -> Case:
        """
        Make the case of a seed.
        """
        rng = random.Random(seed)
        kinds: tuple[Callable[[int, random.Random], Case], ...] = (
            *((self._read,) * 12),
            *((self._question,) * 3),
            *((self._write,) * 4),
        )
        return rng.choice(kinds)(seed, rng)

    def _read(self, seed: int, rng: random.Random) -> Case:
        stored = rng.choice(self._stored)
        headers: list[Header] = []
        names = []
        for chance, make in (
            (0.4, _range),
            (0.2, _condition),
            (0.3, _oddity),
        ):
            if rng.random() < chance:
                header = make(rng, stored)
                headers.append(header)
                names.append(b"%s: %s" % header)
        method = rng.choice((b"GET",) * 6 + (b"HEAD",))
        target = path_of(READS, stored.key)
        query = b""
        if rng.random() < 0.15:
            query = rng.choice(_READ_QUERIES)
        if rng.random() < 0.06:
            target += b"-absent"
        if rng.random() < 0.04:
            target = _respell(target)
        if query:
            target += b"?" + query
        rng.shuffle(headers)
        auth = rng.choice(self._read_auths)
        shown = b" ".join((method, target[:80], *names)).decode("latin-1")
        return Case(
            seed,
            f"{shown} ({auth})",
            Sent(method, target, tuple(headers)),
            auth,
            signs_more=rng.random() < 0.5,
            reads=stored.key,
        )

    def _question(self, seed: int, rng: random.Random) -> Case:
        """
        Ask about a bucket, or something of an object that is not its content.
        """
        method, target = rng.choice(_QUESTIONS)
        stored = rng.choice(self._stored)
        target = target.replace(b"KEY", path_of(READS, stored.key))
        target = target.replace(b"BUCKET", b"/" + READS.encode())
        headers: tuple[Header, ...] = ()
        if method == b"OPTIONS":
            headers = (
                (b"Origin", b"http://page.example"),
                (b"Access-Control-Request-Method", b"GET"),
            )
        auth = rng.choice(self._read_auths)
        name = f"{method.decode()} {target[:80].decode()} ({auth})"
        return Case(seed, name, Sent(method, target, headers), auth)

    def _write(self, seed: int, rng: random.Random) -> Case:
        key = rng.choice(KEYS)
        body = rng.randbytes(rng.choice((0, 1, 1000, 70_000, MIB + 3)))
        kind = rng.choice(tuple(KINDS))
        auth = rng.choice(self._write_auths)
        if kind == "chunks":
            auth = "chunks"
        elif kind == "framed":
            auth = "v4 unsigned" if auth == "v4" else auth
        made = KINDS[kind](path_of(WRITES, key), body, rng)
        payload = made.body if kind in {"multi-delete", "tag", "acl"} else body
        if kind in {"delete", "copy", "begin"}:
            payload = b""
        return Case(
            seed,
            f"{kind} {key[:40]} {len(body)} bytes ({auth})",
            made,
            auth,
            payload=payload,
            resets=key,
        )


def _range(rng: random.Random, stored: Stored) -> Header:
    size = len(stored.body)
    edges = (0, 1, size // 2, max(size - 1, 0), size, size + 10, MIB - 1, MIB, MIB + 1)
    first, last = rng.choice(edges), rng.choice(edges)
    text = rng.choice(
        (
            *(f"bytes={min(first, last)}-{max(first, last)}",) * 5,
            *(f"bytes={first}-",) * 2,
            *(f"bytes=-{last}",) * 2,
            *(f"bytes={first}-{last}", "bytes=0-0,2-3", "bytes=5-2"),
            *("items=0-1", "bytes=", "abc", "bytes= 0-9", "bytes=-0", "BYTES=0-9"),
        )
    )
    name = rng.choice((b"Range", b"Range", b"range"))
    return name, text.encode()


def _condition(rng: random.Random, stored: Stored) -> Header:
    etag = rng.choice(
        (b'"%s"' % stored.etag, stored.etag, b'"0123456789"', b"*", b'W/"x"')
    )
    date = rng.choice(
        (b"Thu, 01 Jan 2015 00:00:00 GMT", b"Fri, 01 Jan 2077 00:00:00 GMT", b"never")
    )
    return rng.choice(
        (
            *((b"If-Match", etag), (b"If-None-Match", etag)) * 2,
            (b"If-Modified-Since", date),
            (b"If-Unmodified-Since", date),
            (b"If-Range", etag),
        )
    )


def _oddity(rng: random.Random, stored: Stored) -> Header:
    return rng.choice(
        (
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"User-Agent", b"odd/1.0 (  two  spaces )"),
            (b"aCCept", b"*/*"),
            (b"x-amz-checksum-mode", b"ENABLED"),
            (b"x-amz-request-payer", b"requester"),
            (b"Cache-Control", b"no-cache"),
            (b"Origin", b"http://page.example"),
            (b"Connection", b"keep-alive"),
            (b"Content-Length", b"0"),
            (b"Content-Type", b""),
        )
    )


def _respell(target: bytes) -> bytes:
    """
    Write the same path in another way; stores differ in whether they take it.
    """
    return target.replace(b"a", b"%61", 1).replace(b"l", b"%6c", 1)


_READ_QUERIES = (
    *(b"x-id=GetObject", b"x-id=Other", b"partNumber=1", b"partNumber=2"),
    *(b"versionId=null", b"versionId=bogus", b"versionId=", b"unknown=1", b"acl"),
    *(b"response-content-type=text%2Fx", b"response-cache-control=no-cache"),
    *(b"tagging", b"torrent", b"", b"&", b"uploads"),
)

_QUESTIONS = (
    *((b"GET", b"BUCKET"), (b"HEAD", b"BUCKET"), (b"GET", b"BUCKET/"), (b"GET", b"/")),
    *((b"GET", b"BUCKET?list-type=2"), (b"GET", b"BUCKET?list-type=2&max-keys=3")),
    *((b"GET", b"BUCKET?prefix=a&delimiter=%2F"), (b"GET", b"BUCKET?location")),
    *((b"GET", b"BUCKET?acl"), (b"GET", b"BUCKET?versioning"), (b"GET", b"KEY?acl")),
    *((b"GET", b"BUCKET?policy"), (b"GET", b"BUCKET?uploads"), (b"HEAD", b"KEY")),
    *((b"GET", b"/no-such-bucket-here/k"), (b"OPTIONS", b"KEY"), (b"PATCH", b"KEY")),
    *((b"GET", b"BUCKET?cors"), (b"GET", b"BUCKET?nonsense=1"), (b"GET", b"//x/y")),
)

"""
Signatures of AWS, versions 2 and 4, in headers and in URLs, for requests as they are.

Nothing is normalised on the way, so that odd requests can be signed as they are sent.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

import attrs

from tests.functional.fidelity.wire import Header, Sent
from tests.functional.stores.store import REGION, Credentials

EMPTY = hashlib.sha256(b"").hexdigest().encode()
UNSIGNED = b"UNSIGNED-PAYLOAD"
STREAMING = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

_ALGORITHM = b"AWS4-HMAC-SHA256"
_V2_SUBRESOURCES = frozenset(
    (
        *("acl", "cors", "delete", "lifecycle", "location", "logging", "partNumber"),
        *("policy", "requestPayment", "tagging", "torrent", "uploadId", "uploads"),
        *("versionId", "versioning", "versions", "website"),
        *("response-content-type", "response-cache-control"),
    )
)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


@attrs.frozen
class V4:
    """
    A signer, version 4, at one moment.
    """

    who: Credentials
    now: datetime

    @property
    def date(self) -> bytes:
        """
        The moment as ``X-Amz-Date`` says it.
        """
        return self.now.strftime("%Y%m%dT%H%M%SZ").encode()

    @property
    def scope(self) -> bytes:
        """
        The scope of the credentials.
        """
        return b"%s/%s/s3/aws4_request" % (self.date[:8], REGION.encode())

    def key(self) -> bytes:
        """
        Derive the signing key.
        """
        key = b"AWS4" + self.who.secret_key.encode()
        for part in self.scope.split(b"/"):
            key = _mac(key, part)
        return key

    def signature(self, sent: Sent, names: list[bytes], payload: bytes) -> bytes:
        """
        Sign the headers named, and a payload's hash.
        """
        path, _, query = sent.target.partition(b"?")
        pairs = sorted(
            pair if b"=" in pair else pair + b"=" for pair in query.split(b"&") if pair
        )
        values = {name.lower(): b" ".join(v.split()) for name, v in sent.headers}
        lines = b"".join(b"%s:%s\n" % (name, values[name]) for name in names)
        canonical = b"\n".join(
            (sent.method, path, b"&".join(pairs), lines, b";".join(names), payload)
        )
        digest = hashlib.sha256(canonical).hexdigest().encode()
        text = b"\n".join((_ALGORITHM, self.date, self.scope, digest))
        return _mac(self.key(), text).hex().encode()


def v4_header(
    sent: Sent, who: Credentials, now: datetime, payload: bytes, also: frozenset[bytes]
) -> Sent:
    """
    Sign in the Authorization header.

    Args:
        sent: What to sign.
        who: As whom.
        now: When.
        payload: The hash of the body, or the word that stands for it.
        also: Headers to sign besides Host and those of Amazon, in lower case.
    """
    signer = V4(who, now)
    headers = (
        *sent.headers,
        (b"X-Amz-Content-SHA256", payload),
        (b"X-Amz-Date", signer.date),
    )
    sent = attrs.evolve(sent, headers=headers)
    present = {name.lower() for name, _ in headers}
    names = sorted(
        name
        for name in present
        if name == b"host" or name.startswith(b"x-amz-") or name in also
    )
    value = b"%s Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        _ALGORITHM,
        who.access_key.encode(),
        signer.scope,
        b";".join(names),
        signer.signature(sent, names, payload),
    )
    return attrs.evolve(sent, headers=(*headers, (b"Authorization", value)))


def v4_url(sent: Sent, who: Credentials, now: datetime, life: int) -> Sent:
    """
    Sign in the query; headers of Amazon are signed, too.
    """
    signer = V4(who, now)
    present = {name.lower() for name, _ in sent.headers}
    names = sorted(
        name for name in present if name == b"host" or name.startswith(b"x-amz-")
    )
    credential = f"{who.access_key}/{signer.scope.decode()}"
    added = (
        b"X-Amz-Algorithm=%s&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%d"
        b"&X-Amz-SignedHeaders=%s"
    ) % (
        _ALGORITHM,
        quote(credential, safe="").encode(),
        signer.date,
        life,
        quote(b";".join(names), safe="").encode(),
    )
    sent = _with_query(sent, added)
    signature = signer.signature(sent, names, UNSIGNED)
    return _with_query(sent, b"X-Amz-Signature=" + signature)


def _with_query(sent: Sent, added: bytes) -> Sent:
    mark = b"&" if b"?" in sent.target else b"?"
    return attrs.evolve(sent, target=sent.target + mark + added)


def _v2_signature(sent: Sent, who: Credentials, date: bytes) -> bytes:
    values = {name.lower(): value.strip() for name, value in sent.headers}
    amazon = b"".join(
        b"%s:%s\n" % (name, value)
        for name, value in sorted(values.items())
        if name.startswith(b"x-amz-")
    )
    path, _, query = sent.target.partition(b"?")
    parts = sorted(
        pair
        for pair in query.split(b"&")
        if pair.partition(b"=")[0].decode() in _V2_SUBRESOURCES
    )
    resource = path + (b"?" + b"&".join(parts) if parts else b"")
    text = b"\n".join(
        (
            sent.method,
            values.get(b"content-md5", b""),
            values.get(b"content-type", b""),
            date,
            amazon + resource,
        )
    )
    made = hmac.new(who.secret_key.encode(), text, hashlib.sha1).digest()
    return base64.b64encode(made)


def v2_header(sent: Sent, who: Credentials, now: datetime) -> Sent:
    """
    Sign in the Authorization header, version 2.
    """
    date = format_datetime(now.astimezone(UTC), usegmt=True).encode()
    sent = attrs.evolve(sent, headers=(*sent.headers, (b"Date", date)))
    value = b"AWS %s:%s" % (who.access_key.encode(), _v2_signature(sent, who, date))
    return attrs.evolve(sent, headers=(*sent.headers, (b"Authorization", value)))


def v2_url(sent: Sent, who: Credentials, now: datetime, life: int) -> Sent:
    """
    Sign in the query, version 2.
    """
    expires = b"%d" % (int(now.timestamp()) + life)
    signature = quote(_v2_signature(sent, who, expires), safe="").encode()
    key = quote(who.access_key, safe="").encode()
    added = b"AWSAccessKeyId=%s&Expires=%s&Signature=%s" % (key, expires, signature)
    return _with_query(sent, added)


def aws_chunked(body: bytes, sent: Sent, who: Credentials, now: datetime) -> Sent:
    """
    Sign an upload chunk by chunk; its body is cut into pieces of 64 KiB.
    """
    signer = V4(who, now)
    headers: tuple[Header, ...] = (
        *sent.headers,
        (b"Content-Encoding", b"aws-chunked"),
        (b"x-amz-decoded-content-length", b"%d" % len(body)),
    )
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)] + [b""]
    length = sum(len(piece) + len(b"%x" % len(piece)) + 81 + 4 for piece in pieces)
    headers = (*headers, (b"Content-Length", b"%d" % length))
    signed = v4_header(
        attrs.evolve(sent, headers=headers), who, now, STREAMING, frozenset()
    )
    previous = signed.headers[-1][1].rpartition(b"=")[2]
    framed = bytearray()
    for piece in pieces:
        text = b"\n".join(
            (
                *(b"AWS4-HMAC-SHA256-PAYLOAD", signer.date, signer.scope, previous),
                *(EMPTY, hashlib.sha256(piece).hexdigest().encode()),
            )
        )
        previous = _mac(signer.key(), text).hex().encode()
        framed += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), previous, piece)
    return attrs.evolve(signed, body=bytes(framed))

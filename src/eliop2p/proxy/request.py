"""
What an HTTP request asks for, decided from its head alone.

The table is that of what origins agree on: whatever they treat differently from each
other, and whatever is not a plain read of an object, is relayed as it came.
"""

import hashlib
from urllib.parse import unquote_to_bytes

import attrs

from eliop2p.http1.message import HOP_BY_HOP, RequestHead
from eliop2p.http1.signature import signed_headers
from eliop2p.model.chunk import ObjectId, ObjectKey
from eliop2p.model.ranges import RangeSpec, parse_range
from eliop2p.model.store import Place

_SIGNATURE_KEYS = frozenset(
    (
        b"x-amz-algorithm",
        b"x-amz-content-sha256",
        b"x-amz-credential",
        b"x-amz-date",
        b"x-amz-expires",
        b"x-amz-security-token",
        b"x-amz-signature",
        b"x-amz-signedheaders",
        b"awsaccesskeyid",
        b"expires",
        b"signature",
        b"ossaccesskeyid",
        b"security-token",
        b"x-oss-access-key-id",
        b"x-oss-additional-headers",
        b"x-oss-credential",
        b"x-oss-date",
        b"x-oss-expires",
        b"x-oss-security-token",
        b"x-oss-signature",
        b"x-oss-signature-version",
    )
)

_RELAYED_HEADERS = (
    b"if-none-match",
    b"if-modified-since",
    b"if-range",
    b"origin",
    b"transfer-encoding",
)
"""
Their presence makes a GET one for the store alone: its answers differ between stores,
or (``Origin``) depend on more than the object.
"""

_SSE_C = b"x-amz-server-side-encryption-customer-"
"""
A 304 does not prove that the client has the key, so that these are never cached.
"""

_CHECKSUM_MODE = b"x-amz-checksum-mode"

_SHOWN = 4096
"""
How much of a query is shown at most, in bytes.
"""


def _record_id(key: ObjectKey, variant: bytes) -> ObjectId:
    if not variant:
        return key.object_id
    return ObjectId(hashlib.sha256(key.object_id + variant).digest())


def record_ids(key: ObjectKey) -> tuple[ObjectId, ...]:
    """
    Give every name under which the head of an object's answers may be remembered.
    """
    return tuple(_record_id(key, variant) for variant in (b"", b"enabled"))


@attrs.frozen
class ReadObject:
    """
    A plain read of an object, to be answered through the cache.

    Attributes:
        key: Which object.
        range: Which part, None for the whole.
        range_signed: Whether the client's signature covers the Range header, so that
            the store accepts no other range under it.
        if_match: The ETag that the client insists on, without quotes; None if it does
            not.
        unmodified_since: The Last-Modified that the client insists on; None if it does
            not.
        variant: What in the request changes the head of the answer.
    """

    key: ObjectKey
    range: RangeSpec | None
    range_signed: bool
    if_match: bytes | None
    unmodified_since: bytes | None
    variant: bytes

    @property
    def record_id(self) -> ObjectId:
        """
        Under what name the answer's head is remembered.
        """
        return _record_id(self.key, self.variant)


@attrs.frozen
class Relay:
    """
    A request for the store alone.

    Attributes:
        writes: The object that it may change, if that can be told.
        shows: The object that the head of the answer describes, if that can be told.
    """

    writes: ObjectKey | None = None
    shows: ObjectKey | None = None


Plan = ReadObject | Relay


def shown_target(target: bytes) -> bytes:
    """
    Give a request's target with a star in place of the values of its query, which may
    be signatures.
    """
    path, mark, query = target.partition(b"?")
    if not mark:
        return target
    names = (pair.partition(b"=") for pair in query[:_SHOWN].split(b"&"))
    return (
        path + b"?" + b"&".join(name + (equals and b"=*") for name, equals, _ in names)
    )


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """
    Separate the path from the query of an origin-form target.
    """
    path, _, query = target.partition(b"?")
    return path, query


def _object_key(place: Place, path: bytes, version_id: bytes) -> ObjectKey | None:
    """
    Name the object of a target, or None when it names none.
    """
    bucket, key = place.bucket.encode(), path[1:]
    if not bucket:
        bucket, _, key = key.partition(b"/")
    if path[:1] != b"/" or not (bucket and key):
        return None
    name = place.store.name
    return ObjectKey(name, unquote_to_bytes(bucket), unquote_to_bytes(key), version_id)


def _version_id(query: bytes) -> bytes | None:
    """
    Read a query that leaves a GET a plain read.

    Returns:
        The version id, empty when none is named; None for any other query.
    """
    version_id = b""
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        lowered = name.lower()
        if lowered in _SIGNATURE_KEYS or pair == b"x-id=GetObject":
            continue
        if name != b"versionId" or version_id or not value:
            return None
        version_id = unquote_to_bytes(value)
    return version_id


def _is_plain(head: RequestHead) -> bool:
    """
    Tell whether no header makes a GET one for the store alone.
    """
    for name, value in head.headers:
        lowered = name.lower()
        if lowered in _RELAYED_HEADERS or lowered.startswith(_SSE_C):
            return False
        if lowered == b"content-length" and value != b"0":
            return False
    return True


def _one_etag(value: bytes) -> bytes | None:
    """
    Read an If-Match that names one version, and give its ETag without quotes; some SDKs
    send none. A star, a list and a weak ETag name no version.
    """
    etag = value.strip(b'"')
    if not etag or etag == b"*" or b'"' in etag or b"," in etag:
        return None
    return etag


def _plan_read(head: RequestHead, place: Place) -> ReadObject | None:
    path, query = split_target(head.target)
    version_id = _version_id(query)
    if version_id is None or not _is_plain(head):
        return None
    key = _object_key(place, path, version_id)
    ranges, if_match = head.get_all(b"range"), head.get_all(b"if-match")
    since = head.get_all(b"if-unmodified-since")
    if key is None or max(map(len, (ranges, if_match, since))) > 1:
        return None
    wanted = parse_range(ranges[0]) if ranges else None
    etag = _one_etag(if_match[0]) if if_match else None
    if (ranges and wanted is None) or (if_match and etag is None):
        return None
    covered = signed_headers(head)
    return ReadObject(
        key,
        wanted,
        bool(ranges) and (covered is None or b"range" in covered),
        etag,
        since[0] if since else None,
        b"enabled" if (head.get(_CHECKSUM_MODE) or b"").lower() == b"enabled" else b"",
    )


def _shown_object(head: RequestHead, place: Place) -> ObjectKey | None:
    """
    Name the object that the answer to a HEAD describes.
    """
    path, query = split_target(head.target)
    version_id = _version_id(query)
    if version_id is None or head.get(b"range") is not None:
        return None
    return _object_key(place, path, version_id)


def classify(head: RequestHead, place: Place) -> Plan:
    """
    Decide what to do with a request.

    Args:
        head: As the client sent it.
        place: The store it is for, and the bucket that its Host names.
    """
    if head.method == b"GET":
        return _plan_read(head, place) or Relay()
    if head.method == b"HEAD":
        return Relay(shows=_shown_object(head, place))
    if head.method == b"OPTIONS":
        return Relay()
    path, _ = split_target(head.target)
    return Relay(_object_key(place, path, b""))


def forwarded(head: RequestHead) -> RequestHead:
    """
    Leave out what concerns only the connection between the client and this node.
    """
    named = {
        token
        for token in head.tokens(b"connection")
        if token not in (b"close", b"te", b"transfer-encoding")
    }
    return head.without(HOP_BY_HOP | named)

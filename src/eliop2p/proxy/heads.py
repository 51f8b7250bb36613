"""
The heads of answers: what the store said, remembered and said again.
"""

from collections.abc import Callable
from functools import lru_cache
from xml.sax.saxutils import escape

import attrs

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.message import HOP_BY_HOP, Header, RequestHead, ResponseHead
from eliop2p.model.chunk import ObjectVersion
from eliop2p.model.ranges import (
    Interval,
    content_range,
    parse_content_range,
    parse_decimal,
)
from eliop2p.model.record import MAX_RECORD, ObjectRecord
from eliop2p.proxy.part_style import PartStyle
from eliop2p.proxy.request import ReadObject

_FRESH = frozenset(
    (
        b"date",
        b"x-amz-request-id",
        b"x-amz-id-2",
        b"x-amzn-requestid",
        b"x-oss-request-id",
        b"x-oss-server-time",
        b"x-trans-id",
        b"x-openstack-request-id",
    )
)
"""
Headers that belong to one answer, not to the object.
"""

_IDENTITY = (b"etag", b"last-modified", b"x-amz-version-id")
"""
What a 304 says of the object, where stores say it.
"""

_NOT_ANEW = HOP_BY_HOP | {b"transfer-encoding", b"trailer", b"vary"}

_NEVER_KEPT = (b"x-amz-server-side-encryption-customer-algorithm", b"set-cookie")

_REQUEST_ID = b"x-elio-request-id"
_NODES_OWN = HOP_BY_HOP | {_REQUEST_ID, b"x-elio-source"}

_WHOLE_ONLY = b"x-amz-checksum-"


def _storable(head: ResponseHead) -> bool:
    if any(head.get(name) is not None for name in _NEVER_KEPT):
        return False
    if (head.get(b"x-amz-server-side-encryption") or b"").startswith(b"aws:kms"):
        return False
    if head.get(b"transfer-encoding") is not None:
        return False
    if head.get(b"content-encoding") and b"accept-encoding" in head.tokens(b"vary"):
        # Compressed for this client, perhaps; the object itself may not be.
        return False
    return b"no-store" not in head.tokens(b"cache-control")


def upstream_id(head: ResponseHead) -> str:
    """
    Give the name that a node which answered in the store's place has for the request;
    empty when it was the store itself, or the name is none that a node would give.
    """
    name = (head.get(_REQUEST_ID) or b"")[:64].decode("latin-1")
    return name if name.isascii() and name.isalnum() else ""


def onward(head: ResponseHead) -> ResponseHead:
    """
    Leave out what must not be relayed, and what a node that answered in the store's
    place says of its own work: to the client it is this node that speaks of its own.
    """
    names = _NODES_OWN
    if head.get(_REQUEST_ID) is not None:
        names |= {b"x-cache"}
    return head.without(names)


def _extent(head: ResponseHead) -> tuple[Interval, int] | None:
    """
    Give the bytes that a 200 or 206 answer carries, and the object's size.
    """
    length = parse_decimal(head.get(b"content-length") or b"")
    if length is None:
        return None
    if head.status == 200:
        return Interval(0, length), length
    found = parse_content_range(head.get(b"content-range") or b"")
    if head.status != 206 or found is None or found[0].length != length:
        return None
    return found


_RANGE_BEHAVIOR = b"x-oss-range-behavior"

Settle = Callable[[ReadObject, RequestHead, int], ReadObject | None]
"""
Says what a read means for an object of a size; None when only the store can say.
"""


def settle_s3(plan: ReadObject, _head: RequestHead, size: int) -> ReadObject | None:
    """
    Apply the rule of S3: a range is cut at the object's end, and one that begins behind
    it is the store's to refuse.
    """
    fits = plan.range is None or plan.range.resolve(size) is not None
    return plan if fits else None


def settle_oss(plan: ReadObject, head: RequestHead, size: int) -> ReadObject | None:
    """
    Apply the rule of OSS: a range that does not lie within the object is ignored,
    unless the client asks for the standard's behaviour.
    """
    wanted = plan.range
    if wanted is None or wanted.lies_within(size):
        return plan
    if head.get(_RANGE_BEHAVIOR) is not None:
        return settle_s3(plan, head, size)
    # Of a suffix that is longer than the object the documentation says nothing.
    return None if wanted.first is None else attrs.evolve(plan, range=None)


def learn(
    plan: ReadObject, head: ResponseHead, chunk_size: int
) -> tuple[ObjectRecord, Interval] | None:
    """
    Take from the store's answer what is worth remembering.

    Args:
        plan: What was asked.
        head: What was answered.
        chunk_size: The length of chunks in bytes.

    Returns:
        The record and the bytes of the object that the answer carries; None when the
        answer must not be kept, or does not answer what was asked.
    """
    etag = head.get(b"etag") or b""
    extent = _extent(head)
    strong = len(etag) > 2 and etag[:1] == b'"' and etag[-1:] == b'"'
    if extent is None or not strong or not _storable(head):
        return None
    interval, size = extent
    if plan.range is not None and head.status == 206:
        if plan.range.resolve(size) != interval:
            return None
    elif plan.range is not None or head.status != 200:
        return None
    kept = onward(head).serialize()
    if len(kept) + len(plan.key.key) + 1024 > MAX_RECORD:
        return None
    record = ObjectRecord(
        plan.key, ObjectVersion(etag, size), chunk_size, kept, head.status == 200
    )
    return record, interval


def learn_settled(
    settle: Settle,
    plan: ReadObject,
    asked: RequestHead,
    head: ResponseHead,
    chunk_size: int,
) -> tuple[ObjectRecord, Interval] | None:
    """
    Take from an answer what is worth remembering, as :func:`learn` does. A 200 to a
    ranged read counts where that is how the store says that it has ignored the range.
    """
    size = parse_decimal(head.get(b"content-length") or b"")
    settled = settle(plan, asked, size) if head.status == 200 and size else None
    return learn(settled or plan, head, chunk_size)


@lru_cache(256)
def parse_kept(data: bytes) -> ResponseHead:
    """
    Read the head in a record.

    Raises:
        RemoteProtocolError: It is not one that :func:`learn` wrote.
    """
    start, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    version, _, rest = start.partition(b" ")
    status, _, reason = rest.partition(b" ")
    headers = [line.partition(b": ") for line in lines]
    if status not in (b"200", b"206") or not all(colon for _, colon, _ in headers):
        raise RemoteProtocolError("object record holds no head")
    return ResponseHead(
        int(status), reason, tuple((name, value) for name, _, value in headers), version
    )


def confirms(record_head: ResponseHead, answer: ResponseHead) -> bool:
    """
    Tell whether a 304 speaks of the very object that is remembered. A copy of an object
    onto itself changes its metadata and Last-Modified, but not its ETag.
    """
    for name in _IDENTITY:
        said = answer.get(name)
        if said is not None and said != record_head.get(name):
            return False
    return True


_METADATA = (b"x-amz-meta-", b"x-oss-meta-", b"x-object-meta-")


def _metadata(head: ResponseHead) -> frozenset[Header]:
    lowered = ((name.lower(), value) for name, value in head.headers)
    return frozenset(pair for pair in lowered if pair[0].startswith(_METADATA))


def contradicts(record: ObjectRecord, shown: ResponseHead) -> bool:
    """
    Tell whether a 200 or 404 to a HEAD shows that a belief does not hold any more: the
    object is gone, or it is another, or has other metadata.
    """
    if shown.status == 404:
        return True
    size = parse_decimal(shown.get(b"content-length") or b"")
    if size not in (None, record.version.size):
        return True
    kept = parse_kept(record.head)
    return not confirms(kept, shown) or _metadata(kept) != _metadata(shown)


def insists_on(plan: ReadObject, record: ObjectRecord, kept: ResponseHead) -> bool:
    """
    Tell whether a version is the one that the client insists on, if it does on any.
    """
    etag = record.version.etag.strip(b'"')
    since = (None, kept.get(b"last-modified"))
    return plan.if_match in (None, etag) and plan.unmodified_since in since


def conditions(
    plan: ReadObject, record: ObjectRecord, kept: ResponseHead
) -> tuple[Header, ...]:
    """
    Give the unsigned headers that make the store authorise a hit (RFC 9110, section
    13.2.2: If-Unmodified-Since is evaluated first, so that a store whose 304 says
    nothing of the metadata answers 412 when they have changed).
    """
    added: list[Header] = [(b"If-None-Match", record.version.etag)]
    modified = kept.get(b"last-modified")
    if modified is not None and plan.unmodified_since is None:
        added.append((b"If-Unmodified-Since", modified))
    return tuple(added)


def _changeable(head: ResponseHead) -> dict[bytes, bytes]:
    """
    Give the headers, once each, that a 304 may say anew of a remembered answer (RFC
    9111, section 4.3.4): not those about the content, which a 304 has none of.
    """
    said: dict[bytes, bytes] = {}
    twice = set()
    for name, value in head.headers:
        lowered = name.lower()
        if lowered in said:
            twice.add(lowered)
        if not lowered.startswith(b"content-") and lowered not in _NOT_ANEW:
            said[lowered] = value
    for name in twice:
        said.pop(name, None)
    return said


def _refreshed(kept: ResponseHead, fresh: ResponseHead) -> tuple[Header, ...]:
    """
    Put what the store says now in the places where it said it first; what belongs to
    one answer and is not said again is left out.
    """
    said, once = _changeable(fresh), _changeable(kept)
    return tuple(
        (name, said.get(lowered, value) if lowered in once else value)
        for name, value in kept.headers
        if (lowered := name.lower()) not in _FRESH or lowered in said
    )


def hit_head(
    kept: ResponseHead,
    fresh: ResponseHead,
    version: ObjectVersion,
    part: Interval | None,
    style: PartStyle,
) -> ResponseHead:
    """
    Write the head of an answer from the cache.

    Args:
        kept: The remembered head.
        fresh: The store's answer to the question whether it still holds.
        version: The object.
        part: The bytes that follow when a range was asked for, which may cover the
            object; None when none was.
        style: How the store writes the heads of parts.
    """
    whole = ResponseHead(200, b"OK", _refreshed(kept, fresh), kept.version)
    if part is None:
        return attrs.evolve(whole, reason=kept.reason)
    return part_of(whole, version, part, style)


def part_of(
    head: ResponseHead, version: ObjectVersion, part: Interval, style: PartStyle
) -> ResponseHead:
    """
    Turn the head of a whole object into that of a part: a checksum of the whole would
    make clients refuse the part.
    """
    covers = part == Interval(0, version.size)
    headers: list[Header] = []
    for name, value in head.headers:
        lowered = name.lower()
        if lowered == b"content-length":
            headers.append((name, b"%d" % part.length))
        elif lowered != b"content-range" and (
            covers or not lowered.startswith(_WHOLE_ONLY)
        ):
            headers.append((name, value))
    span = (style.name, content_range(part, version.size))
    headers.insert(_place(headers, style.after), span)
    return ResponseHead(206, style.reason, tuple(headers), head.version)


def _place(headers: list[Header], after: bytes) -> int:
    """
    Find where a header belongs that stands behind another, or behind Content-Length.
    """
    if not after:
        return 0
    names = [name.lower() for name, _ in headers]
    known = after if after in names else b"content-length"
    return names.index(known) + 1


def error_answer(
    status: int, code: str, message: str, request_id: str
) -> tuple[ResponseHead, bytes]:
    """
    Write an answer of our own in the form that S3 clients understand and retry.
    """
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        f"<RequestId>{escape(request_id)}</RequestId></Error>"
    ).encode()
    reasons = {
        400: b"Bad Request",
        403: b"Forbidden",
        405: b"Method Not Allowed",
        414: b"URI Too Long",
        431: b"Request Header Fields Too Large",
        501: b"Not Implemented",
        502: b"Bad Gateway",
        503: b"Service Unavailable",
        505: b"HTTP Version Not Supported",
    }
    headers = [
        # SDKs name a request in their messages by this header.
        (b"x-amz-request-id", request_id.encode()),
        (b"Content-Type", b"application/xml"),
        (b"Content-Length", b"%d" % len(body)),
    ]
    if status == 503:
        headers.append((b"Retry-After", b"1"))
    reason = reasons.get(status, b"Error")
    return ResponseHead(status, reason, tuple(headers)), body

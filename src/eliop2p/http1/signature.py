"""
What a request's signature covers and how long it holds, without checking it.

Known are AWS Signature V4 (and V4A) and V2, and Alibaba OSS V1, V2 and V4, each in the
Authorization header or in the query (a presigned URL).
"""

from urllib.parse import unquote_to_bytes

from eliop2p.http1.dates import parse_basic_date, parse_http_date
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import parse_decimal

HEADER_LIFE = 13 * 60
"""
Seconds for which a dated signature is used; stores take it for 15 minutes.
"""

MARGIN = 10
"""
Seconds before its end at which a signature is no longer used: sending takes time.
"""

_NONE: frozenset[bytes] = frozenset()
_COVERS_NO_RANGE = frozenset((b"aws", b"oss", b"basic", b"bearer"))
_QUERY_SIGNATURES = (b"x-amz-signature", b"x-oss-signature", b"signature")


def _query(head: RequestHead) -> dict[bytes, bytes]:
    _, _, text = head.target.partition(b"?")
    parameters: dict[bytes, bytes] = {}
    if not text:
        return parameters
    for item in text.split(b"&"):
        name, _, value = item.partition(b"=")
        parameters.setdefault(unquote_to_bytes(name).lower(), unquote_to_bytes(value))
    return parameters


def _is_presigned(query: dict[bytes, bytes]) -> bool:
    return any(name in query for name in _QUERY_SIGNATURES)


def _names(listed: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in listed.split(b";") if name)


def _parameter(text: bytes, name: bytes) -> bytes | None:
    """
    Find ``name=value`` or ``name:value`` among the parts of an Authorization header.
    """
    for part in text.split(b","):
        stripped = part.strip()
        if stripped[: len(name)].lower() == name and stripped[len(name) :][:1] in b"=:":
            return stripped[len(name) + 1 :]
    return None


def _in_header(authorization: bytes) -> frozenset[bytes] | None:
    scheme, _, text = authorization.partition(b" ")
    scheme = scheme.lower()
    if scheme in _COVERS_NO_RANGE:
        return _NONE
    if scheme.startswith(b"aws4-"):
        listed = _parameter(text, b"signedheaders")
        return None if listed is None else _names(listed)
    if scheme == b"oss2" or scheme.startswith(b"oss4-"):
        return _names(_parameter(text, b"additionalheaders") or b"")
    return None


def _in_query(query: dict[bytes, bytes]) -> frozenset[bytes] | None:
    if b"x-amz-signature" in query:
        listed = query.get(b"x-amz-signedheaders")
        return None if listed is None else _names(listed)
    return _names(query.get(b"x-oss-additional-headers", b""))


def signed_headers(head: RequestHead) -> frozenset[bytes] | None:
    """
    Tell which headers the client chose to sign.

    Headers that a scheme always signs without naming them (Date, Content-Type,
    Content-MD5, ``x-amz-*``, ``x-oss-*``) are left out where they are not named. An
    anonymous request, and the schemes that cannot sign others, give the empty set.

    Args:
        head: The request as the client sent it.

    Returns:
        Names in lower case; None when the request may be signed in a way not known
        here, so that every header must be taken as signed.
    """
    authorizations = head.get_all(b"authorization")
    query = _query(head)
    presigned = _is_presigned(query)
    if len(authorizations) + presigned > 1:
        return None
    if authorizations:
        return _in_header(authorizations[0])
    return _in_query(query) if presigned else _NONE


def _date(text: bytes) -> float | None:
    found = parse_basic_date(text)
    return parse_http_date(text) if found is None else found


def _header_limit(head: RequestHead) -> float | None:
    for name in (b"x-amz-date", b"x-oss-date", b"date"):
        text = head.get(name)
        if text is not None:
            signed = _date(text)
            return None if signed is None else signed + HEADER_LIFE
    return None


def _query_limit(query: dict[bytes, bytes]) -> float | None:
    for prefix in (b"x-amz-", b"x-oss-"):
        date, expires = query.get(prefix + b"date"), query.get(prefix + b"expires")
        if date is not None and expires is not None:
            start, life = _date(date), parse_decimal(expires)
            return None if start is None or life is None else start + life
    expires = query.get(b"expires", query.get(b"x-oss-expires", b""))
    return parse_decimal(expires)


def usable_until(head: RequestHead, now: float) -> float | None:
    """
    Tell until when the same signature may be sent again.

    Args:
        head: The request as the client sent it.
        now: Epoch seconds; given back when the signature names no readable date, so
            that it is not used again.

    Returns:
        Epoch seconds, or None for an anonymous request: there is no limit.
    """
    query = _query(head)
    limit: float | None
    if head.get(b"authorization") is not None:
        limit = _header_limit(head)
    elif _is_presigned(query):
        limit = _query_limit(query)
    else:
        return None
    return now if limit is None else limit - MARGIN

"""
Checks Signature V4 of S3 requests, in the Authorization header or in the URL.
"""

import hmac
import re

import attrs

from eliop2p.base.clients import Clients
from eliop2p.http1.dates import basic_date, parse_basic_date, parse_http_date
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import parse_decimal
from eliop2p.signing.aws import ALGORITHM, SERVICE, TERMINATOR, UNSIGNED, V4, Scope
from eliop2p.signing.chunked import BodySignature
from eliop2p.signing.claim import (
    LONGEST,
    Proof,
    check_skew,
    check_token,
    check_window,
    client_of,
    only_one,
)
from eliop2p.signing.query import (
    canonical_target,
    pairs_of,
    single,
    values_of,
    without_pairs,
)
from eliop2p.signing.refusal import Refused, access_denied, wrong_signature
from eliop2p.signing.resource import Resource

STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

_PAYLOADS = frozenset((UNSIGNED, STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED))
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(rb"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_QUERY = (
    b"X-Amz-Algorithm",
    b"X-Amz-Credential",
    b"X-Amz-Date",
    b"X-Amz-Expires",
    b"X-Amz-SignedHeaders",
    b"X-Amz-Signature",
)
_CONTENT = b"x-amz-content-sha256"
_TOKEN = b"x-amz-security-token"


@attrs.frozen
class _Claim:
    """
    What a request says of its signature.

    Attributes:
        access_key: Whose it is.
        day: The date of its scope.
        region: The region of its scope.
        signed: Which headers it covers.
        signature: The signature.
    """

    access_key: str
    day: str
    region: str
    signed: list[str]
    signature: bytes


class V4Verifier:
    """
    Checks Signature V4.

    Args:
        region: The store's; signatures for another are refused.
    """

    def __init__(self, region: str) -> None:
        self._region = region

    def __call__(
        self,
        head: RequestHead,
        _resource: Resource,
        clients: Clients,
        now: float,
    ) -> Proof | None:
        """
        See :data:`eliop2p.signing.claim.Verify`.
        """
        values = values_of(pairs_of(head.target))
        in_query = b"X-Amz-Algorithm" in values or b"X-Amz-Signature" in values
        authorization = only_one(head, in_query)
        if in_query:
            return self._presigned(head, values, clients, now)
        if authorization is None or not authorization.startswith(b"AWS4-"):
            return None
        return self._in_header(head, authorization, clients, now)

    # --- the two places

    def _in_header(
        self, head: RequestHead, authorization: bytes, clients: Clients, now: float
    ) -> Proof:
        claim = self._read_header(authorization)
        date = head.get(b"x-amz-date") or head.get(b"date") or b""
        signed = parse_basic_date(date)
        signed = check_skew(parse_http_date(date) if signed is None else signed, now)
        timestamp = basic_date(signed)
        if not timestamp.startswith(claim.day):
            raise _malformed("Invalid credential date")
        payload = head.get(_CONTENT)
        if payload is None:
            raise Refused(
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            )
        token = head.get(_TOKEN)
        return self._check(
            *(head, claim, clients),
            timestamp=timestamp,
            said=(payload, token),
            query=head.target.partition(b"?")[2].decode("latin-1"),
        )

    def _read_header(self, authorization: bytes) -> _Claim:
        scheme, _, text = authorization.partition(b" ")
        if scheme != ALGORITHM.encode():
            raise Refused(
                "InvalidRequest",
                "The authorization mechanism you have provided is not supported. "
                "Please use AWS4-HMAC-SHA256.",
            )
        parts: dict[bytes, bytes] = {}
        for part in text.split(b","):
            found = _PART.fullmatch(part.strip())
            if found is None or found[1] in parts:
                raise _malformed("the parts of the header cannot be read")
            parts[found[1]] = found[2]
        if len(parts) != 3:
            raise _malformed("Credential, SignedHeaders and Signature are required")
        try:
            return self._claim(
                parts[b"Credential"], parts[b"SignedHeaders"], parts[b"Signature"]
            )
        except ValueError as error:
            raise _malformed(str(error)) from error

    def _presigned(
        self,
        head: RequestHead,
        values: dict[bytes, list[bytes]],
        clients: Clients,
        now: float,
    ) -> Proof:
        found = single(values, _QUERY)
        if found is None:
            raise _bad_query(
                "Query-string authentication version 4 requires the "
                "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                "X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        if found[b"X-Amz-Algorithm"] != ALGORITHM.encode():
            raise _bad_query('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        try:
            claim = self._claim(
                found[b"X-Amz-Credential"],
                found[b"X-Amz-SignedHeaders"],
                found[b"X-Amz-Signature"],
            )
        except ValueError as error:
            raise _bad_query(str(error)) from error
        date = found[b"X-Amz-Date"]
        start, life = parse_basic_date(date), parse_decimal(found[b"X-Amz-Expires"])
        if start is None or not date.startswith(claim.day.encode()):
            raise _bad_query("X-Amz-Date must be in the format of the scope's date")
        if life is None or not 1 <= life <= LONGEST:
            raise _bad_query(f"X-Amz-Expires must be from 1 to {LONGEST} seconds")
        check_window(start, start + life, now)
        payloads = values.get(b"X-Amz-Content-Sha256", [UNSIGNED.encode()])
        payload = head.get(_CONTENT) or payloads[0]
        token = values.get(b"X-Amz-Security-Token", [head.get(_TOKEN)])[0]
        target = without_pairs(head.target, b"X-Amz-Signature".__eq__)
        return self._check(
            *(head, claim, clients),
            timestamp=date.decode(),
            said=(payload, token),
            query=target.partition(b"?")[2].decode("latin-1"),
        )

    # --- what both have in common

    def _claim(self, credential: bytes, signed: bytes, signature: bytes) -> _Claim:
        """
        Read a claim.

        Raises:
            ValueError: It is none, or one for another store.
        """
        parts = credential.decode("ascii").rsplit("/", 4)
        if len(parts) != 5 or parts[4] != TERMINATOR:
            raise ValueError(
                "the Credential is mal-formed; expecting "
                "'<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request'"
            )
        access_key, day, region, service, _ = parts
        if service != SERVICE:
            raise ValueError(f"incorrect service '{service}'; expecting '{SERVICE}'")
        if region != self._region:
            raise ValueError(
                f"the region '{region}' is wrong; expecting '{self._region}'"
            )
        names = signed.decode("ascii").lower().split(";")
        return _Claim(access_key, day, region, names, signature)

    def _check(
        self,
        head: RequestHead,
        claim: _Claim,
        clients: Clients,
        *,
        timestamp: str,
        said: tuple[bytes, bytes | None],
        query: str,
    ) -> Proof:
        payload, token = said[0].decode("latin-1"), said[1]
        client = client_of(clients, claim.access_key)
        check_token(client, token, "InvalidToken")
        _check_coverage(head, claim.signed)
        if payload not in _PAYLOADS and not _SHA256.fullmatch(payload):
            raise Refused(
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of the STREAMING "
                "values, or a valid sha256 value.",
            )
        key = V4(client.secret_key, Scope(timestamp, claim.region))
        right = _signature(key, head, claim, query, payload)
        if payload in (STREAMING, STREAMING_TRAILER):
            chunks = BodySignature(key, right, payload == STREAMING_TRAILER)
            return Proof(client, None, chunks)
        return Proof(client, payload if _SHA256.fullmatch(payload) else None)


def _signature(
    key: V4, head: RequestHead, claim: _Claim, query: str, payload: str
) -> str:
    """
    Find the signature that is claimed: over the target as it was sent or, as some
    clients have it, in the form that it would best have been sent in.

    Raises:
        Refused: It is neither.
    """
    path = head.target.partition(b"?")[0]
    sent = path + b"?" + query.encode("latin-1")
    for target in dict.fromkeys((sent, canonical_target(sent))):
        query = target.partition(b"?")[2].decode("latin-1")
        named = attrs.evolve(head, target=target)
        try:
            right = key.sign_request(named, claim.signed, query, payload)
        except UnicodeDecodeError:
            break
        if hmac.compare_digest(right.encode(), claim.signature):
            return right
    raise wrong_signature()


def _check_coverage(head: RequestHead, signed: list[str]) -> None:
    """
    See to it that a signature covers what a store would act upon.

    Raises:
        Refused: Host or an ``x-amz-*`` header is not signed.
    """
    present = {name.lower().decode("latin-1") for name, _ in head.headers}
    needed = {name for name in present if name.startswith("x-amz-")} | {"host"}
    missing = sorted(needed.difference(signed))
    if missing:
        raise access_denied(
            "There were headers present in the request which were not signed: "
            + ", ".join(missing)
        )


def _malformed(why: str) -> Refused:
    return Refused(
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; {why}",
    )


def _bad_query(why: str) -> Refused:
    return Refused("AuthorizationQueryParametersError", why)

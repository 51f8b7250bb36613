"""
Checks OSS signatures V1, V2 and V4, in the Authorization header or in the URL.
"""

import hmac
import re
from collections.abc import Container
from urllib.parse import unquote_plus

import attrs

from eliop2p.base.clients import Clients
from eliop2p.http1.dates import parse_basic_date, parse_http_date
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import parse_decimal
from eliop2p.signing.claim import (
    LONGEST,
    Proof,
    check_skew,
    check_token,
    check_window,
    client_of,
    only_one,
)
from eliop2p.signing.oss import ALGORITHM, PRODUCT, TERMINATOR, Signed, Version, sign
from eliop2p.signing.query import pairs_of
from eliop2p.signing.refusal import Refused, access_denied, wrong_signature
from eliop2p.signing.resource import Resource

_V2_PART = re.compile(r"(AccessKeyId|AdditionalHeaders|Signature):([^,\s]+)")
_V4_PART = re.compile(r"(Credential|AdditionalHeaders|Signature)=([^,\s]+)")
_V1_OWN = frozenset(("Signature", "Expires", "OSSAccessKeyId"))
_OWN = frozenset(("x-oss-signature",))
_TOKEN, _V4_TOKEN = "security-token", "x-oss-security-token"
_VERSION = "x-oss-signature-version"

Params = dict[str, str]


@attrs.frozen
class _Claim:
    """
    What a request says of its signature.

    Attributes:
        version: Its kind.
        access_key: Whose it is.
        signature: The signature.
        additional: Headers that it covers beyond the usual ones.
        timestamp: When it was made, V4 only.
        date: What takes the place of the Date header; None for that itself.
        token_name: The parameter with the session token; empty for the header.
    """

    version: Version
    access_key: str
    signature: str
    additional: str = ""
    timestamp: str = ""
    date: str | None = None
    token_name: str = ""


class OssVerifier:
    """
    Checks the signatures of Alibaba OSS.

    Args:
        region: The store's; V4 signatures for another are refused.
    """

    def __init__(self, region: str) -> None:
        self._region = region

    def __call__(
        self, head: RequestHead, resource: Resource, clients: Clients, now: float
    ) -> Proof | None:
        """
        See :data:`eliop2p.signing.claim.Verify`.
        """
        try:
            params = _params(head)
            in_query = _VERSION in params or "OSSAccessKeyId" in params
            authorization = (only_one(head, in_query) or b"").decode()
            if in_query:
                claim = self._in_query(params, now)
            elif authorization.startswith("OSS"):
                claim = self._in_header(head, authorization, now)
            else:
                return None
            return self._check(head, resource, params, claim, clients)
        except UnicodeDecodeError:
            raise wrong_signature() from None

    # --- in the header

    def _in_header(self, head: RequestHead, text: str, now: float) -> _Claim:
        scheme, _, rest = text.partition(" ")
        if scheme == ALGORITHM:
            return self._v4_header(head, _parts(_V4_PART, rest), now)
        _check_date(head, now)
        if scheme == "OSS":
            access_key, colon, signature = rest.strip().partition(":")
            if not colon:
                raise _bad_header()
            return _Claim(Version.V1, access_key, signature)
        if scheme != "OSS2":
            raise _bad_header()
        parts = _parts(_V2_PART, rest)
        return _Claim(
            Version.V2,
            parts.get("AccessKeyId", ""),
            parts.get("Signature", ""),
            parts.get("AdditionalHeaders", ""),
        )

    def _v4_header(self, head: RequestHead, parts: Params, now: float) -> _Claim:
        date = (head.get(b"x-oss-date") or b"").decode()
        check_skew(parse_basic_date(date.encode()), now)
        return _Claim(
            Version.V4,
            self._access_key(parts.get("Credential", ""), date),
            parts.get("Signature", ""),
            parts.get("AdditionalHeaders", ""),
            date,
        )

    # --- in the URL

    def _in_query(self, params: Params, now: float) -> _Claim:
        version = params.get(_VERSION)
        if version is None:
            check_window(0, _expiry(params.get("Expires", "")), now)
            return _Claim(
                Version.V1,
                params["OSSAccessKeyId"],
                params.get("Signature", ""),
                date=params["Expires"],
                token_name=_TOKEN,
            )
        additional = params.get("x-oss-additional-headers", "")
        signature = params.get("x-oss-signature", "")
        if version == "OSS2":
            check_window(0, _expiry(params.get("x-oss-expires", "")), now)
            access_key, expires = params.get("x-oss-access-key-id", ""), "x-oss-expires"
            return _Claim(
                *(Version.V2, access_key, signature, additional, ""),
                date=params[expires],
                token_name=_TOKEN,
            )
        if version != ALGORITHM:
            raise Refused("InvalidArgument", f"{_VERSION} is not supported")
        date = params.get("x-oss-date", "")
        start = parse_basic_date(date.encode())
        life = parse_decimal(params.get("x-oss-expires", "").encode())
        if start is None or life is None or not 1 <= life <= LONGEST:
            raise Refused("InvalidArgument", "x-oss-date or x-oss-expires is invalid")
        check_window(start, start + life, now)
        access_key = self._access_key(params.get("x-oss-credential", ""), date)
        return _Claim(
            *(Version.V4, access_key, signature, additional, date),
            token_name=_V4_TOKEN,
        )

    # --- what all have in common

    def _access_key(self, credential: str, date: str) -> str:
        access_key, *scope = credential.rsplit("/", 4)
        if scope != [date[:8], self._region, PRODUCT, TERMINATOR]:
            raise Refused(
                "InvalidArgument",
                f"the credential must be of the scope "
                f"{date[:8]}/{self._region}/{PRODUCT}/{TERMINATOR}",
            )
        return access_key

    def _check(
        self,
        head: RequestHead,
        resource: Resource,
        params: Params,
        claim: _Claim,
        clients: Clients,
    ) -> Proof:
        client = client_of(clients, claim.access_key)
        token = head.get(b"x-oss-security-token")
        if claim.token_name in params:
            token = params[claim.token_name].encode()
        check_token(client, token, "InvalidSecurityToken")
        headers = _headers(head)
        if claim.date is not None:
            headers["date"] = claim.date
            headers.pop("x-oss-date", None)
        own: Container[str] = _V1_OWN if claim.version is Version.V1 else _OWN
        signed = Signed(
            head.method.decode(),
            headers,
            {name: value for name, value in params.items() if name not in own},
            resource.bucket.decode(),
            resource.key.decode(),
            [name for name in claim.additional.lower().split(";") if name],
            claim.timestamp,
            self._region,
        )
        right = sign(claim.version, client.secret_key, signed)
        if not hmac.compare_digest(right.encode(), claim.signature.encode()):
            raise wrong_signature()
        return Proof(client)


def _params(head: RequestHead) -> Params:
    """
    Decode the query.

    Raises:
        Refused: A name stands there twice: which counts is anybody's guess.
    """
    found: Params = {}
    for name, value in pairs_of(head.target):
        text = unquote_plus(name.decode(), errors="strict")
        if text in found:
            raise Refused("InvalidArgument", f"the parameter {text} stands there twice")
        found[text] = unquote_plus(value.decode(), errors="strict")
    return found


def _headers(head: RequestHead) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in head.headers:
        lowered, text = name.decode().lower(), value.decode("utf-8", "replace")
        found[lowered] = f"{found[lowered]},{text}" if lowered in found else text
    return found


def _parts(pattern: re.Pattern[str], text: str) -> Params:
    """
    Read the parts of an Authorization header.

    Raises:
        Refused: They cannot be read, or one stands there twice.
    """
    found: Params = {}
    for part in text.split(","):
        match = pattern.fullmatch(part.strip())
        if match is None or match[1] in found:
            raise _bad_header()
        found[match[1]] = match[2]
    return found


def _bad_header() -> Refused:
    return Refused("InvalidArgument", "Authorization header is invalid.")


def _check_date(head: RequestHead, now: float) -> None:
    date = head.get(b"x-oss-date") or head.get(b"date") or b""
    found = parse_basic_date(date)
    check_skew(parse_http_date(date) if found is None else found, now)


def _expiry(text: str) -> int:
    expires = parse_decimal(text.encode())
    if expires is None:
        raise access_denied("Invalid expires parameter.")
    return expires

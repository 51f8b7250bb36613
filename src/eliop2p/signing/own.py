"""
Signatures of the node's own, in place of those of its clients.
"""

from collections.abc import Callable
from urllib.parse import unquote_plus

import attrs

from eliop2p.base.secret import Secret
from eliop2p.http1.dates import basic_date
from eliop2p.http1.message import Header, RequestHead
from eliop2p.signing import aws, oss
from eliop2p.signing.query import canonical_target, pairs_of
from eliop2p.signing.resource import path_style

_CONTENT = b"x-amz-content-sha256"
_REPLACED = frozenset(
    (b"authorization", b"date", b"x-amz-date", b"x-amz-security-token", _CONTENT)
)
_REPLACED_OSS = frozenset(
    (
        *(b"authorization", b"date", b"x-oss-date", b"x-oss-content-sha256"),
        b"x-oss-security-token",
    )
)
_ALWAYS_SIGNED = frozenset((b"host", b"content-type", b"content-md5"))


@attrs.frozen
class Keys:
    """
    What the node signs with.

    Attributes:
        access_key: The public half.
        secret_key: The secret half.
        session_token: What goes with a temporary key, None for a lasting one.
    """

    access_key: str
    secret_key: Secret
    session_token: Secret | None = None


Sign = Callable[[RequestHead, Keys, float], RequestHead]
"""
Signs a request with some keys at a time, in epoch seconds.
"""


def with_host(head: RequestHead, host: bytes) -> RequestHead:
    """
    Send a request to another host: its Host stands where the other did.
    """
    if head.get(b"host") is None:
        return attrs.evolve(head, headers=((b"Host", host), *head.headers))
    headers = tuple(
        (name, host if name.lower() == b"host" else value)
        for name, value in head.headers
    )
    return attrs.evolve(head, headers=headers)


def _has_body(head: RequestHead) -> bool:
    length = head.get(b"content-length") or b"0"
    return head.get(b"transfer-encoding") is not None or length != b"0"


def s3_signer(host: bytes, region: str) -> Sign:
    """
    Make what signs for a store that speaks S3, with Signature V4 in the header.

    What the client said of the body's SHA-256 is kept. Headers that a store may not act
    upon stay unsigned, so that whatever stands between may treat them as it likes.

    Args:
        host: The store's Host.
        region: The store's.
    """

    def sign(head: RequestHead, keys: Keys, now: float) -> RequestHead:
        said = head.get(_CONTENT)
        payload = (aws.UNSIGNED if _has_body(head) else aws.EMPTY_SHA256).encode()
        scope = aws.Scope(basic_date(now), region)
        added: list[Header] = [
            (b"X-Amz-Date", scope.timestamp.encode()),
            (b"X-Amz-Content-SHA256", said or payload),
        ]
        if keys.session_token is not None:
            token = keys.session_token.reveal().encode()
            added.append((b"X-Amz-Security-Token", token))
        target = canonical_target(head.target)
        kept = attrs.evolve(head.without(_REPLACED), target=target)
        bare = with_host(kept, host).adding(*added)
        names = sorted(
            {
                lowered.decode()
                for name, _ in bare.headers
                if (lowered := name.lower()) in _ALWAYS_SIGNED
                or lowered.startswith(b"x-amz-")
            }
        )
        query = bare.target.partition(b"?")[2].decode()
        key = aws.V4(keys.secret_key, scope)
        signature = key.sign_request(bare, names, query, (said or payload).decode())
        text = (
            f"{aws.ALGORITHM} Credential={keys.access_key}/{scope.text}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return bare.adding((b"Authorization", text.encode()))

    return sign


def oss_signer(region: str) -> Sign:
    """
    Make what signs for Alibaba OSS, with Signature V4 in the header.

    OSS signs the bucket's name and not Host, so that the request may name it either
    way; here it is the path.

    Args:
        region: The store's.
    """

    def sign(head: RequestHead, keys: Keys, now: float) -> RequestHead:
        resource, timestamp = path_style(head.target), basic_date(now)
        added: list[Header] = [
            (b"x-oss-date", timestamp.encode()),
            (b"x-oss-content-sha256", oss.UNSIGNED.encode()),
        ]
        if keys.session_token is not None:
            token = keys.session_token.reveal().encode()
            added.append((b"x-oss-security-token", token))
        bare = head.without(_REPLACED_OSS).adding(*added)
        signed = oss.Signed(
            bare.method.decode(),
            {name.decode().lower(): value.decode() for name, value in bare.headers},
            {
                unquote_plus(name.decode()): unquote_plus(value.decode())
                for name, value in pairs_of(bare.target)
            },
            resource.bucket.decode(),
            resource.key.decode(),
            timestamp=timestamp,
            region=region,
        )
        signature = oss.sign(oss.Version.V4, keys.secret_key, signed)
        text = (
            f"{oss.ALGORITHM} Credential={keys.access_key}/{signed.scope}, "
            f"Signature={signature}"
        )
        return bare.adding((b"Authorization", text.encode()))

    return sign

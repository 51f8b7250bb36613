"""
What a request says of who signed it, how and when.
"""

import hmac
from collections.abc import Callable

import attrs

from eliop2p.base.clients import Client, Clients
from eliop2p.http1.message import RequestHead
from eliop2p.signing.chunked import BodySignature
from eliop2p.signing.refusal import (
    Refused,
    access_denied,
    too_skewed,
    unknown_key,
)
from eliop2p.signing.resource import Resource

SKEW = 15 * 60
"""
Seconds by which the clocks of client and node may differ, as with the stores.
"""

LONGEST = 7 * 24 * 3600
"""
Seconds for which a V4 URL may be signed at most.
"""


@attrs.frozen
class Proof:
    """
    What a right signature proves.

    Attributes:
        client: Who signed.
        payload: The SHA-256 that the body must have, in hexadecimal digits; None when
            the signature does not cover the body as a whole.
        chunks: Checks the body piece by piece; None unless it is signed that way.
    """

    client: Client
    payload: str | None = None
    chunks: BodySignature | None = None


Verify = Callable[[RequestHead, Resource, Clients, float], Proof | None]
"""
Checks a request for a resource against the clients at a time, in epoch seconds. None
when it is not signed in the way that the function knows; raises Refused when it is, and
wrongly.
"""


def client_of(clients: Clients, access_key: str) -> Client:
    """
    Find who has an access key.

    Raises:
        Refused: Nobody has.
    """
    client = clients.get(access_key)
    if client is None:
        raise unknown_key()
    return client


def check_token(client: Client, token: bytes | None, code: str) -> None:
    """
    See to it that a session token comes along exactly where one belongs.

    Raises:
        Refused: It is missing, wrong, or one too many.
    """
    expected = client.session_token
    known = expected.reveal().encode() if expected else b""
    if not hmac.compare_digest(known, token or b""):
        raise Refused(code, "The provided token is malformed or otherwise invalid.")


def check_skew(signed: float | None, now: float) -> float:
    """
    See to it that a request was signed just now.

    Args:
        signed: When, in epoch seconds; None when it does not say.
        now: Epoch seconds.

    Returns:
        When it was signed.

    Raises:
        Refused: It was signed at another time.
    """
    if signed is None:
        raise access_denied(
            "AWS authentication requires a valid Date or x-amz-date header"
        )
    if abs(now - signed) > SKEW:
        raise too_skewed()
    return signed


def check_window(start: float, stop: float, now: float) -> None:
    """
    See to it that a signed URL may be used now.

    Raises:
        Refused: It is not valid yet, or no more.
    """
    if now < start - SKEW:
        raise access_denied("Request is not valid yet")
    if now >= stop:
        raise access_denied("Request has expired")


def only_one(head: RequestHead, presigned: bool) -> bytes | None:
    """
    Give the Authorization header of a request that has one.

    Raises:
        Refused: There are several signatures; which counts is anybody's guess.
    """
    found = head.get_all(b"authorization")
    if len(found) + presigned > 1:
        raise Refused("InvalidArgument", "Only one auth mechanism allowed")
    return found[0] if found else None

"""
Checks Signature V2 of S3 requests, in the Authorization header or in the URL.
"""

import hmac

from eliop2p.base.clients import Client, Clients
from eliop2p.http1.dates import parse_basic_date, parse_http_date
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import parse_decimal
from eliop2p.signing.aws import sign_v2
from eliop2p.signing.claim import (
    Proof,
    check_skew,
    check_token,
    check_window,
    client_of,
    only_one,
)
from eliop2p.signing.query import pairs_of, single, values_of
from eliop2p.signing.refusal import Refused, access_denied, wrong_signature
from eliop2p.signing.resource import Resource

_QUERY = (b"AWSAccessKeyId", b"Expires", b"Signature")
_TOKEN = b"x-amz-security-token"


class V2Verifier:
    """
    Checks Signature V2.

    It covers neither Host nor, but for subresources, the query: what a request is
    allowed to do is decided by what it asks for, whatever of that is signed.
    """

    def __call__(
        self, head: RequestHead, resource: Resource, clients: Clients, now: float
    ) -> Proof | None:
        """
        See :data:`eliop2p.signing.claim.Verify`.
        """
        in_query = b"AWSAccessKeyId" in values_of(pairs_of(head.target))
        authorization = only_one(head, in_query)
        if in_query:
            return self._presigned(head, _names(head, resource), clients, now)
        if authorization is None or not authorization.startswith(b"AWS "):
            return None
        access_key, colon, signature = authorization[4:].partition(b":")
        if not colon:
            raise Refused("InvalidArgument", "AWS authorization header is invalid")
        client = client_of(clients, access_key.decode("latin-1"))
        check_token(client, head.get(_TOKEN), "InvalidToken")
        date = head.get(b"x-amz-date")
        check_skew(_seconds(date or head.get(b"date") or b""), now)
        # The place of the date stays empty when x-amz-date is among the headers.
        signed = b"" if date else head.get(b"date") or b""
        return _check(client, head, _names(head, resource), (signed, signature))

    def _presigned(
        self,
        head: RequestHead,
        names: tuple[bytes, ...],
        clients: Clients,
        now: float,
    ) -> Proof:
        values = values_of(pairs_of(head.target))
        found = single(values, _QUERY)
        if found is None:
            raise access_denied(
                "Query-string authentication requires the Signature, Expires and "
                "AWSAccessKeyId parameters"
            )
        expires = parse_decimal(found[b"Expires"])
        if expires is None:
            raise access_denied("Invalid date (should be seconds since epoch)")
        check_window(0, expires, now)
        client = client_of(clients, found[b"AWSAccessKeyId"].decode("latin-1"))
        tokens = values.get(_TOKEN, [])
        token = tokens[0] if tokens else head.get(_TOKEN)
        check_token(client, token, "InvalidToken")
        if tokens and head.get(_TOKEN) is None:
            head = head.adding((_TOKEN, tokens[0]))
        said = found[b"Expires"], found[b"Signature"]
        return _check(client, head, names, said)


def _seconds(date: bytes) -> float | None:
    found = parse_basic_date(date)
    return parse_http_date(date) if found is None else found


def _names(head: RequestHead, resource: Resource) -> tuple[bytes, ...]:
    """
    Give the target as V2 may sign it, with the bucket in its path. What ``/bucket``
    asks for some clients sign as ``/bucket/``.
    """
    if resource.by_host:
        return (b"/" + resource.bucket + head.target,)
    path, mark, query = head.target.partition(b"?")
    if resource.key or path.endswith(b"/"):
        return (head.target,)
    return head.target, path + b"/" + mark + query


def _check(
    client: Client,
    head: RequestHead,
    names: tuple[bytes, ...],
    said: tuple[bytes, bytes],
) -> Proof:
    """
    Check a signature.

    Args:
        client: Whose it is to be.
        head: The request.
        names: What it is about, in every way that may be meant.
        said: The date and the signature, as the client gives them.
    """
    date, signature = said
    try:
        rights = [
            sign_v2(client.secret_key, head, name.decode(), date.decode())
            for name in names
        ]
    except UnicodeDecodeError:
        raise wrong_signature() from None
    if not any(hmac.compare_digest(right.encode(), signature) for right in rights):
        raise wrong_signature()
    return Proof(client)

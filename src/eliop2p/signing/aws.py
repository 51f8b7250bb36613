"""
AWS signatures, V4 and V2, computed by botocore's signers.

The only module that knows botocore's. Its signers take the parts of a request that they
sign from the request itself; here the parts are those that the *client* says it signed,
as they came in: the path is not normalised, query pairs are sorted as they stand.
"""

from http.client import HTTPMessage
from urllib.parse import urlsplit

import attrs
from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
UNSIGNED = "UNSIGNED-PAYLOAD"
SERVICE = "s3"
TERMINATOR = "aws4_request"


@attrs.frozen
class Scope:
    """
    What a V4 signature is good for.

    Attributes:
        timestamp: When it was made, ``20130524T000000Z``.
        region: The region of the store.
    """

    timestamp: str
    region: str

    @property
    def text(self) -> str:
        """
        The scope as it stands behind the access key.
        """
        return f"{self.timestamp[:8]}/{self.region}/{SERVICE}/{TERMINATOR}"


class V4:
    """
    Makes V4 signatures under one secret.

    Args:
        secret: The secret key.
        scope: When and where.
    """

    def __init__(self, secret: Secret, scope: Scope) -> None:
        self._signer = S3SigV4Auth(
            Credentials("unused", secret.reveal()), SERVICE, scope.region
        )
        self._context = AWSRequest(method="GET", url="http://store/")
        self._context.context["timestamp"] = scope.timestamp
        self._scope = scope

    @property
    def scope(self) -> Scope:
        """
        When and where.
        """
        return self._scope

    def sign(self, text: str) -> str:
        """
        Sign a text.

        Returns:
            The signature in hexadecimal digits.
        """
        signature: str = self._signer.signature(text, self._context)
        return signature

    def sign_request(
        self, head: RequestHead, signed_headers: list[str], query: str, payload: str
    ) -> str:
        """
        Sign a request.

        Args:
            head: The request.
            signed_headers: Names in lower case.
            query: The query that is signed, without the signature itself.
            payload: The SHA-256 of the body, or what stands for it.

        Raises:
            UnicodeDecodeError: The head is not UTF-8.
        """
        values = HTTPMessage()
        for name in signed_headers:
            for value in head.get_all(name.encode()):
                values[name] = value.decode()
        canonical = "\n".join(
            (
                head.method.decode(),
                head.target.partition(b"?")[0].decode(),
                self._sorted(query),
                self._signer.canonical_headers(values),
                "",
                self._signer.signed_headers(values),
                payload,
            )
        )
        return self.sign(self._signer.string_to_sign(self._context, canonical))

    def _sorted(self, query: str) -> str:
        request = AWSRequest(method="GET", url=f"http://store/?{query}")
        text: str = self._signer.canonical_query_string(request)
        return text


class _DatedHmacV1Auth(HmacV1Auth):  # type: ignore[misc]  # botocore has no types
    """
    The V2 signer with the date that the client signed, where botocore takes now.
    """

    def __init__(self, secret: Secret, date: str) -> None:
        super().__init__(Credentials("unused", secret.reveal()))
        self._date = date

    def canonical_standard_headers(self, headers: HTTPMessage) -> str:
        """
        Give the headers that are signed without their names.
        """
        values = (headers.get(name, "") for name in ("content-md5", "content-type"))
        return "\n".join((*map(str.strip, values), self._date))


def sign_v2(secret: Secret, head: RequestHead, resource: str, date: str) -> str:
    """
    Sign a request as V2 does.

    Args:
        secret: The secret key.
        head: The request.
        resource: ``/bucket/key`` as sent, with the query.
        date: The value of Date, or of Expires in a URL; empty where ``x-amz-date``
            takes its place.

    Returns:
        The signature in base64.

    Raises:
        UnicodeDecodeError: The head is not UTF-8.
    """
    values = HTTPMessage()
    for name, value in head.headers:
        values[name.decode()] = value.decode()
    signer = _DatedHmacV1Auth(secret, date)
    parts = urlsplit(f"http://store{resource}")
    signature: str = signer.get_signature(head.method.decode(), parts, values)
    return signature

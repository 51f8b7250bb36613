"""
Tests for :mod:`eliop2p.signing.own`.
"""

from datetime import UTC, datetime
from unittest import mock

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Access, Client, Rule
from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead
from eliop2p.signing.admission import admit, verifiers
from eliop2p.signing.aws import EMPTY_SHA256
from eliop2p.signing.own import Keys, oss_signer, s3_signer, with_host
from eliop2p.signing.resource import path_style

NOW = 1_780_000_000.0
KEYS = Keys("AKNODE", Secret("node/secret+"), Secret("token+/"))
HOST = b"store:9000"


def known(region: str, store: str, head: RequestHead) -> None:
    """
    Check a request as the store would.
    """
    rules = (Rule(Access.FULL, b"*"),)
    token = KEYS.session_token
    client = Client("node", KEYS.access_key, KEYS.secret_key, token, rules)
    verify = verifiers(store, region)
    admit(head, path_style(head.target), {KEYS.access_key: client}, NOW, verify)


class S3Tests(SynchronousTestCase):
    """
    Requests to a store that speaks S3.
    """

    def test_as_botocore(self) -> None:
        """
        The signature is the one that botocore itself gives the same request.
        """
        head = RequestHead(
            b"GET",
            b"/b/a%20b~c?versionId=2&partNumber",
            (
                (b"Host", HOST),
                (b"x-amz-checksum-mode", b"ENABLED"),
                (b"Content-Type", b"a/b"),
            ),
        )
        signed = s3_signer(HOST, "eu-west-1")(head, KEYS, NOW)
        request = AWSRequest(
            method="GET",
            url=f"http://{HOST.decode()}{head.target.decode()}",
            headers={name.decode(): value.decode() for name, value in head.headers},
        )
        assert KEYS.session_token is not None
        credentials = Credentials(
            KEYS.access_key, KEYS.secret_key.reveal(), KEYS.session_token.reveal()
        )
        moment = datetime.fromtimestamp(NOW, UTC)
        with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
            S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
        self.assertEqual(
            signed.get(b"authorization"), request.headers["Authorization"].encode()
        )

    def test_canonical(self) -> None:
        """
        The target goes out in the form in which stores check signatures, and names what
        it named.
        """
        for target, expected in (
            (
                b"/b/%7Ek%2fl+?uploadId=2%7E-x&acl&a=b=c",
                b"/b/~k/l%2B?uploadId=2~-x&acl",
            ),
            (b"/b/a%2520b//../c?prefix=%c3%a9+", b"/b/a%2520b//../c?prefix=%C3%A9+"),
        ):
            head = RequestHead(b"GET", target, ((b"Host", HOST),))
            signed = s3_signer(HOST, "us-east-1")(head, KEYS, NOW)
            self.assertTrue(signed.target.startswith(expected), signed.target)
            known("us-east-1", "s3", signed)

    def test_replaced(self) -> None:
        """
        What the client signed gives way, Host stays in its place, and what may be
        changed on the way is not signed.
        """
        head = RequestHead(
            b"PUT",
            b"/b/k",
            (
                (b"User-Agent", b"ua"),
                (b"hOST", b"localhost:8080"),
                (b"Authorization", b"AWS4-HMAC-SHA256 of the client"),
                (b"X-Amz-Date", b"20000101T000000Z"),
                (b"Content-Length", b"4"),
                (b"Range", b"bytes=0-1"),
            ),
        )
        signed = s3_signer(HOST, "us-east-1")(head, KEYS, NOW)
        self.assertEqual(
            [name for name, _ in signed.headers],
            [
                *(b"User-Agent", b"hOST", b"Content-Length", b"Range", b"X-Amz-Date"),
                *(b"X-Amz-Content-SHA256", b"X-Amz-Security-Token", b"Authorization"),
            ],
        )
        self.assertEqual(signed.get(b"host"), HOST)
        self.assertEqual(signed.get(b"x-amz-content-sha256"), b"UNSIGNED-PAYLOAD")
        said = signed.get(b"authorization") or b""
        self.assertIn(
            b"SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,",
            said,
        )
        self.assertNotIn(b"node/secret", signed.serialize())
        known("us-east-1", "s3", signed)

    def test_payload(self) -> None:
        """
        What the client said of the body stays; without a body it is the hash of none.
        """
        sign = s3_signer(HOST, "us-east-1")
        bare = RequestHead(b"GET", b"/b/k", ((b"Host", HOST),))
        signed = sign(bare, KEYS, NOW)
        self.assertEqual(signed.get(b"x-amz-content-sha256"), EMPTY_SHA256.encode())
        said = (b"x-amz-content-sha256", b"a" * 64)
        self.assertEqual(sign(bare.adding(said), KEYS, NOW).get(said[0]), said[1])


class OssTests(SynchronousTestCase):
    """
    Requests to Alibaba OSS.
    """

    def test_signed(self) -> None:
        """
        A request carries one signature, of the node's, that OSS's rules accept.
        """
        head = RequestHead(
            b"PUT",
            b"/b/a%20b%2Fc?uploadId=1+2&partNumber=1",
            (
                (b"Host", b"localhost:8080"),
                (b"Date", b"long ago"),
                (b"Content-Type", b"a/b"),
                (b"x-oss-meta-A", b"kept"),
                (b"x-oss-date", b"long ago"),
            ),
        )
        signed = oss_signer("cn-hangzhou")(head, KEYS, NOW)
        self.assertEqual(signed.get(b"x-oss-meta-a"), b"kept")
        self.assertEqual(len(signed.get_all(b"x-oss-date")), 1)
        self.assertIsNone(signed.get(b"date"))
        known("cn-hangzhou", "oss", signed)


class HostTests(SynchronousTestCase):
    """
    Host.
    """

    def test_missing(self) -> None:
        """
        A request of HTTP/1.0 without Host gets one, first.
        """
        head = RequestHead(b"GET", b"/", ((b"A", b"1"),))
        self.assertEqual(with_host(head, HOST).headers[0], (b"Host", HOST))

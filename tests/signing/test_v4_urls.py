"""
Tests for :mod:`eliop2p.signing.v4`: signatures in the URL, and dates.
"""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.dates import basic_date
from eliop2p.http1.message import RequestHead
from tests.signing.v4_case import CREDENTIAL, DATE, HOST, NOW, V4Case, signed


class UrlTests(V4Case):
    """
    Signatures in the URL, and the ways in which they are refused.
    """

    def url(self, drop: str = "", **changes: str) -> RequestHead:
        """
        Make a presigned GET, one parameter dropped or some changed, and sign it.
        """
        values = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": CREDENTIAL.replace("/", "%2F"),
            "X-Amz-Date": DATE,
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": "host",
        }
        values |= {f"X-Amz-{name}": value for name, value in changes.items()}
        query = "&".join(
            f"{name}={value}" for name, value in values.items() if name != drop
        )
        head = RequestHead(b"GET", b"/bkt/k?" + query.encode(), (HOST,))
        signature = signed(head, payload="UNSIGNED-PAYLOAD")
        return attrs.evolve(
            head, target=head.target + b"&X-Amz-Signature=" + signature.encode()
        )

    def test_good(self) -> None:
        """
        The longest life is seven days.
        """
        self.admit(self.url())
        self.admit(self.url(Expires="604800"))

    def test_missing(self) -> None:
        """
        Each parameter is needed, once.
        """
        code = "AuthorizationQueryParametersError"
        for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders"):
            head = self.url(drop=f"X-Amz-{name}")
            self.assert_refused(code, "requires the X-Amz-Algorithm", head)
        head = self.url()
        twice = attrs.evolve(head, target=head.target + b"&X-Amz-Expires=9")
        self.assert_refused(code, "requires the X-Amz-Algorithm", twice)

    def test_wrong(self) -> None:
        """
        Each parameter must make sense.
        """
        code = "AuthorizationQueryParametersError"
        for change, part in (
            ({"Algorithm": "AWS4-HMAC-SHA1"}, "only supports"),
            ({"Expires": "604801"}, "X-Amz-Expires must be"),
            ({"Expires": "0"}, "X-Amz-Expires must be"),
            ({"Expires": "-1"}, "X-Amz-Expires must be"),
            ({"Expires": "1e3"}, "X-Amz-Expires must be"),
            ({"Date": "20130525T000000Z"}, "X-Amz-Date must be"),
            ({"Date": "yesterday"}, "X-Amz-Date must be"),
            ({"Credential": "a%2Fb"}, "mal-formed"),
        ):
            self.assert_refused(code, part, self.url(**change))

    def test_headers(self) -> None:
        """
        A URL that does not sign Host, or comes with an x-amz-* header that it does not
        sign, is refused.
        """
        head = self.url(SignedHeaders="range")
        self.assert_refused("AccessDenied", "not signed: host", head)
        head = self.url().adding((b"x-amz-acl", b"public-read"))
        self.assert_refused("AccessDenied", "not signed: x-amz-acl", head)

    def test_appended(self) -> None:
        """
        Nothing can be added to a URL.
        """
        head = self.url()
        more = attrs.evolve(head, target=head.target + b"&versionId=1")
        self.assert_refused("SignatureDoesNotMatch", "Check your key", more)


class DateTests(SynchronousTestCase):
    """
    The form of dates in signatures.
    """

    def test_basic(self) -> None:
        """
        Parts of a second are dropped.
        """
        self.assertEqual(basic_date(NOW + 0.9), DATE)

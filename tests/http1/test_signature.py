"""
Tests for :mod:`eliop2p.http1.signature`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import Header, RequestHead
from eliop2p.http1.signature import (
    HEADER_LIFE,
    MARGIN,
    signed_headers,
    usable_until,
)

NOW = 1_369_353_600.0  # 2013-05-24T00:00:00Z
V4_VALUE = (
    b"AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8"
)
V4 = (b"Authorization", V4_VALUE)
V4_DATE = (b"X-Amz-Date", b"20130524T000000Z")
PRESIGNED_V4 = (
    b"/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20130524"
    b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
    b"&X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature=ab"
)
HTTP_DATE = (b"Date", b"Fri, 24 May 2013 00:00:00 GMT")


def get(*headers: Header, target: bytes = b"/b/k") -> RequestHead:
    """
    Make a GET.
    """
    return RequestHead(b"GET", target, headers)


class SignedHeadersTests(SynchronousTestCase):
    """
    Each scheme names the headers it covers, or covers none that could be named.
    """

    def test_named(self) -> None:
        """
        V4 in the header or the query, and OSS V2 and V4, name what they cover.
        """
        oss2 = b"OSS2 AccessKeyId:AK,AdditionalHeaders:range;Host,Signature:ab=="
        oss4 = (
            b"OSS4-HMAC-SHA256 Credential=AK/20130524/cn/oss/aliyun_v4_request,"
            b"AdditionalHeaders=range,Signature=ab"
        )
        oss_query = b"/k?x-oss-signature=a&x-oss-additional-headers=range%3Bhost"
        for head, names in (
            (get(V4), b"host range x-amz-content-sha256 x-amz-date"),
            (get((b"authorization", V4_VALUE.replace(b", ", b","))), None),
            (get(target=PRESIGNED_V4), b"host range"),
            (get((b"Authorization", oss2)), b"range host"),
            (get((b"Authorization", oss4)), b"range"),
            (get(target=oss_query), b"range host"),
        ):
            expected = names or b"host range x-amz-content-sha256 x-amz-date"
            self.assertEqual(signed_headers(head), frozenset(expected.split()))

    def test_none(self) -> None:
        """
        Anonymous requests, and schemes that cannot cover Range, give the empty set.
        """
        for head in (
            get(),
            get(target=b"/b/k?x-id=GetObject"),
            get((b"Authorization", b"AWS AK:c2ln")),
            get((b"Authorization", b"OSS AK:c2ln")),
            get((b"Authorization", b"Bearer t")),
            get((b"Authorization", b"OSS2 AccessKeyId:AK,Signature:ab")),
            get((b"Authorization", b"OSS4-HMAC-SHA256 Credential=a,Signature=b")),
            get(target=b"/b/k?AWSAccessKeyId=A&Expires=1&Signature=x"),
            get(target=b"/b/k?OSSAccessKeyId=A&Expires=1&Signature=x"),
            get(target=b"/b/k?x-oss-signature-version=OSS2&x-oss-signature=x"),
        ):
            self.assertEqual(signed_headers(head), frozenset(), head)

    def test_unknown(self) -> None:
        """
        What is signed in an unknown or contradictory way must be taken as covering
        everything.
        """
        for head in (
            get((b"Authorization", b"AWS5 SignedHeaders=host")),
            get((b"Authorization", b"AWS4-HMAC-SHA256 Signature=ab")),
            get((b"Authorization", b"")),
            get(V4, V4),
            get(V4, target=PRESIGNED_V4),
            get(target=b"/b/k?X-Amz-Signature=ab"),
        ):
            self.assertIsNone(signed_headers(head), head)

    @given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40))
    def test_noise(self, authorization: bytes, query: bytes, date: bytes) -> None:
        """
        Nothing in a request makes the functions fail.
        """
        for target in (b"/?" + query, b"/?Signature=&Expires=" + query):
            for headers in (
                (),
                ((b"Authorization", authorization), (b"Date", date)),
                ((b"Authorization", b"AWS4-X " + authorization), (b"X-Amz-Date", date)),
            ):
                head = get(*headers, target=target)
                signed_headers(head)
                usable_until(head, NOW)


class UsableUntilTests(SynchronousTestCase):
    """
    A signature is used again only while stores take it.
    """

    def test_dated(self) -> None:
        """
        A signature in the header holds for a time after its date, in any form.
        """
        aws = (b"Authorization", b"AWS AK:c2ln")
        oss = (b"Authorization", b"OSS AK:c2ln")
        zone = (b"Date", b"Fri, 24 May 2013 02:00:00 +0200")
        for headers in (
            (V4, V4_DATE),
            (V4, HTTP_DATE),
            (V4, V4_DATE, (b"Date", b"Sat, 25 May 2013 00:00:00 GMT")),
            (aws, HTTP_DATE),
            (aws, zone),
            (oss, (b"x-oss-date", HTTP_DATE[1])),
            (oss, (b"x-oss-date", V4_DATE[1])),
        ):
            until = usable_until(get(*headers), NOW)
            self.assertEqual(until, NOW + HEADER_LIFE - MARGIN, headers)

    def test_presigned(self) -> None:
        """
        A presigned URL holds until it expires.
        """
        oss4 = (
            b"/k?x-oss-date=20130524T000000Z&x-oss-expires=60"
            b"&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-signature=a"
        )
        for target, end in (
            (PRESIGNED_V4, NOW + 86400),
            (b"/k?AWSAccessKeyId=A&Expires=1369353700&Signature=x", NOW + 100),
            (b"/k?OSSAccessKeyId=A&Expires=1369353700&Signature=x", NOW + 100),
            (b"/k?x-oss-expires=1369353700&x-oss-signature=x", NOW + 100),
            (oss4, NOW + 60),
        ):
            until = usable_until(get(target=target), 0.0)
            self.assertEqual(until, end - MARGIN, target)

    def test_anonymous(self) -> None:
        """
        Without a signature there is no limit.
        """
        self.assertIsNone(usable_until(get(HTTP_DATE), NOW))

    def test_unreadable(self) -> None:
        """
        A signature without a readable date is not used again.
        """
        for head in (
            get(V4),
            get(V4, (b"X-Amz-Date", b"20131324T000000Z")),
            get(V4, (b"X-Amz-Date", b"yesterday")),
            get(V4, (b"X-Amz-Date", b"x" * 1000)),
            get(target=b"/k?X-Amz-Signature=x&X-Amz-Date=20130524T000000Z"),
            get(target=b"/k?X-Amz-Signature=x&X-Amz-Date=no&X-Amz-Expires=1"),
            get(target=b"/k?Signature=x&Expires=-1"),
        ):
            self.assertEqual(usable_until(head, NOW), NOW, head)

"""
Tests for :mod:`eliop2p.signing.v4`: every rule that S3 has for Signature V4.
"""

import attrs

from eliop2p.http1.dates import http_date
from eliop2p.http1.message import RequestHead
from eliop2p.signing.admission import verifiers
from eliop2p.signing.aws import EMPTY_SHA256
from eliop2p.signing.resource import path_style
from tests.signing.v4_case import (
    AKID,
    DATED,
    EMPTY,
    HOST,
    NOW,
    V4Case,
    authorization,
    client,
    get,
    signed,
    with_signature,
)


class ExampleTests(V4Case):
    """
    The signatures in AWS's documentation ("Signature Calculations for the Authorization
    Header" and "Authenticating Requests: Using Query Parameters").
    """

    def test_get_with_range(self) -> None:
        """
        GET of an object, with a signed Range.
        """
        head = RequestHead(
            b"GET",
            b"/test.txt",
            (
                HOST,
                (b"Range", b"bytes=0-9"),
                EMPTY,
                DATED,
                authorization(
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                    "host;range;x-amz-content-sha256;x-amz-date",
                ),
            ),
        )
        rest = self.admit(head)
        self.assertEqual(rest.target, b"/test.txt")
        self.assertEqual(
            [name for name, _ in rest.headers],
            [b"Host", b"Range", b"x-amz-content-sha256"],
        )

    def test_list(self) -> None:
        """
        A list, with parameters.
        """
        head = RequestHead(
            b"GET",
            b"/?max-keys=2&prefix=J",
            (
                HOST,
                EMPTY,
                DATED,
                authorization(
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                    "host;x-amz-content-sha256;x-amz-date",
                ),
            ),
        )
        self.admit(head)

    def test_url(self) -> None:
        """
        A presigned URL that lasts a day, and no longer.
        """
        head = RequestHead(
            b"GET",
            b"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            b"AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
            b"&X-Amz-SignedHeaders=host&X-Amz-Signature="
            b"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            (HOST,),
        )
        self.assertEqual(self.admit(head).target, b"/test.txt")
        self.admit(head, NOW + 86399)
        self.assert_refused("AccessDenied", "has expired", head, NOW + 86400)
        self.assert_refused("AccessDenied", "not valid yet", head, NOW - 901)


class HeaderTests(V4Case):
    """
    Signatures in the header, and the ways in which they are refused.
    """

    def test_good(self) -> None:
        """
        The helper of these tests signs well.
        """
        self.admit(with_signature(get()))

    def test_raw_targets(self) -> None:
        """
        Paths are taken as sent, queries sorted as sent, names without values included.
        """
        for target in (
            b"/bkt/a//b/./../c",
            b"/bkt/%7Et%20%2B+",
            b"/bkt?b&a=2&a=1&A=%C3%A9",
            b"//bkt//",
        ):
            head = with_signature(get(target=target))
            self.assertEqual(self.admit_path(head), target)

    def test_canonical_targets(self) -> None:
        """
        A signature over the target in its canonical form does as well: some clients
        sign that, and send another that names the same.
        """
        for sent, canonical in (
            (b"/bkt/k?uploadId=2%7E-x", b"/bkt/k?uploadId=2~-x"),
            (b"/bkt/%6b%2Fl?acl", b"/bkt/k/l?acl"),
            (b"/bkt/a+b", b"/bkt/a%2Bb"),
        ):
            signed_head = with_signature(get(target=canonical))
            self.admit_path(attrs.evolve(signed_head, target=sent))
        plus = attrs.evolve(with_signature(get(target=b"/bkt?prefix=a%2Bb")))
        other = attrs.evolve(plus, target=b"/bkt?prefix=a+b")
        self.assert_refused("SignatureDoesNotMatch", "Check your key", other)

    def admit_path(self, head: RequestHead) -> bytes:
        """
        Check the signature alone, whatever the target may mean.
        """
        (check, _) = verifiers("s3", "us-east-1")
        proof = check(head, path_style(head.target), {AKID: client()}, NOW)
        assert proof is not None
        return head.target

    def test_repeated_headers(self) -> None:
        """
        A header that stands there twice is signed as the list that it is, and white
        space in values counts once.
        """
        head = get((b"x-amz-meta-a", b"one"), (b"x-amz-meta-a", b"two   three"))
        self.admit(with_signature(head))

    def test_http_date(self) -> None:
        """
        A Date in HTTP's form does where x-amz-date is missing.
        """
        bare = RequestHead(b"GET", b"/bkt/k", (HOST, EMPTY, (b"Date", http_date(NOW))))
        self.admit(with_signature(bare))

    def test_skew(self) -> None:
        """
        A quarter of an hour either way is borne, and not a second more.
        """
        head = with_signature(get())
        for now in (NOW - 900, NOW + 900):
            self.admit(head, now)
        for now in (NOW - 901, NOW + 901):
            self.assert_refused("RequestTimeTooSkewed", "too large", head, now)

    def test_no_date(self) -> None:
        """
        A request that does not say when it was signed is refused.
        """
        bare = RequestHead(b"GET", b"/bkt/k", (HOST, EMPTY))
        self.assert_refused("AccessDenied", "valid Date", with_signature(bare))

    def test_scope(self) -> None:
        """
        A signature is for this region, this service and the day on which it was made.
        """
        for credential, part in (
            (f"{AKID}/20130524/eu-west-1/s3/aws4_request", "the region 'eu-west-1'"),
            (f"{AKID}/20130524/us-east-1/ec2/aws4_request", "incorrect service 'ec2'"),
            (f"{AKID}/20130523/us-east-1/s3/aws4_request", "Invalid credential date"),
            (f"{AKID}/20130524/us-east-1/s3/aws5_request", "mal-formed"),
            (AKID, "mal-formed"),
        ):
            names = "host;x-amz-content-sha256;x-amz-date"
            head = get(authorization(signed(get()), names, credential))
            self.assert_refused("AuthorizationHeaderMalformed", part, head)

    def test_malformed(self) -> None:
        """
        A header whose parts are missing, strange or double is refused.
        """
        good = dict(with_signature(get()).headers)[b"Authorization"]
        for text in (
            good.replace(b"Signature=", b"Sig="),
            good.partition(b",Signature")[0],
            good + b",Signature=00",
            b"AWS4-HMAC-SHA256",
        ):
            head = get((b"Authorization", text))
            self.assert_refused("AuthorizationHeaderMalformed", "malformed", head)

    def test_unsigned(self) -> None:
        """
        Host and every x-amz-* header must be signed; others need not be.
        """
        head = with_signature(get())
        self.admit(head.adding((b"Range", b"bytes=0-1"), (b"If-Match", b"x")))
        added = head.adding((b"X-Amz-Meta-A", b"1"))
        self.assert_refused("AccessDenied", "not signed: x-amz-meta-a", added)
        bare = RequestHead(b"GET", b"/bkt/k", (DATED, EMPTY))
        hosted = with_signature(bare).adding(HOST)
        self.assert_refused("AccessDenied", "not signed: host", hosted)

    def test_changed(self) -> None:
        """
        A signed header that is changed or left out spoils the signature.
        """
        head = with_signature(get((b"x-amz-meta-a", b"1"), (b"Range", b"bytes=0-1")))
        dropped = head.without(frozenset((b"range",)))
        self.assert_refused("SignatureDoesNotMatch", "Check your key", dropped)
        changed = dropped.adding((b"Range", b"bytes=0-2"))
        self.assert_refused("SignatureDoesNotMatch", "Check your key", changed)
        strange = get((b"x-amz-meta-a", b"\xff"))
        bad = strange.adding(
            authorization("00", "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a")
        )
        self.assert_refused("SignatureDoesNotMatch", "Check your key", bad)

    def test_payload(self) -> None:
        """
        The header must say what the body's hash is, in a way that can be understood.
        """
        bare = RequestHead(b"GET", b"/bkt/k", (HOST, DATED))
        head = with_signature(bare)
        self.assert_refused("InvalidRequest", "x-amz-content-sha256", head)
        for said in ("", "STREAMING-SOMETHING", EMPTY_SHA256[:-1]):
            header = (b"x-amz-content-sha256", said.encode())
            head = with_signature(bare.adding(header), payload=said)
            self.assert_refused("InvalidArgument", "x-amz-content-sha256 must be", head)

    def test_two_signatures(self) -> None:
        """
        Which of two signatures counts is anybody's guess: neither does.
        """
        head = with_signature(get())
        twice = head.adding((b"Authorization", b"AWS a:b"))
        self.assert_refused("InvalidArgument", "Only one auth", twice)
        both = attrs.evolve(head, target=b"/bkt/k?X-Amz-Algorithm=AWS4-HMAC-SHA256")
        self.assert_refused("InvalidArgument", "Only one auth", both)
        older = attrs.evolve(head, target=b"/bkt/k?AWSAccessKeyId=a")
        code, _ = self.refusal(older)
        self.assertEqual(code, "SignatureDoesNotMatch")

    def test_other_kinds(self) -> None:
        """
        What cannot be checked here is refused by name, what is not signed at all is
        not let in.
        """
        head = get((b"Authorization", b"AWS4-ECDSA-P256-SHA256 Credential=a"))
        self.assert_refused("InvalidRequest", "not supported", head)
        for headers in ((), ((b"Authorization", b"Basic YTpi"),)):
            self.assert_refused("AccessDenied", "not signed", get(*headers))
        self.assert_refused(
            "InvalidArgument", "invalid", get((b"Authorization", b"AWS nothing"))
        )

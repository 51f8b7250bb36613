"""
Tests for :mod:`eliop2p.proxy.request`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import RequestHead
from eliop2p.model.chunk import ObjectKey
from eliop2p.model.ranges import RangeSpec
from eliop2p.model.store import Place, StoreAddress
from eliop2p.proxy.request import ReadObject, Relay, classify, forwarded, record_ids

STORE = b"http://store:9000"
PLACE = Place(StoreAddress(STORE), "")
HOST = (b"Host", b"node:8080")
SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=A/20260101/r/s3/aws4_request, "
    b"SignedHeaders=%s, Signature=0"
)


def get(target: bytes, *headers: tuple[bytes, bytes]) -> RequestHead:
    """
    Make a GET.
    """
    return RequestHead(b"GET", target, (HOST, *headers))


class ReadTests(SynchronousTestCase):
    """
    Which requests are plain reads of objects.
    """

    def plan(self, head: RequestHead) -> ReadObject:
        """
        Classify a head that must be a read.
        """
        plan = classify(head, PLACE)
        assert isinstance(plan, ReadObject), plan
        return plan

    def test_plain(self) -> None:
        """
        A GET of a path-style target reads the object it names.
        """
        plan = self.plan(get(b"/bkt/a/b.bin"))
        self.assertEqual(plan.key, ObjectKey(STORE, b"bkt", b"a/b.bin"))
        self.assertIsNone(plan.range)

    def test_key_is_literal(self) -> None:
        """
        Dots and empty segments stay; percent escapes are decoded; plus stays plus.
        """
        for target, key in (
            (b"/b/a/./../c", b"a/./../c"),
            (b"/b/a//c", b"a//c"),
            (b"/b/a%2Fb+c%20d", b"a/b+c d"),
            (b"/b//lead", b"/lead"),
        ):
            self.assertEqual(self.plan(get(target)).key.key, key)

    def test_queries_that_read(self) -> None:
        """
        Signatures and the JavaScript SDK's x-id do not change what is read.
        """
        for query in (
            b"x-id=GetObject",
            (
                b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0&X-Amz-Date=d"
                b"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Credential=c"
            ),
            b"AWSAccessKeyId=a&Signature=s&Expires=1",
            b"OSSAccessKeyId=a&Signature=s&Expires=1&security-token=t",
        ):
            plan = self.plan(get(b"/b/k?" + query))
            self.assertEqual(plan.key, ObjectKey(STORE, b"b", b"k"))

    def test_version(self) -> None:
        """
        A version id is part of the object's name.
        """
        plan = self.plan(get(b"/b/k?versionId=v%201"))
        self.assertEqual(plan.key.version_id, b"v 1")

    def test_range_under_the_signature(self) -> None:
        """
        Whether other ranges may be asked for depends on what the signature covers.
        """
        for covered, signed in ((b"host;range;x-amz-date", True), (b"host", False)):
            head = get(
                b"/b/k",
                (b"Range", b"bytes=0-9"),
                (b"Authorization", SIGNED % covered),
            )
            plan = self.plan(head)
            self.assertEqual(plan.range, RangeSpec(0, 9))
            self.assertEqual(plan.range_signed, signed)

    def test_checksum_mode_is_another_head(self) -> None:
        """
        Answers with and without checksums are remembered apart, for the same chunks.
        """
        plain = self.plan(get(b"/b/k"))
        checked = self.plan(get(b"/b/k", (b"x-amz-checksum-mode", b"ENABLED")))
        self.assertEqual(plain.key, checked.key)
        self.assertNotEqual(plain.record_id, checked.record_id)
        self.assertEqual(record_ids(plain.key), (plain.record_id, checked.record_id))

    def test_if_match(self) -> None:
        """
        The ETag that a client insists on is known without its quotes.
        """
        self.assertEqual(self.plan(get(b"/b/k", (b"If-Match", b'"e"'))).if_match, b"e")
        self.assertEqual(self.plan(get(b"/b/k", (b"If-Match", b"e"))).if_match, b"e")
        since = get(b"/b/k", (b"If-Unmodified-Since", b"then"))
        self.assertEqual(self.plan(since).unmodified_since, b"then")


class RelayTests(SynchronousTestCase):
    """
    Which requests are for the store alone.
    """

    def test_not_an_object(self) -> None:
        """
        Service and bucket targets, and those that are not path style, are relayed.
        """
        for target in (b"/", b"/bkt", b"/bkt/", b"//b/k", b"*", b"http://h/b/k"):
            self.assertEqual(classify(get(target), PLACE), Relay())

    def test_queries(self) -> None:
        """
        A query key that is not known to leave a read plain is relayed.
        """
        for query in (
            *(b"acl", b"tagging", b"uploads", b"partNumber=1", b"list-type=2"),
            *(b"response-content-type=a", b"x-oss-process=image", b"versionId="),
            *(b"x-id=HeadObject", b"versionId=a&versionId=b", b"unheard-of", b"&"),
        ):
            self.assertEqual(classify(get(b"/b/k?" + query), PLACE), Relay(), query)

    def test_ranges(self) -> None:
        """
        A range that origins treat differently is relayed.
        """
        for value in (
            *(b"bytes=0-1,3-4", b"bytes=5-2", b"bytes=-0", b"items=0-1", b"abc"),
            *(b"bytes=-", b"bytes= 0-1", b"bytes=0x1-2", b""),
        ):
            head = get(b"/b/k", (b"Range", value))
            self.assertEqual(classify(head, PLACE), Relay(), value)
        twice = get(b"/b/k", (b"Range", b"bytes=0-1"), (b"Range", b"bytes=2-3"))
        self.assertEqual(classify(twice, PLACE), Relay())

    def test_headers(self) -> None:
        """
        Conditions of the client, CORS, SSE-C and request bodies are relayed.
        """
        for header in (
            (b"If-None-Match", b'"e"'),
            (b"If-Modified-Since", b"x"),
            (b"If-Range", b'"e"'),
            (b"Origin", b"http://a"),
            (b"X-Amz-Server-Side-Encryption-Customer-Algorithm", b"AES256"),
            (b"Content-Length", b"5"),
            (b"Transfer-Encoding", b"chunked"),
        ):
            self.assertEqual(classify(get(b"/b/k", header), PLACE), Relay(), header)

    def test_writes_name_their_object(self) -> None:
        """
        A request that may change an object names it, so that it can be forgotten.
        """
        for method in (b"PUT", b"POST", b"DELETE"):
            head = RequestHead(method, b"/b/k?uploadId=u", (HOST,))
            self.assertEqual(classify(head, PLACE), Relay(ObjectKey(STORE, b"b", b"k")))


class ForwardedTests(SynchronousTestCase):
    """
    What goes on to the store.
    """

    def test_hop_by_hop(self) -> None:
        """
        Only headers about the connection are left out; all else keeps name, order and
        value.
        """
        head = get(
            b"/b/k",
            (b"x-AMZ-date", b"d"),
            (b"Connection", b"keep-alive, X-Private"),
            (b"Keep-Alive", b"5"),
            (b"X-Private", b"1"),
            (b"Proxy-Connection", b"keep-alive"),
            (b"Accept-Encoding", b"identity"),
        )
        self.assertEqual(
            forwarded(head).headers,
            (HOST, (b"x-AMZ-date", b"d"), (b"Accept-Encoding", b"identity")),
        )

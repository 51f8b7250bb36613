"""
Tests for :mod:`eliop2p.proxy.heads`.
"""

import xml.etree.ElementTree as ET

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.model.chunk import ObjectKey
from eliop2p.model.ranges import Interval, RangeSpec, parse_range
from eliop2p.proxy.heads import (
    conditions,
    confirms,
    contradicts,
    error_answer,
    hit_head,
    insists_on,
    learn,
    onward,
    parse_kept,
    settle_oss,
    settle_s3,
    upstream_id,
)
from eliop2p.proxy.part_style import PartStyle
from eliop2p.proxy.request import ReadObject

KEY = ObjectKey(b"http://s", b"b", b"k")
MODIFIED = b"Mon, 02 Mar 2026 00:00:00 GMT"
WHOLE = ResponseHead(
    200,
    b"OK",
    (
        (b"Content-Length", b"100"),
        (b"ETag", b'"e"'),
        (b"x-amz-request-id", b"one"),
        (b"Last-Modified", MODIFIED),
        (b"x-amz-meta-CamelCase", b"kept"),
        (b"x-amz-checksum-crc32", b"AAAA"),
        (b"Date", b"then"),
    ),
)
FRESH = ResponseHead(304, b"Not Modified", ((b"x-amz-request-id", b"two"),))


def plan(wanted: RangeSpec | None = None) -> ReadObject:
    """
    Make a read.
    """
    return ReadObject(KEY, wanted, False, None, None, b"")


def replaced(head: ResponseHead, *headers: Header) -> ResponseHead:
    """
    Put headers in the place of those of the same name.
    """
    names = frozenset(name.lower() for name, _ in headers)
    return head.without(names).adding(*headers)


class OnwardTests(SynchronousTestCase):
    """
    What of an answer goes on to clients.
    """

    def test_store(self) -> None:
        """
        A store's head goes on as it is, but for what belongs to the connection; so does
        what a cache that is no node says of itself.
        """
        head = WHOLE.adding((b"X-Cache", b"Hit from afar"))
        self.assertEqual(onward(head.adding((b"Connection", b"close"))), head)
        self.assertEqual(upstream_id(head), "")

    def test_node(self) -> None:
        """
        What another node says of its own work does not, but its name for the request is
        known; one that no node would give is none.
        """
        said = (
            (b"X-Cache", b"MISS"),
            (b"X-Elio-Request-Id", b"00ff"),
            (b"X-Elio-Source", b"memory=1"),
        )
        head = WHOLE.adding(*said)
        self.assertEqual(onward(head), WHOLE)
        self.assertEqual(upstream_id(head), "00ff")
        for odd in (b"", b"a b", b"\xff", b"<x>"):
            forged = WHOLE.adding((b"X-Elio-Request-Id", odd))
            self.assertEqual(upstream_id(forged), "")

    def test_kept(self) -> None:
        """
        None of it is remembered.
        """
        head = WHOLE.adding((b"X-Elio-Request-Id", b"00ff"), (b"X-Cache", b"HIT"))
        learnt = learn(plan(), head, 10)
        assert learnt is not None
        self.assertEqual(parse_kept(learnt[0].head), WHOLE)


class HeadTests(SynchronousTestCase):
    """
    What the answer to a HEAD says of a belief.
    """

    def test_contradiction(self) -> None:
        """
        Another size, ETag, Last-Modified, version or metadata contradict a belief, and
        so does that the object is gone; what is not said does not.
        """
        found = learn(plan(), WHOLE, 64)
        assert found is not None
        belief = found[0]
        silent = frozenset((b"content-length", b"etag", b"last-modified"))
        for head, expected in (
            (WHOLE, False),
            (replaced(WHOLE, (b"x-amz-request-id", b"two")), False),
            (replaced(WHOLE, (b"X-AMZ-Meta-Camelcase", b"kept")), False),
            (WHOLE.without(silent), False),
            (replaced(WHOLE, (b"Content-Length", b"99")), True),
            (replaced(WHOLE, (b"ETag", b'"f"')), True),
            (replaced(WHOLE, (b"Last-Modified", b"now")), True),
            (WHOLE.adding((b"x-amz-version-id", b"v2")), True),
            (replaced(WHOLE, (b"x-amz-meta-CamelCase", b"other")), True),
            (WHOLE.without(frozenset((b"x-amz-meta-camelcase",))), True),
            (WHOLE.adding((b"x-oss-meta-more", b"1")), True),
            (ResponseHead(404, b"Not Found", WHOLE.headers), True),
        ):
            self.assertEqual(contradicts(belief, head), expected, head)


class LearnTests(SynchronousTestCase):
    """
    What is worth remembering.
    """

    def test_whole(self) -> None:
        """
        A 200 with a strong ETag and a length is remembered with its head as it was.
        """
        found = learn(plan(), WHOLE, 64)
        assert found is not None
        record, part = found
        self.assertEqual((record.version.etag, record.version.size), (b'"e"', 100))
        self.assertEqual(part, Interval(0, 100))
        self.assertEqual(parse_kept(record.head), WHOLE)

    def test_not_kept(self) -> None:
        """
        Answers that are not plain, strong and of known length are not remembered.
        """
        for head in (
            replaced(WHOLE, (b"ETag", b'W/"e"')),
            replaced(WHOLE, (b"ETag", b"e")),
            WHOLE.without(frozenset((b"etag",))),
            WHOLE.without(frozenset((b"content-length",))),
            replaced(WHOLE, (b"Content-Length", b"-1")),
            WHOLE.adding((b"Transfer-Encoding", b"chunked")),
            WHOLE.adding((b"Cache-Control", b"private, no-store")),
            WHOLE.adding((b"Set-Cookie", b"a=b")),
            WHOLE.adding(
                (b"Content-Encoding", b"gzip"), (b"Vary", b"Origin, Accept-Encoding")
            ),
            WHOLE.adding((b"x-amz-server-side-encryption", b"aws:kms")),
            WHOLE.adding((b"x-amz-meta-long", b"x" * 96 * 1024)),
            ResponseHead(203, b"", WHOLE.headers),
        ):
            self.assertIsNone(learn(plan(), head, 64))

    def test_part(self) -> None:
        """
        A 206 is believed only when it is exactly the range that was asked for.
        """
        head = replaced(
            WHOLE, (b"Content-Length", b"10"), (b"Content-Range", b"bytes 5-14/100")
        )
        part = ResponseHead(206, b"Partial Content", head.headers)
        found = learn(plan(RangeSpec(5, 14)), part, 64)
        assert found is not None
        self.assertEqual(found[1], Interval(5, 15))
        self.assertEqual(found[0].version.size, 100)
        self.assertFalse(found[0].whole)
        for wanted in (RangeSpec(5, 15), RangeSpec(0, 9), RangeSpec(None, 10), None):
            self.assertIsNone(learn(plan(wanted), part, 64))
        lying = replaced(part, (b"Content-Range", b"bytes 5-20/100"))
        self.assertIsNone(learn(plan(RangeSpec(5, 20)), lying, 64))

    def test_range_ignored(self) -> None:
        """
        A 200 to a ranged request is not taken for the range.
        """
        self.assertIsNone(learn(plan(RangeSpec(0, 9)), WHOLE, 64))


class HitTests(SynchronousTestCase):
    """
    The heads of answers from the cache.
    """

    def setUp(self) -> None:
        """
        Remember the object.
        """
        found = learn(plan(), WHOLE, 64)
        assert found is not None
        self.record = found[0]
        self.kept = parse_kept(self.record.head)

    def test_whole(self) -> None:
        """
        Names, case and order are the store's; what belongs to one answer is fresh.
        """
        head = hit_head(self.kept, FRESH, self.record.version, None, PartStyle())
        expected = tuple(
            (name, b"two" if name == b"x-amz-request-id" else value)
            for name, value in WHOLE.headers
            if name != b"Date"
        )
        self.assertEqual((head.status, head.headers), (200, expected))

    def test_said_anew(self) -> None:
        """
        What the store says otherwise in its 304 has changed, except of the content,
        which a 304 does not have; what it says more than once is let be.
        """
        kept = self.kept.adding(
            *((b"X-Amz-Expiration", b"old"), (b"Content-Type", b"a/b")),
            *((b"Link", b"1"), (b"Link", b"2"), (b"X-One", b"1")),
        )
        fresh = FRESH.adding(
            *((b"x-amz-expiration", b"new"), (b"content-type", b"text/html")),
            *((b"content-length", b"0"), (b"link", b"3"), (b"x-added", b"1")),
            *((b"x-one", b"2"), (b"x-one", b"3")),
        )
        head = hit_head(kept, fresh, self.record.version, None, PartStyle())
        self.assertEqual(
            head.headers[-5:],
            (
                *((b"X-Amz-Expiration", b"new"), (b"Content-Type", b"a/b")),
                *((b"Link", b"1"), (b"Link", b"2"), (b"X-One", b"1")),
            ),
        )
        self.assertEqual(head.get(b"content-length"), b"100")

    def test_part(self) -> None:
        """
        A part has its own length and range, and no checksum of the whole.
        """
        head = hit_head(
            self.kept, FRESH, self.record.version, Interval(10, 20), PartStyle()
        )
        self.assertEqual(head.status, 206)
        self.assertEqual(head.get(b"content-length"), b"10")
        self.assertEqual(head.get(b"content-range"), b"bytes 10-19/100")
        self.assertIsNone(head.get(b"x-amz-checksum-crc32"))
        self.assertEqual(head.get(b"x-amz-meta-camelcase"), b"kept")

    def test_part_that_is_all(self) -> None:
        """
        A range that covers the object is still a part, with its Content-Range: clients
        that asked for a range refuse a 200.
        """
        head = hit_head(
            self.kept, FRESH, self.record.version, Interval(0, 100), PartStyle()
        )
        self.assertEqual(head.status, 206)
        self.assertEqual(head.get(b"content-length"), b"100")
        self.assertEqual(head.get(b"content-range"), b"bytes 0-99/100")

    def test_confirmation(self) -> None:
        """
        A 304 that names another ETag or time does not confirm what is remembered.
        """
        self.assertTrue(confirms(self.kept, FRESH))
        self.assertTrue(confirms(self.kept, FRESH.adding((b"ETag", b'"e"'))))
        self.assertFalse(confirms(self.kept, FRESH.adding((b"ETag", b'"f"'))))
        self.assertFalse(confirms(self.kept, FRESH.adding((b"Last-Modified", b"x"))))

    def test_conditions(self) -> None:
        """
        A hit is authorised by If-None-Match, and If-Unmodified-Since where known.
        """
        self.assertEqual(
            conditions(plan(), self.record, self.kept),
            ((b"If-None-Match", b'"e"'), (b"If-Unmodified-Since", MODIFIED)),
        )
        asked = attrs.evolve(plan(), unmodified_since=MODIFIED)
        self.assertEqual(
            conditions(asked, self.record, self.kept), ((b"If-None-Match", b'"e"'),)
        )

    def test_insistence(self) -> None:
        """
        A client may insist on the version that is remembered, by ETag or time.
        """
        for etag, since, expected in (
            (None, None, True),
            (b"e", None, True),
            (b"f", None, False),
            (None, MODIFIED, True),
            (None, b"another time", False),
        ):
            asked = attrs.evolve(plan(), if_match=etag, unmodified_since=since)
            self.assertEqual(insists_on(asked, self.record, self.kept), expected)

    def test_record_from_a_stranger(self) -> None:
        """
        A record whose head is not a kept answer is refused.
        """
        for data in (
            b"",
            b"HTTP/1.1 500 No\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad\r\n\r\n",
        ):
            self.assertRaises(RemoteProtocolError, parse_kept, data)


class SettleTests(SynchronousTestCase):
    """
    What stores take a range for, of an object of 100 bytes.
    """

    def settled(self, text: bytes, *headers: Header) -> str:
        """
        Tell what OSS makes of a range: the same, the whole, or only OSS knows.
        """
        wanted = plan(parse_range(b"bytes=" + text))
        found = settle_oss(wanted, RequestHead(b"GET", b"/b/k", headers), 100)
        if found is None:
            return "store"
        return "same" if found == wanted else "whole"

    def test_oss(self) -> None:
        """
        A range that does not lie within the object is ignored; of a suffix that is too
        long the store is asked.
        """
        for text, expected in (
            (b"0-99", "same"),
            (b"99-", "same"),
            (b"-100", "same"),
            (b"0-100", "whole"),
            (b"100-", "whole"),
            (b"200-300", "whole"),
            (b"-101", "store"),
        ):
            self.assertEqual(self.settled(text), expected, text)

    def test_oss_by_the_standard(self) -> None:
        """
        With x-oss-range-behavior a range is cut as everywhere else.
        """
        header = (b"x-oss-range-behavior", b"standard")
        self.assertEqual(self.settled(b"0-100", header), "same")
        self.assertEqual(self.settled(b"-101", header), "same")
        self.assertEqual(self.settled(b"100-", header), "store")

    def test_s3(self) -> None:
        """
        S3 cuts a range at the end, and refuses one that begins behind it itself.
        """
        head = RequestHead(b"GET", b"/b/k")
        cut = plan(parse_range(b"bytes=0-100"))
        self.assertEqual(settle_s3(cut, head, 100), cut)
        self.assertIsNone(settle_s3(plan(parse_range(b"bytes=100-")), head, 100))
        self.assertEqual(settle_s3(plan(), head, 0), plan())


class ErrorTests(SynchronousTestCase):
    """
    Answers of our own.
    """

    def test_form(self) -> None:
        """
        They are S3's XML, with the request id, and say when to try again.
        """
        head, body = error_answer(503, "SlowDown", "a < b", "id1")
        root = ET.fromstring(body)
        self.assertEqual(
            [(child.tag, child.text) for child in root],
            [("Code", "SlowDown"), ("Message", "a < b"), ("RequestId", "id1")],
        )
        self.assertEqual(head.get(b"content-length"), b"%d" % len(body))
        self.assertEqual(head.get(b"retry-after"), b"1")

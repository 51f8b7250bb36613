"""
Tests for :mod:`eliop2p.proxy.part_style`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import ResponseHead
from eliop2p.model.chunk import ObjectVersion
from eliop2p.model.ranges import Interval
from eliop2p.proxy.heads import part_of
from eliop2p.proxy.part_style import PartStyle, PartStyles

STORE = b"http://s"
SIZE = 100
LENGTH = (b"Content-Length", b"100")
ETAG = (b"ETag", b'"e"')
DATE = (b"Date", b"now")
WHOLE = ResponseHead(200, b"OK", (ETAG, LENGTH, DATE))


def part(styles: PartStyles) -> ResponseHead:
    """
    Make the head of ten bytes.
    """
    version = ObjectVersion(b'"e"', SIZE)
    return part_of(WHOLE, version, Interval(10, 20), styles.of(STORE))


class StyleTests(SynchronousTestCase):
    """
    Where Content-Range goes, and how it is written.
    """

    def test_as_the_store(self) -> None:
        """
        Parts look as the last that the store wrote itself.
        """
        length = (b"Content-Length", b"10")
        for name, place in (
            (b"Content-Range", 0),
            (b"content-range", 1),
            (b"CONTENT-RANGE", 3),
        ):
            headers = [ETAG, length, DATE]
            headers.insert(place, (name, b"bytes 10-19/100"))
            said = ResponseHead(206, b"PARTIAL", tuple(headers))
            styles = PartStyles()
            styles.note(STORE, said)
            self.assertEqual(part(styles), said)

    def test_default(self) -> None:
        """
        What has not been seen goes behind Content-Length; answers that are no parts,
        and those of other stores, say nothing.
        """
        styles = PartStyles()
        styles.note(STORE, WHOLE)
        styles.note(
            b"http://other", ResponseHead(206, b"X", ((b"Content-RANGE", b""),))
        )
        self.assertEqual(styles.of(STORE), PartStyle())
        names = [name for name, _ in part(styles).headers]
        self.assertEqual(names, [b"ETag", b"Content-Length", b"Content-Range", b"Date"])

    def test_missing_neighbour(self) -> None:
        """
        Where the header before it is not there, it goes behind Content-Length.
        """
        styles = PartStyles()
        head = ResponseHead(206, b"", ((b"X-Own", b""), (b"Content-Range", b"")))
        styles.note(STORE, head)
        names = [name for name, _ in part(styles).headers]
        self.assertEqual(names, [b"ETag", b"Content-Length", b"Content-Range", b"Date"])

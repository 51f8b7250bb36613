"""
Tests for :mod:`eliop2p.storage.conditions`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import Interval
from eliop2p.storage.conditions import Outcome, State, decide

STATE = State(b'"e-1"', 784_111_777, 100)
AT = b"Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"


def outcome(**headers: bytes) -> Outcome:
    """
    Decide a GET with the given headers.
    """
    named = tuple(
        (name.replace("_", "-").encode(), value) for name, value in headers.items()
    )
    return decide(RequestHead(b"GET", b"/b/k", named), STATE)


class ConditionsTests(SynchronousTestCase):
    """
    Conditions are applied in the order of RFC 9110.
    """

    def test_each(self) -> None:
        """
        Each condition alone holds or fails by the ETag or the date.
        """
        for name, value, status in (
            ("If_Match", b'"e-1"', 200),
            ("If_Match", b"e-1", 200),
            ("If_Match", b"*", 200),
            ("If_Match", b'"x", "e-1"', 200),
            ("If_Match", b'"x"', 412),
            ("If_Match", b'W/"e-1"', 412),
            ("If_None_Match", b'"e-1"', 304),
            ("If_None_Match", b'W/"e-1"', 304),
            ("If_None_Match", b"*", 304),
            ("If_None_Match", b'"x","y"', 200),
            ("If_Unmodified_Since", AT, 200),
            ("If_Unmodified_Since", BEFORE, 412),
            ("If_Unmodified_Since", b"garbage", 200),
            ("If_Modified_Since", AT, 304),
            ("If_Modified_Since", BEFORE, 200),
            ("If_Modified_Since", b"garbage", 200),
        ):
            self.assertEqual(outcome(**{name: value}).status, status, (name, value))

    def test_precedence(self) -> None:
        """
        ETags are stronger than dates, and failed preconditions than everything.
        """
        same, other = b'"e-1"', b'"x"'
        self.assertEqual(outcome(If_Match=same, If_Unmodified_Since=BEFORE).status, 200)
        self.assertEqual(outcome(If_None_Match=other, If_Modified_Since=AT).status, 200)
        self.assertEqual(outcome(If_Match=other, If_None_Match=same).status, 412)
        self.assertEqual(outcome(If_Match=same, If_None_Match=same).status, 304)
        self.assertEqual(outcome(If_None_Match=same, Range=b"bytes=900-").status, 304)

    def test_ranges(self) -> None:
        """
        One plain range is applied; anything else gives the whole object.
        """
        for value, expected in (
            (b"bytes=0-9", Outcome(206, Interval(0, 10))),
            (b"bytes=90-", Outcome(206, Interval(90, 100))),
            (b"bytes=-10", Outcome(206, Interval(90, 100))),
            (b"bytes=-1000", Outcome(206, Interval(0, 100))),
            (b"bytes=50-1000", Outcome(206, Interval(50, 100))),
            (b"bytes=100-", Outcome(416, Interval(0, 0))),
            (b"bytes=0-1,3-4", Outcome(200, Interval(0, 100))),
            (b"bytes=5-2", Outcome(200, Interval(0, 100))),
            (b"items=0-1", Outcome(200, Interval(0, 100))),
        ):
            self.assertEqual(outcome(Range=value), expected, value)

    def test_if_range(self) -> None:
        """
        A range of another version is not applied.
        """
        for value, status in (
            (STATE.etag, 206),
            (AT, 206),
            (b'"x"', 200),
            (b'W/"e-1"', 200),
            (BEFORE, 200),
        ):
            result = outcome(Range=b"bytes=0-9", If_Range=value)
            self.assertEqual(result.status, status, value)

"""
Tests for :mod:`eliop2p.model.ranges`.
"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.ranges import (
    Extents,
    Interval,
    RangeSpec,
    content_range,
    parse_content_range,
    parse_decimal,
    parse_range,
    range_header,
)

SPAN = 40
POSITIONS = st.integers(0, SPAN)
PAIRS = st.tuples(POSITIONS, POSITIONS)
SIZES = st.integers(0, SPAN)

UNREADABLE = (
    *(b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=-0", b"bytes=5-4"),
    *(b"bytes=0-1,3-4", b"items=0-1", b"Bytes=0-1", b"bytes 0-1", b"bytes = 0-1"),
    *(b" bytes=0-1", b"bytes=0-1 ", b"bytes=0-1\n", b"bytes=+0-1", b"bytes=0--1"),
    *(b"bytes=0x0-1", b"bytes=1_0-20", b"bytes=\xd9\xa0-1", b"bytes=0-1;q"),
    *(b"bytes=0-" + b"9" * 19, b"bytes=" + b"9" * 19 + b"-"),
)

RESOLVED = (
    # value, size, interval
    (b"bytes=0-0", 10, (0, 1)),
    (b"bytes=0-9", 10, (0, 10)),
    (b"bytes=0-10", 10, (0, 10)),
    (b"bytes=3-5", 10, (3, 6)),
    (b"bytes=3-", 10, (3, 10)),
    (b"bytes=9-", 10, (9, 10)),
    (b"bytes=10-", 10, None),
    (b"bytes=10-20", 10, None),
    (b"bytes=-1", 10, (9, 10)),
    (b"bytes=-10", 10, (0, 10)),
    (b"bytes=-11", 10, (0, 10)),
    (b"bytes=0-", 0, None),
    (b"bytes=0-0", 0, None),
    (b"bytes=-1", 0, None),
    (b"bytes=00-007", 10, (0, 8)),
)


def bytes_of(interval: Interval | None) -> set[int]:
    """
    Give the positions in an interval.
    """
    return set() if interval is None else set(range(interval.start, interval.stop))


class IntervalTests(SynchronousTestCase):
    """
    :class:`.Interval`.
    """

    @given(PAIRS, PAIRS)
    def test_intersect(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        """
        The intersection holds what both hold, and is None rather than empty.
        """
        first, second = Interval(*sorted(one)), Interval(*sorted(other))
        both = first.intersect(second)
        self.assertEqual(bytes_of(both), bytes_of(first) & bytes_of(second))
        self.assertEqual(both, second.intersect(first))
        if both is not None:
            self.assertEqual(both.length, len(bytes_of(both)))
            self.assertGreater(both.length, 0)


class RangeTests(SynchronousTestCase):
    """
    The Range and Content-Range headers.
    """

    def test_unreadable(self) -> None:
        """
        What stores do not agree on is nobody's range.
        """
        for value in UNREADABLE:
            self.assertIsNone(parse_range(value), value)

    def test_resolved(self) -> None:
        """
        A range means the bytes that RFC 9110 says it means.
        """
        for value, size, expected in RESOLVED:
            spec = parse_range(value)
            assert spec is not None, value
            found = spec.resolve(size)
            wanted = None if expected is None else Interval(*expected)
            self.assertEqual(found, wanted, (value, size))

    @given(st.none() | POSITIONS, st.none() | POSITIONS, SIZES)
    def test_resolve(self, first: int | None, last: int | None, size: int) -> None:
        """
        A range resolves to those of its positions that the object has.
        """
        value = b"bytes=%b-%b" % tuple(
            b"" if number is None else b"%d" % number for number in (first, last)
        )
        spec = parse_range(value)
        if first is None:
            meant = set(list(range(size))[-last:]) if last else set()
        else:
            meant = set(range(first, SPAN + 1 if last is None else last + 1))
        if spec is None:
            self.assertFalse(meant)
            return
        self.assertEqual(spec, RangeSpec(first, last))
        self.assertEqual(bytes_of(spec.resolve(size)), meant & set(range(size)))

    @given(PAIRS, st.integers(0, 2 * SPAN))
    def test_content_range(self, pair: tuple[int, int], size: int) -> None:
        """
        A Content-Range that is written is read back, unless it contradicts itself.
        """
        interval = Interval(*pair)
        found = parse_content_range(content_range(interval, size))
        if 0 <= interval.start < interval.stop <= size:
            self.assertEqual(found, (interval, size))
        else:
            self.assertIsNone(found)

    def test_content_range_unreadable(self) -> None:
        """
        A Content-Range without bounds or size is none.
        """
        for value in (
            *(b"", b"bytes */10", b"bytes 0-1/*", b"bytes 0-/10", b"bytes=0-1/10"),
            *(b"bytes 0-1/10 ", b"bytes 0-1/10\n", b"bytes 5-4/10", b"bytes 0-10/10"),
            b"bytes 0-1/" + b"9" * 19,
        ):
            self.assertIsNone(parse_content_range(value), value)

    @given(PAIRS)
    def test_range_header(self, pair: tuple[int, int]) -> None:
        """
        A Range that is written is read back.
        """
        start, stop = sorted(pair)
        if start < stop:
            spec = parse_range(range_header(Interval(start, stop)))
            assert spec is not None
            self.assertEqual(spec.resolve(SPAN), Interval(start, stop))

    @given(st.binary(max_size=30))
    def test_hostile(self, value: bytes) -> None:
        """
        No bytes whatever make the parsers fail.
        """
        parse_range(value)
        parse_range(b"bytes=" + value)
        parse_content_range(b"bytes " + value)

    def test_decimals(self) -> None:
        """
        A length is ASCII digits, few enough to be one.
        """
        self.assertEqual(parse_decimal(b"0"), 0)
        self.assertEqual(parse_decimal(b"007"), 7)
        self.assertEqual(parse_decimal(b"9" * 18), 10**18 - 1)
        for text in (b"", b"+1", b"-1", b" 1", b"1 ", b"1\n", b"1_0", b"0x1", b"\xb2"):
            self.assertIsNone(parse_decimal(text), text)
        self.assertIsNone(parse_decimal(b"9" * 19))


class ExtentsTests(SynchronousTestCase):
    """
    :class:`.Extents` against a set of integers.
    """

    @given(st.lists(PAIRS, max_size=20), PAIRS)
    def test_twin(self, added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
        """
        Whatever is added in whatever order, the extents hold just that, as few, sorted
        intervals that do not touch.
        """
        extents, twin = Extents(), set[int]()
        for start, stop in added:
            extents.add(start, stop)
            twin |= set(range(start, stop))
            intervals = list(extents)
            held = [position for each in intervals for position in bytes_of(each)]
            self.assertEqual(sorted(held), sorted(twin))
            self.assertEqual(extents.total, len(twin))
            for one, other in pairwise(intervals):
                self.assertLess(one.stop, other.start)
        for position in range(SPAN + 2):
            end = position
            while end in twin:
                end += 1
            self.assertEqual(extents.reach(position), end)
        start, stop = asked
        self.assertEqual(extents.covers(start, stop), set(range(start, stop)) <= twin)

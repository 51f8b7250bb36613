"""
Half-open byte intervals, sets of them, and the Range and Content-Range headers.

A range travels in two steps: :func:`parse_range` reads what the client wrote, without
knowing a size; :meth:`RangeSpec.resolve` applies it to an object whose size is known.
Only a plain, satisfiable single range is ours to answer; for all else origins disagree
among themselves, so that the origin must be asked.
"""

import bisect
import re
from collections.abc import Iterator

import attrs

_SINGLE_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})\Z")
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})\Z")
_DECIMAL = re.compile(rb"\d{1,18}\Z")


def parse_decimal(text: bytes) -> int | None:
    """
    Read a length strictly: ASCII digits only, at most 18 of them.

    Returns:
        The number, or None when the text is anything else (``+1``, ``1_0``, `` 1``),
        which ``int`` would accept.
    """
    return int(text) if _DECIMAL.match(text) else None


@attrs.frozen
class Interval:
    """
    The bytes from start (inclusive) to stop (exclusive).
    """

    start: int
    stop: int

    @property
    def length(self) -> int:
        """
        The number of bytes.
        """
        return self.stop - self.start

    def intersect(self, other: "Interval") -> "Interval | None":
        """
        Give the bytes in both, or None when there are none.
        """
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return Interval(start, stop) if start < stop else None


@attrs.frozen
class RangeSpec:
    """
    One range as a client writes it: ``first-last``, ``first-`` or ``-suffix``.
    """

    first: int | None
    last: int | None

    def resolve(self, size: int) -> Interval | None:
        """
        Apply the range to an object (RFC 9110, section 14.1.2).

        Args:
            size: The object's length in bytes.

        Returns:
            The bytes meant, or None when the range cannot be satisfied.
        """
        if self.first is None:
            suffix = min(self.last or 0, size)
            return Interval(size - suffix, size) if suffix else None
        stop = size if self.last is None else min(self.last + 1, size)
        return Interval(self.first, stop) if self.first < stop else None

    def lies_within(self, size: int) -> bool:
        """
        Tell whether every byte that the range names is there.

        Args:
            size: The object's length in bytes.
        """
        if self.first is None:
            return 0 < (self.last or 0) <= size
        return self.first < size and (self.last is None or self.last < size)


def parse_range(value: bytes) -> RangeSpec | None:
    """
    Read a Range header that holds exactly one plain byte range.

    Returns:
        The range, or None for several ranges, other units, reversed bounds, ``-0`` and
        garbage, which origins treat differently from each other.
    """
    found = _SINGLE_RANGE.match(value)
    if found is None:
        return None
    first, last = (int(part) if part else None for part in found.groups())
    if first is None:
        return RangeSpec(None, last) if last else None
    if last is not None and last < first:
        return None
    return RangeSpec(first, last)


def parse_content_range(value: bytes) -> tuple[Interval, int] | None:
    """
    Read the Content-Range of a 206 answer.

    Returns:
        The bytes that follow and the size of the whole object, or None when the
        header is not of the form ``bytes first-last/size`` or contradicts itself.
    """
    found = _CONTENT_RANGE.match(value)
    if found is None:
        return None
    first, last, size = (int(part) for part in found.groups())
    if not first <= last < size:
        return None
    return Interval(first, last + 1), size


def content_range(interval: Interval, size: int) -> bytes:
    """
    Write a Content-Range header value.
    """
    return b"bytes %d-%d/%d" % (interval.start, interval.stop - 1, size)


def range_header(interval: Interval) -> bytes:
    """
    Write a Range header value.
    """
    return b"bytes=%d-%d" % (interval.start, interval.stop - 1)


class Extents:
    """
    A set of bytes kept as sorted, disjoint, non-touching intervals.

    Holds positions only, never the bytes themselves. Adding costs O(log n) when the
    bytes extend what is there, which is the case of a stream.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[Interval]:
        return map(Interval, self._starts, self._stops)

    @property
    def total(self) -> int:
        """
        The number of bytes in the set.
        """
        return sum(self._stops) - sum(self._starts)

    def add(self, start: int, stop: int) -> None:
        """
        Include the bytes from start to stop.
        """
        if start >= stop:
            return
        low = bisect.bisect_left(self._stops, start)
        high = bisect.bisect_right(self._starts, stop)
        if low < high:
            start = min(start, self._starts[low])
            stop = max(stop, self._stops[high - 1])
        self._starts[low:high] = [start]
        self._stops[low:high] = [stop]

    def reach(self, position: int) -> int:
        """
        Tell how far the bytes go on without a gap.

        Args:
            position: Where to start.

        Returns:
            The end of the run that holds position, or position when it is absent.
        """
        index = bisect.bisect_right(self._starts, position) - 1
        if index < 0 or self._stops[index] <= position:
            return position
        return self._stops[index]

    def covers(self, start: int, stop: int) -> bool:
        """
        Tell whether every byte from start to stop is in the set.
        """
        return self.reach(start) >= stop

    def gaps(self, start: int, stop: int) -> Iterator[Interval]:
        """
        Give the runs of bytes from start to stop that are not in the set, in order.
        """
        while start < stop:
            reached = self.reach(start)
            if reached > start:
                start = reached
                continue
            index = bisect.bisect_right(self._starts, start)
            end = self._starts[index] if index < len(self._starts) else stop
            yield Interval(start, min(end, stop))
            start = end

"""
A part of a chunk: bytes that came in no order, as extents, until it is whole.
"""

import bisect

from eliop2p.model.ranges import Extents, Interval


class Contradiction(ValueError):
    """
    Bytes differ from those that came before in their place.
    """


class Pieces:
    """
    Extents of a chunk with their bytes. Costs as much memory as there are bytes.

    Args:
        length: Length of the chunk in bytes.

    Attributes:
        extents: Where there are bytes.
        size: How many bytes there are.
    """

    def __init__(self, length: int) -> None:
        self.extents = Extents()
        self.size = 0
        self._length = length
        self._starts: list[int] = []
        self._pieces: list[memoryview] = []

    @property
    def complete(self) -> bool:
        """
        Whether every byte of the chunk is there.
        """
        return self.size == self._length

    def add(self, offset: int, data: memoryview) -> int:
        """
        Put bytes in their place; the view is kept, and nobody may change it any more.

        Returns:
            How many of them were not there.

        Raises:
            ValueError: They reach beyond the chunk.
            Contradiction: They differ from bytes that are there; nothing is changed.
        """
        stop = offset + len(data)
        if offset < 0 or stop > self._length:
            raise ValueError(f"bytes {offset}-{stop} of a chunk of {self._length}")
        gaps = list(self.extents.gaps(offset, stop))
        self._compare(offset, data, gaps)
        for gap in gaps:
            index = bisect.bisect_left(self._starts, gap.start)
            self._starts.insert(index, gap.start)
            piece = data[gap.start - offset : gap.stop - offset]
            self._pieces.insert(index, piece.toreadonly())
        self.extents.add(offset, stop)
        added = sum(gap.length for gap in gaps)
        self.size += added
        return added

    def read(self, offset: int, limit: int) -> memoryview:
        """
        Give bytes that are there, at least one.

        Raises:
            KeyError: There is none at the offset.
        """
        index = bisect.bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self._starts[index] + len(self._pieces[index]):
            raise KeyError(offset)
        start = offset - self._starts[index]
        return self._pieces[index][start : start + limit]

    def within(self, interval: Interval) -> list[tuple[int, memoryview]]:
        """
        Give the bytes of an interval that are there, with their places, in order.
        """
        found = []
        position = interval.start
        for gap in [
            *self.extents.gaps(interval.start, interval.stop),
            Interval(interval.stop, interval.stop),
        ]:
            while position < gap.start:
                piece = self.read(position, gap.start - position)
                found.append((position, piece))
                position += len(piece)
            position = gap.stop
        return found

    def copy_to(self, memory: memoryview) -> None:
        """
        Copy the bytes that are there to their places in the chunk's memory.
        """
        for start, piece in zip(self._starts, self._pieces, strict=True):
            memory[start : start + len(piece)] = piece

    def _compare(self, offset: int, data: memoryview, gaps: list[Interval]) -> None:
        stop = offset + len(data)
        position = offset
        for gap in [*gaps, Interval(stop, stop)]:
            while position < gap.start:
                there = self.read(position, gap.start - position)
                begin = position - offset
                # As bytes, because views are compared one element at a time.
                if bytes(there) != bytes(data[begin : begin + len(there)]):
                    raise Contradiction(f"bytes from {position} on differ")
                position += len(there)
            position = gap.stop

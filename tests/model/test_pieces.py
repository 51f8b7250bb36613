"""
Tests for :mod:`eliop2p.model.pieces`, and for the gaps of extents.
"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.pieces import Contradiction, Pieces
from eliop2p.model.ranges import Extents, Interval

LENGTH = 40
DATA = bytes(range(LENGTH))
POSITIONS = st.integers(0, LENGTH)
PAIRS = st.tuples(POSITIONS, POSITIONS).map(sorted).map(tuple)


class PiecesTests(SynchronousTestCase):
    """
    :class:`.Pieces` against a dictionary of positions.
    """

    @given(st.lists(PAIRS), PAIRS)
    def test_twin(self, added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
        """
        The same bytes are there, whatever is added in whatever order.
        """
        pieces, twin = Pieces(LENGTH), dict[int, int]()
        for start, stop in added:
            before = len(twin)
            twin.update({each: DATA[each] for each in range(start, stop)})
            new = pieces.add(start, memoryview(DATA)[start:stop])
            self.assertEqual(new, len(twin) - before)
        self.assertEqual(pieces.size, len(twin))
        self.assertEqual(pieces.complete, len(twin) == LENGTH)
        found = {
            start + place: byte
            for start, piece in pieces.within(Interval(*asked))
            for place, byte in enumerate(piece)
        }
        expected = {each: twin[each] for each in range(*asked) if each in twin}
        self.assertEqual(found, expected)
        memory = bytearray(LENGTH)
        pieces.copy_to(memoryview(memory))
        self.assertEqual(memory, bytes(twin.get(each, 0) for each in range(LENGTH)))

    @given(st.lists(PAIRS), PAIRS)
    def test_gaps(self, added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
        """
        Gaps are what is asked for without what is there, in as few runs as can be.
        """
        extents, twin = Extents(), set[int]()
        for start, stop in added:
            extents.add(start, stop)
            twin.update(range(start, stop))
        gaps = list(extents.gaps(*asked))
        missing = [each for gap in gaps for each in range(gap.start, gap.stop)]
        self.assertEqual(missing, [p for p in range(*asked) if p not in twin])
        for one, other in pairwise(gaps):
            self.assertLess(one.stop, other.start)

    @given(PAIRS, PAIRS)
    def test_contradiction(self, there: tuple[int, int], new: tuple[int, int]) -> None:
        """
        Other bytes in the place of some that are there are refused, and change nothing.
        """
        pieces = Pieces(LENGTH)
        pieces.add(there[0], memoryview(DATA)[slice(*there)])
        others = bytes(255 - byte for byte in DATA)
        overlap = set(range(*there)) & set(range(*new))
        if overlap:
            with self.assertRaises(Contradiction):
                pieces.add(new[0], memoryview(others)[slice(*new)])
            self.assertEqual(list(pieces.extents), [Interval(*there)])
        else:
            pieces.add(new[0], memoryview(others)[slice(*new)])
        for start, piece in pieces.within(Interval(*there)):
            self.assertEqual(piece, DATA[start : start + len(piece)])

    def test_beyond(self) -> None:
        """
        Bytes that reach beyond the chunk are refused.
        """
        pieces = Pieces(4)
        self.assertRaises(ValueError, pieces.add, 2, memoryview(b"abc"))
        self.assertRaises(ValueError, pieces.add, -1, memoryview(b"abc"))
        self.assertEqual(pieces.size, 0)
        self.assertRaises(KeyError, pieces.read, 0, 1)

"""
Tests for :mod:`eliop2p.p2p.heat`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ChunkId
from eliop2p.p2p.heat import HOUR, Heat

ONE, OTHER, THIRD = (ChunkId(bytes([number]) * 32) for number in range(3))


class HeatTests(SynchronousTestCase):
    """
    How often chunks are asked for.
    """

    def test_cools(self) -> None:
        """
        Questions count in full, then less, then not at all.
        """
        heat = Heat()
        for _ in range(8):
            heat.note(ONE, HOUR - 1)
        self.assertEqual(heat.of(ONE, HOUR - 1), 8)
        self.assertEqual(heat.of(ONE, HOUR), 8)
        self.assertEqual(heat.of(ONE, 1.5 * HOUR), 4)
        self.assertEqual(heat.of(ONE, 2 * HOUR), 0)
        self.assertEqual(heat.of(OTHER, HOUR), 0)

    def test_many_at_once(self) -> None:
        """
        Questions may be told of together.
        """
        heat = Heat()
        heat.note(ONE, 1.0, 5)
        heat.note(ONE, 2.0)
        self.assertEqual(heat.of(ONE, 3.0), 6)

    def test_bounded(self) -> None:
        """
        What was not asked for longest is forgotten first.
        """
        heat = Heat(2)
        for chunk_id in (ONE, OTHER, ONE, THIRD):
            heat.note(chunk_id, 1.0)
        self.assertEqual(
            [heat.of(each, 1.0) for each in (ONE, OTHER, THIRD)], [2, 0, 1]
        )

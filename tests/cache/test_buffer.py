"""
Tests for :mod:`eliop2p.cache.buffer`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.buffer import allocate

KIB = 1024


class AllocateTests(SynchronousTestCase):
    """
    The memory of a chunk.
    """

    def test_lengths(self) -> None:
        """
        Memory of any length is zeroed, writable, and bytes one by one.
        """
        for length in (1, 256 * KIB - 1, 256 * KIB, 2048 * KIB - 1, 2048 * KIB + 5):
            memory = allocate(length)
            self.assertEqual((len(memory), memory.format), (length, "B"))
            self.assertEqual(bytes(memory), bytes(length))
            memory[-1:] = b"x"
            self.assertEqual(memory[-1], ord("x"))

    def test_many(self) -> None:
        """
        There may be more small chunks than the system allows mappings.
        """
        self.assertEqual(len([allocate(10) for _ in range(100_000)]), 100_000)

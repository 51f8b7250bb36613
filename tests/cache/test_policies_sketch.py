"""
Tests for :mod:`eliop2p.cache.sketch`.
"""

from collections import Counter
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.sketch import MOST, USE, FrequencySketch
from eliop2p.model.chunk import ChunkId


def name_of(number: int) -> ChunkId:
    """
    Make the name of a chunk.
    """
    return ChunkId(sha256(b"%d" % number).digest())


class FrequencySketchTests(SynchronousTestCase):
    """
    What a sketch promises.
    """

    @given(st.lists(st.integers(0, 300), max_size=1000))
    def test_counts(self, numbers: list[int]) -> None:
        """
        No count is too low, and with room enough none is too high.
        """
        sketch = FrequencySketch()
        sketch.make_room(1000)
        for number in numbers:
            sketch.count(name_of(number))
        for number, count in Counter(numbers).items():
            self.assertEqual(sketch.frequency(name_of(number)), min(USE * count, MOST))

    def test_growth(self) -> None:
        """
        What has been counted stays when the sketch grows.
        """
        sketch = FrequencySketch()
        sketch.make_room(100)
        for number in range(100):
            sketch.count(name_of(number))
        sketch.make_room(5000)
        for number in range(100):
            self.assertEqual(sketch.frequency(name_of(number)), USE)

    def test_halves(self) -> None:
        """
        Old uses count less: all counts halve at four uses for each chunk, and then
        whenever there have been half as many more.
        """
        sketch = FrequencySketch()
        sketch.make_room(100)
        for _ in range(12):
            sketch.count(name_of(0))
        for number in range(1, 1 + 400 - 12):
            sketch.count(name_of(number))
        self.assertEqual(sketch.frequency(name_of(0)), 6 * USE)
        for number in range(1000, 1199):
            sketch.count(name_of(number))
        self.assertEqual(sketch.frequency(name_of(0)), 6 * USE)
        sketch.count(name_of(1199))
        self.assertEqual(sketch.frequency(name_of(0)), 3 * USE)

    def test_strangers(self) -> None:
        """
        In a sketch as full as it gets, few names that were never counted seem to be.
        """
        sketch = FrequencySketch()
        sketch.make_room(10_000)
        for number in range(39_000):
            sketch.count(name_of(number))
        strangers = (name_of(-number) for number in range(1, 1001))
        seen = sum(sketch.frequency(name) > 1 for name in strangers)
        self.assertLess(seen, 250)

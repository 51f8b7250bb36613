"""
Tests for :mod:`eliop2p.base.token_bucket`.
"""

import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.token_bucket import TokenBucket

RATE, BURST = 100.0, 50.0


class TokenBucketTests(SynchronousTestCase):
    """
    Tests for :class:`.TokenBucket`.
    """

    def test_burst_then_rate(self) -> None:
        """
        After a rest the burst passes at once, and what follows at the rate.
        """
        bucket = TokenBucket(RATE, BURST, 0.0)
        self.assertEqual(bucket.wait(BURST, 0.0), 0.0)
        bucket.take(BURST, 0.0)
        self.assertAlmostEqual(bucket.wait(25, 0.0), 0.25)
        self.assertEqual(bucket.wait(25, 0.25), 0.0)

    def test_larger_than_burst(self) -> None:
        """
        What is larger than the burst passes a full bucket, and is paid off after.
        """
        bucket = TokenBucket(RATE, BURST, 0.0)
        self.assertEqual(bucket.wait(150, 0.0), 0.0)
        bucket.take(150, 0.0)
        self.assertAlmostEqual(bucket.wait(1, 0.0), 1.01)

    def test_no_limit(self) -> None:
        """
        An infinite rate lets everything pass.
        """
        bucket = TokenBucket(math.inf, BURST, 0.0)
        bucket.take(1e12, 0.0)
        self.assertEqual(bucket.wait(1e12, 0.0), 0.0)

    def test_change(self) -> None:
        """
        Another rate counts from its moment on, and a smaller burst cuts what was saved.
        """
        bucket = TokenBucket(RATE, BURST, 0.0)
        bucket.change(10.0, 5.0, 0.0)
        bucket.take(5.0, 0.0)
        self.assertAlmostEqual(bucket.wait(1.0, 0.0), 0.1)

    def test_clock_set_back(self) -> None:
        """
        A clock that goes back gives nothing and takes nothing.
        """
        bucket = TokenBucket(RATE, BURST, 100.0)
        bucket.take(BURST, 100.0)
        self.assertAlmostEqual(bucket.wait(10, 50.0), 0.1)
        self.assertAlmostEqual(bucket.wait(10, 100.05), 0.05)

    def test_nonsense(self) -> None:
        """
        A rate or burst of nothing is refused.
        """
        self.assertRaises(ValueError, TokenBucket, 0.0, BURST, 0.0)
        self.assertRaises(ValueError, TokenBucket, RATE, 0.0, 0.0)

    @given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, BURST)), max_size=60))
    def test_bound(self, steps: list[tuple[float, float]]) -> None:
        """
        Whoever waits as told never sees more than rate * t + burst pass in any time.
        """
        bucket, now = TokenBucket(RATE, BURST, 0.0), 0.0
        passed: list[tuple[float, float]] = []
        for pause, size in steps:
            now += pause
            now += bucket.wait(size, now)
            bucket.take(size, now)
            passed.append((now, size))
        for first, (begun, _) in enumerate(passed):
            total = 0.0
            for at, size in passed[first:]:
                total += size
                self.assertLessEqual(total, RATE * (at - begun) + BURST + 0.01)

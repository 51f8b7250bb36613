"""
Tests for the disk tier of processes that are killed, with threads and all.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cache.crash_filler import CAPACITY
from tests.cache.crashes import Crashes


class CrashTests(SynchronousTestCase):
    """
    A few of the crashes that ``python -m benchmarks.crashes`` causes by the hundred.
    """

    def test_crashes(self) -> None:
        """
        Whenever a process is killed, what it said it held is there, with the right
        bytes, and there are no more of them than there may be.
        """
        crashes = Crashes(str(Path(self.mktemp()).absolute()), 7)
        for seed in range(8):
            crashes.crash(seed)
        tally = crashes.tally
        self.assertEqual((tally.wrong, tally.wrong_bytes), (0, 0))
        self.assertEqual((tally.lost, tally.lost_synced), (0, 0))
        self.assertEqual(tally.over, 0)
        self.assertLessEqual(tally.most, CAPACITY)
        self.assertGreater(tally.found, 100)
        self.assertGreater(tally.synced, 0)

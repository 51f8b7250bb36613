"""
What tables and queues of simulated nodes hold, beside their bounds.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.testing import crowd_bounds
from eliop2p.testing.chaos import Case, run_case
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.scenarios import cold


class PeaksTests(SynchronousTestCase):
    """
    What is found.
    """

    def test_cold(self) -> None:
        """
        In a crowd of twelve, every table and queue is used, and within its bound.
        """
        outcome = cold(CrowdPlan(nodes=12, chunks=16, seed=1))
        for peak in outcome.peaks:
            self.assertGreater(peak.most, 0, peak.what)
            self.assertLessEqual(peak.most, peak.bound, peak.what)
        found = {peak.what: peak.most for peak in outcome.peaks}
        self.assertEqual(found["members"], 12)
        self.assertEqual(found["holders of a chunk"], 12)
        self.assertEqual(found["chunks in a directory"], outcome.entries)
        self.assertEqual(len(found), 11)

    def test_beyond(self) -> None:
        """
        Whatever is beyond its bound goes wrong in chaos.
        """
        self.patch(crowd_bounds, "UPLOAD_SLOTS", 1)
        problems = run_case(Case(CrowdPlan(nodes=6, chunks=8, seed=3))).problems
        self.assertTrue(any("uploads, more than 1" in each for each in problems))

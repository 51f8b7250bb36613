"""
Crowds of swarm nodes on links with rates; benchmarks.swarm runs large ones.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import MIB
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.crowd_plot import plot
from eliop2p.testing.scenarios import SCENARIOS, Outcome, cold, epochs, parted, slow


def tell_nobody(*_: object) -> None:
    """
    Take the progress.
    """


class CrowdTests(SynchronousTestCase):
    """
    Small crowds.
    """

    def assert_good(self, outcome: Outcome) -> None:
        """
        Demand that every read came right.
        """
        bad = (outcome.wrong, outcome.failed, outcome.hanging)
        self.assertEqual(bad, (0, 0, 0))
        self.assertEqual(len(outcome.times), outcome.counted)

    def test_cold(self) -> None:
        """
        A cold crowd reads the store once, and takes at most 1.8 times as long as the
        links need, with a bounded number of messages.
        """
        outcome = cold(CrowdPlan(nodes=10, chunks=32, seed=1))
        self.assert_good(outcome)
        self.assertEqual(outcome.amplification, 1.0)
        self.assertLess(outcome.ratio(1.0), 1.8)
        self.assertLess(outcome.messages, 8.0)

    def test_slow_store(self) -> None:
        """
        A store that lets everybody wait for seconds is read once all the same.
        """
        for latency in (4.0, 12.0):
            plan = CrowdPlan(nodes=10, chunks=32, seed=1, store_latency=latency)
            outcome = cold(plan)
            self.assert_good(outcome)
            self.assertEqual(outcome.amplification, 1.0)
            self.assertLess(max(outcome.times), 4 * latency)

    def test_parted(self) -> None:
        """
        Each half of a crowd that is cut in two reads what it lacks itself, once, with
        little beyond what nobody there has, and does not wait for the other.
        """
        size = {"chunk_size": 64 * MIB, "scale": 1024}
        outcome = parted(CrowdPlan(nodes=10, chunks=32, seed=1, **size))
        self.assert_good(outcome)
        self.assertGreater(outcome.least, 1.2)
        self.assertGreater(outcome.amplification, outcome.least)
        self.assertLess(outcome.amplification, outcome.least + 0.35)
        self.assertLess(outcome.amplification, 2.0)
        self.assertLess(outcome.ratio(1.0), 2.0)

    def test_slow(self) -> None:
        """
        A node with a tenth of the others' rates, and a chunk of the store's that all
        wait for, does not keep them for much longer than that chunk takes on its link;
        no chunk is read twice.
        """
        size = {"chunk_size": 64 * MIB, "scale": 1024}
        outcome = slow(CrowdPlan(nodes=10, chunks=32, seed=0, **size))
        self.assert_good(outcome)
        self.assertEqual(outcome.amplification, 1.0)
        self.assertLess(outcome.ratio(1.0), 1.7)

    def test_replay(self) -> None:
        """
        The same seed gives the same run to the last byte and moment; another does not.
        """
        plans = [CrowdPlan(nodes=4, chunks=6, seed=seed) for seed in (3, 3, 4)]
        first, again, other = (cold(plan).fingerprint for plan in plans)
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_misfortunes(self) -> None:
        """
        Whatever befalls a crowd, the survivors get the right bytes.
        """
        for name, scenario in SCENARIOS.items():
            outcome = scenario(CrowdPlan(nodes=6, chunks=8, seed=5), tell_nobody)
            self.assert_good(outcome)
            # Cut off from all homes of a chunk, a node reads the store for itself.
            self.assertLess(outcome.amplification, 3.1, name)

    def test_epochs(self) -> None:
        """
        With room for all, no epoch but the first reads the store; with room for four
        fifths, they read little more than a fifth of it.
        """
        first, *later = epochs(CrowdPlan(nodes=4, chunks=40), 1.25, 2)
        self.assertEqual((first, *later), (1.0, 0.0))
        plan = CrowdPlan(nodes=4, chunks=200, chunk_size=MIB)
        self.assertLess(epochs(plan, 0.8, 2)[1], 0.3)

    def test_plot(self) -> None:
        """
        A plot has a line for each outcome.
        """
        outcome = cold(CrowdPlan(nodes=2, chunks=2))
        self.assertEqual(plot("a <title>", [("one", outcome)] * 2).count('stroke="'), 2)

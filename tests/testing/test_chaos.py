"""
Cases of chaos: what a seed makes, what is found, and how small it becomes.
"""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.interfaces import Fetched
from eliop2p.p2p.pursuit import Pursuit
from eliop2p.testing.chaos import (
    MISFORTUNES,
    Case,
    make_case,
    run_case,
    shrink,
    smaller,
)
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.wire.events import Done


class RunTests(SynchronousTestCase):
    """
    Cases that are run.
    """

    def test_seeds(self) -> None:
        """
        No seed gives a wrong byte, a read that hangs, an error in the log, or a node
        that is left with anything to do.
        """
        for seed in range(25):
            self.assertEqual(run_case(make_case(seed)).problems, (), f"seed {seed}")

    def test_each(self) -> None:
        """
        Nor does any misfortune by itself, nor all of them together.
        """
        plan = CrowdPlan(nodes=6, chunks=4, seed=3)
        for names in (*((name,) for name in MISFORTUNES), tuple(MISFORTUNES)):
            self.assertEqual(run_case(Case(plan, names)).problems, (), names)

    def test_replay(self) -> None:
        """
        The same case comes out the same to the last byte and moment.
        """
        case = make_case(5)
        first, again = run_case(case), run_case(case)
        self.assertEqual(first.outcome.fingerprint, again.outcome.fingerprint)

    def test_planted(self) -> None:
        """
        A node that believes every digest is found out among several misfortunes, and
        the smallest case is two nodes, one chunk, and the misfortune that matters.
        """

        async def believe(pursuit: Pursuit, done: Done) -> Fetched:
            return Fetched(done.digest, "peer")

        self.patch(Pursuit, "_check", believe)
        plan = CrowdPlan(nodes=4, chunks=3, spread=1.0, loss=0.01, seed=5)
        case = Case(plan, ("slow", "corrupt", "slow disks"))

        def fails(case: Case) -> bool:
            return any("wrong byte" in each for each in run_case(case).problems)

        self.assertTrue(fails(case))
        small = shrink(case, fails)
        self.assertTrue(fails(small))
        self.assertEqual(small.misfortunes, ("corrupt",))
        self.assertLessEqual((small.plan.nodes, small.plan.chunks), (3, 1))
        self.assertEqual(small.plan.loss, 0.0)


class ShrinkTests(SynchronousTestCase):
    """
    The search for the smallest case.
    """

    plan = CrowdPlan(nodes=9, chunks=8, loss=0.01, latency=0.005, spread=2.0)

    def test_smallest(self) -> None:
        """
        What matters stays, and nothing else does.
        """

        def fails(case: Case) -> bool:
            plan = case.plan
            return "parted" in case.misfortunes and plan.nodes >= 5 and plan.loss > 0

        case = Case(self.plan, ("slow", "parted", "gone"))
        small = shrink(case, fails)
        self.assertEqual(small.misfortunes, ("parted",))
        plan = attrs.evolve(
            CrowdPlan(nodes=5, chunks=1, loss=0.01), store_latency=0.001
        )
        self.assertEqual(small.plan, plan)
        self.assertFalse(any(map(fails, smaller(small))))

    def test_tries(self) -> None:
        """
        No more cases are tried than was said, and what is given fails.
        """
        tried: list[Case] = []

        def fails(case: Case) -> bool:
            tried.append(case)
            return case.plan.nodes == 9

        case = Case(self.plan, tuple(MISFORTUNES))
        small = shrink(case, fails, tries=5)
        self.assertEqual(len(tried), 5)
        self.assertEqual(small.plan.nodes, 9)

"""
A store that fails, lies and breaks off.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.testing.cluster import Plan
from eliop2p.testing.simfaults import NO_FAULT, Fault
from tests.simulation.cases import PATH, ClusterCase, Request, always, made_up
from tests.simulation.fault_cases import (
    FAULTS,
    SMALL,
    WINDOW,
    FaultCases,
    Faulty,
    small_streams,
)

CASES = 40


class OneFaultTests(ClusterCase):
    """
    One wrong answer at a time.
    """

    def check(self, fault: Fault, count: int, seed: int) -> None:
        """
        Let one of the first answers be wrong.

        Args:
            fault: How.
            count: How many chunks the object has.
            seed: Of the cluster.
        """
        plan = Plan(seed=seed, chunk_size=SMALL, window=WINDOW)
        cluster = self.make_cluster(plan)
        faulty = Faulty(cluster, seed)
        data = made_up(seed, count * SMALL - 100)
        cluster.store.put(PATH, data)
        wrong = (1, 3)[seed % 2]
        cluster.store.choose = lambda _: (
            fault if len(cluster.store.log) == wrong else NO_FAULT
        )
        faulty.read([Request(member, PATH) for member in cluster.members], data)
        faulty.recover(PATH, data, cluster.members)
        self.assertEqual(faulty.tally.wrong, [])

    def test_small_objects(self) -> None:
        """
        No single fault makes a wrong answer, or one that stays wrong, of an object
        that is read in one answer.
        """
        for seed, fault in enumerate(FAULTS.values()):
            self.check(fault, 4, seed)

    def test_large_objects(self) -> None:
        """
        None does of an object that is read in many.
        """
        for seed, fault in enumerate(FAULTS.values(), 1):
            self.check(fault, 16, seed)


class LastingFaultTests(ClusterCase):
    """
    A store that is wrong all the time.
    """

    def test_down(self) -> None:
        """
        While the store gives errors every client gets an error, of an object that is
        warm too, and the right bytes afterwards.
        """
        for status in (500, 503):
            cluster = self.make_cluster(Plan(seed=status, chunk_size=SMALL))
            data = made_up(status, 4 * SMALL)
            cluster.store.put(PATH, data)
            cluster.read_all(PATH, cluster.members[:1])
            cluster.store.choose = always(Fault(status=status))
            for answer in cluster.read_all(PATH):
                self.assertEqual((answer.status, answer.complete), (status, True))
            faulty = Faulty(cluster, status)
            faulty.recover(PATH, data, cluster.members)
            self.assertEqual(faulty.tally.wrong, [])

    def test_unreachable(self) -> None:
        """
        While the store cannot be reached clients are told to come again, cold or warm.
        """
        cluster = self.make_cluster(Plan(seed=50, chunk_size=SMALL))
        data = made_up(50, 4 * SMALL)
        cluster.store.put(PATH, data)
        cluster.read_all(PATH, cluster.members[:1])
        cluster.stop_store()
        for answer in cluster.read_all(PATH):
            self.assertEqual((answer.status, answer.complete), (503, True))
            self.assertEqual(answer.header(b"retry-after"), b"1")
        cluster.start_store()
        faulty = Faulty(cluster, 50)
        faulty.recover(PATH, data, cluster.members)
        self.assertEqual((faulty.tally.wrong, faulty.tally.broken), ([], 0))

    def test_every_fault(self) -> None:
        """
        Whatever is wrong with all answers, nothing wrong is kept of them.
        """
        for seed, fault in enumerate(FAULTS.values()):
            plan = Plan(seed=seed, chunk_size=SMALL, window=WINDOW, nodes=2)
            cluster = self.make_cluster(plan)
            data = made_up(seed, 14 * SMALL)
            cluster.store.put(PATH, data)
            cluster.store.choose = always(fault)
            faulty = Faulty(cluster, seed)
            requests = [
                Request(cluster.members[0], PATH),
                Request(cluster.members[1], PATH, b"bytes=100-40000"),
            ]
            faulty.read(requests, data)
            faulty.recover(PATH, data, cluster.members)
            self.assertEqual(faulty.tally.wrong, [])


class RandomFaultTests(SynchronousTestCase):
    """
    A few of the cases that ``python -m benchmarks.store_faults`` runs by the thousand.
    """

    def check(self, seed: int) -> None:
        """
        Run the cases of one cluster.
        """
        with small_streams():
            cases = FaultCases(Path(self.mktemp()).absolute(), seed)
            self.addCleanup(cases.cluster.stop)
            for number in range(CASES):
                cases.run(number)
            tally = cases.tally
        self.assertEqual(tally.wrong, [])
        self.assertGreater(sum(tally.faults.values()), CASES)
        self.assertGreater(tally.answers["right"], CASES)
        self.assertGreater(tally.recovered, 4 * CASES - 1)

    def test_generated(self) -> None:
        """
        Nothing that a store does makes nodes give wrong bytes, or keep them.
        """
        self.check(1)

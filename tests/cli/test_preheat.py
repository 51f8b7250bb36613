"""
Tests for :mod:`eliop2p.cli.preheat_plan` and :mod:`eliop2p.cli.preheat`.
"""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cli.preheat import Journal, journal_path
from eliop2p.cli.preheat_plan import Job, Target, Thing, assign, choose_targets

TARGETS = tuple(
    Target(f"n{index}", "h", 8080, "a" if index < 4 else "b") for index in range(10)
)
THINGS = tuple(Thing("b", f"k{index}", '"e"', 5) for index in range(300))


class PlanTests(SynchronousTestCase):
    """
    Which objects go where.
    """

    def test_choices(self) -> None:
        """
        Nodes are chosen by number, part, zone and name.
        """
        for wanted, count in (("all", 10), ("3", 3), ("25%", 3), ("1%", 1)):
            self.assertEqual(len(choose_targets(wanted, TARGETS)), count)
        self.assertEqual(len(choose_targets("zone=a", TARGETS)), 4)
        named = choose_targets("n3, n1,n3", TARGETS)
        self.assertEqual([target.node_id for target in named], ["n3", "n1"])

    def test_stable(self) -> None:
        """
        A number means the same nodes, whatever order they are listed in.
        """
        self.assertEqual(
            choose_targets("4", TARGETS), choose_targets("4", TARGETS[::-1])
        )

    def test_wrong(self) -> None:
        """
        What is not there is told with what is.
        """
        for wanted in ("0", "11", "0%", "101%", "zone=c", "x", ""):
            error = self.assertRaises(ValueError, choose_targets, wanted, TARGETS)
            self.assertTrue(str(error))

    @given(st.integers(1, 10))
    def test_replicas(self, replicas: int) -> None:
        """
        Each object goes to so many different nodes, each time to the same.
        """
        jobs = assign(THINGS, TARGETS, replicas)
        self.assertEqual(set(jobs), set(assign(THINGS[::-1], TARGETS[::-1], replicas)))
        self.assertEqual(len(set(jobs)), replicas * len(THINGS))
        counts = Counter(job.target.node_id for job in jobs)
        self.assertEqual(len(counts), len(TARGETS))

    def test_names(self) -> None:
        """
        What is noted of a job gives no access.
        """
        thing = Thing("b", "k", '"e"', 5, "http://s/b/k?X-Amz-Signature=secret")
        job = Job(thing, TARGETS[0])
        self.assertEqual(job.name, 'n0 s3://b/k "e"')
        self.assertNotIn("secret", repr(job))
        with_query = journal_path([thing.url], "all", 1)
        self.assertEqual(with_query, journal_path(["http://s/b/k?other"], "all", 1))
        self.assertNotEqual(with_query, journal_path([thing.url], "2", 1))


class JournalTests(SynchronousTestCase):
    """
    What is noted.
    """

    def test_resumed(self) -> None:
        """
        What was noted is known to the next run, until it is forgotten.
        """
        path = Path(self.mktemp()) / "deep" / "journal.txt"
        jobs = assign(THINGS[:3], TARGETS, 1)
        first = Journal(path)
        for job in jobs:
            first.note(job)
        again = Journal(path)
        self.assertEqual(again.done, {job.name for job in jobs})
        again.forget()
        self.assertEqual(Journal(path).done, set())

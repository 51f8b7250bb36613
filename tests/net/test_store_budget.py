"""
Tests for :mod:`eliop2p.net.store_budget`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.net.store_budget import (
    CALM,
    GROWTH,
    HEADROOM,
    LEAST,
    LENT,
    LIFTED,
    StoreBudget,
)

RATE, CHUNK = 4_000_000.0, 100_000
NODES = {"a": 1.0, "b": 1.0, "c": 2.0}


def rate_of(budget: StoreBudget) -> float:
    """
    Tell how fast a node may read at this moment.
    """
    budget.refresh()
    return budget.pace._bucket.rate


class ShareTests(SynchronousTestCase):
    """
    Shares, and lending them.
    """

    def setUp(self) -> None:
        """
        Make the budgets of three nodes.
        """
        self.clock = Clock()
        self.budgets = {name: StoreBudget(self.clock, RATE, 0, CHUNK) for name in NODES}
        for name, budget in self.budgets.items():
            budget.divide(name, NODES)

    def total(self) -> float:
        """
        Tell how fast all nodes together may read.
        """
        return sum(rate_of(budget) for budget in self.budgets.values())

    def test_weighted(self) -> None:
        """
        Shares are in proportion to weights, and together the budget.
        """
        self.assertAlmostEqual(rate_of(self.budgets["a"]), HEADROOM * RATE / 4)
        self.assertAlmostEqual(rate_of(self.budgets["c"]), HEADROOM * RATE / 2)
        self.assertAlmostEqual(self.total(), HEADROOM * RATE)

    def test_membership(self) -> None:
        """
        When a node leaves, the others share what it had.
        """
        self.budgets["a"].divide("a", {"a": 1.0, "b": 1.0})
        self.assertAlmostEqual(rate_of(self.budgets["a"]), HEADROOM * RATE / 2)

    def test_lent(self) -> None:
        """
        What a home lends its borrower gets, until the chunk has been read.
        """
        home, reader = self.budgets["c"], self.budgets["a"]
        self.assertTrue(home.lend(b"chunk"))
        end = reader.borrow("c")
        self.assertAlmostEqual(rate_of(home), (1 - LENT) * HEADROOM * RATE / 2)
        self.assertAlmostEqual(self.total(), HEADROOM * RATE)
        home.lent_back(b"chunk")
        end()
        self.assertAlmostEqual(rate_of(home), HEADROOM * RATE / 2)
        self.assertAlmostEqual(self.total(), HEADROOM * RATE)

    def test_one_at_a_time(self) -> None:
        """
        A home lends to nobody else meanwhile, except to the one who has it already; and
        again when a reader that died has had its time.
        """
        home = self.budgets["a"]
        self.assertTrue(home.lend(b"one"))
        self.assertFalse(home.lend(b"other"))
        self.assertTrue(home.lend(b"one"))
        self.assertEqual(home.put_off, 1)
        self.clock.advance(CHUNK / (LENT * HEADROOM * RATE / 4) + 0.001)
        self.assertTrue(home.lend(b"other"))

    def test_no_budget(self) -> None:
        """
        Without a budget every lease is granted, and nothing is limited.
        """
        budget = StoreBudget(self.clock)
        self.assertTrue(all(budget.lend(b"%d" % number) for number in range(9)))
        budget.borrow("b")()
        self.assertFalse(budget.limited)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))))
    def test_conserved(self, leases: list[tuple[str, str]]) -> None:
        """
        However shares are lent, all nodes together never may more than the budget.
        """
        self.setUp()
        for number, (home, reader) in enumerate(leases):
            if home != reader and self.budgets[home].lend(b"%d" % number):
                self.budgets[reader].borrow(home)
            self.assertLessEqual(self.total(), HEADROOM * RATE * (1 + 1e-9))
            self.clock.advance(0.03)


class SlowDownTests(SynchronousTestCase):
    """
    What the store's refusals do.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def test_halved_and_back(self) -> None:
        """
        A refusal halves the budget, once for all requests that are under way, and it
        comes back in small steps.
        """
        budget = StoreBudget(self.clock, RATE)
        for _ in range(10):
            budget.slow_down()
        self.assertEqual((budget.slowed, budget.factor), (1, 0.5))
        self.assertAlmostEqual(rate_of(budget), HEADROOM * RATE / 2)
        self.clock.advance(CALM)
        self.assertAlmostEqual(rate_of(budget), HEADROOM * RATE * (0.5 + GROWTH))
        self.clock.advance(1 / GROWTH)
        self.assertAlmostEqual(rate_of(budget), HEADROOM * RATE)

    def test_floor(self) -> None:
        """
        A store that refuses everything is still asked from time to time.
        """
        budget = StoreBudget(self.clock, RATE)
        for _ in range(30):
            budget.slow_down()
            self.clock.advance(CALM)
        self.assertGreaterEqual(budget.factor, LEAST)

    def test_no_budget(self) -> None:
        """
        Without a budget, half of what was asked in the second before is the limit,
        until it is passed by far.
        """
        budget = StoreBudget(self.clock)
        for _ in range(40):
            budget.asked()
            self.clock.advance(1 / 40)
        budget.slow_down()
        self.assertTrue(budget.asking.limited)
        self.assertAlmostEqual(budget.asking._bucket.rate, 20.0, delta=1.0)
        self.clock.advance(LIFTED / GROWTH)
        budget.refresh()
        self.assertFalse(budget.limited)

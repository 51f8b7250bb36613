"""
What every policy for choosing peers must keep to, as test cases.

In a test module::

    MySelectorTests = peer_selector_tests(MySelector)
"""

# ruff: noqa: PT009 - These are tests, and trial's assertions are wanted.

import random
from collections.abc import Callable, Sequence

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.interfaces import IPeerSelector
from eliop2p.model.choice import Candidate

_ROUNDS = 200


def made_up(rng: random.Random) -> tuple[Candidate, ...]:
    """
    Make up what a home might propose.
    """
    names = rng.sample("abcdefgh", rng.randrange(9))
    return tuple(
        Candidate(
            name,
            rng.random() < 0.5,
            rng.choice([0.01, 0.02, 1.0, 100.0]),
            rng.choice([0.0, 0.001, 0.1]),
            rng.randrange(9),
            rng.random() < 0.5,
        )
        for name in names
    )


class _Promises(SynchronousTestCase):
    """
    What every policy keeps to.
    """

    make: Callable[[], IPeerSelector]

    def setUp(self) -> None:
        """
        Get the policy, and chance that is the same each time.
        """
        self.selector = type(self).make()
        self.rng = random.Random(1)  # noqa: S311 - It decides nothing.

    def orders(self, candidates: Sequence[Candidate]) -> list[str]:
        """
        Tell whom the policy asks.
        """
        return [each.node_id for each in self.selector.order(candidates, self.rng)]

    def test_interface(self) -> None:
        """
        It provides what the interfaces ask for, and has a name.
        """
        verifyObject(IPlugin, self.selector)
        verifyObject(IPeerSelector, self.selector)
        self.assertRegex(self.selector.name, r"\A[a-z0-9_-]+\Z")

    def test_nobody(self) -> None:
        """
        Of nobody, nobody is asked.
        """
        self.assertEqual(self.orders(()), [])

    def test_candidates(self) -> None:
        """
        Only candidates are asked, none twice, and somebody if there is somebody;
        each with a reason that fits on a line.
        """
        for _ in range(_ROUNDS):
            candidates = made_up(self.rng)
            choices = self.selector.order(candidates, self.rng)
            names = [choice.node_id for choice in choices]
            self.assertEqual(len(set(names)), len(names))
            self.assertLessEqual(set(names), {each.node_id for each in candidates})
            self.assertEqual(bool(names), bool(candidates))
            for choice in choices:
                self.assertRegex(choice.why, r"\A[^\n]{3,100}\Z")

    def test_pure(self) -> None:
        """
        Equal arguments give equal orders, whatever was asked in between.
        """
        for seed in range(_ROUNDS):
            candidates = made_up(self.rng)
            first, second = (random.Random(seed) for _ in range(2))  # noqa: S311
            before = self.selector.order(candidates, first)
            self.orders(made_up(self.rng))
            self.assertEqual(self.selector.order(candidates, second), before)

    def test_failing(self) -> None:
        """
        A peer that is a hundred times worse than the others is not the first.
        """
        for complete in (False, True):
            good = [Candidate(name, complete, 0.01) for name in "ab"]
            bad = Candidate("c", complete, 1.0)
            for _ in range(_ROUNDS):
                self.assertNotEqual(self.orders([bad, *good])[0], "c")

    def test_load(self) -> None:
        """
        Equal holders that are asked for the same share the load.
        """
        asked = dict.fromkeys("abcd", 0)
        for _ in range(_ROUNDS):
            candidates = [
                Candidate(name, True, 0.01, in_flight=count)
                for name, count in asked.items()
            ]
            asked[self.orders(candidates)[0]] += 1
        self.assertLessEqual(max(asked.values()), 1.2 * _ROUNDS / len(asked))


def peer_selector_tests(make: Callable[[], IPeerSelector]) -> type[SynchronousTestCase]:
    """
    Make the tests of one policy.

    Args:
        make: Gives it.
    """

    class PeerSelectorTests(_Promises):
        pass

    PeerSelectorTests.make = staticmethod(make)
    return PeerSelectorTests

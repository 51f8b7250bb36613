"""
Tests for :mod:`eliop2p.p2p.selection`.
"""

import random
from collections.abc import Container

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.policies import COMPARABLE, fastest
from eliop2p.p2p.selection import (
    FAILURE_HALF_LIFE,
    FIRST_BAN,
    PeerScores,
    choose,
)
from eliop2p.wire.events import Holder

NAMES = "abcdefgh"
MIB = 1024 * 1024

histories = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from(
            ["began", "ended", "failed", "corrupt", "delivered", "answered"]
        ),
        st.floats(0.001, 10.0),
    ),
    max_size=40,
)
proposals = st.lists(
    st.builds(Holder, st.sampled_from(NAMES), st.booleans()),
    unique_by=lambda holder: holder.node_id,
)


def scores_after(history: list[tuple[str, str, float]]) -> PeerScores:
    """
    Replay what happened, one event a second.
    """
    scores = PeerScores()
    for now, (node_id, event, value) in enumerate(history):
        match event:
            case "began":
                scores.began(node_id)
            case "ended":
                scores.ended(node_id)
            case "failed":
                scores.failed(node_id, now)
            case "corrupt":
                scores.corrupt(node_id, now)
            case "delivered":
                scores.delivered(node_id, MIB, value)
            case _:
                scores.answered(node_id, value)
    return scores


def asked(
    holders: list[Holder],
    scores: PeerScores,
    k: int,
    rng: random.Random,
    *,
    now: float,
    rejected: Container[str] = (),
) -> tuple[Holder, ...]:
    """
    Choose by the usual policy.
    """
    chosen = choose(holders, scores, fastest, rng, k=k, now=now, rejected=rejected)
    return tuple(holder for holder, _ in chosen)


class ChooseTests(SynchronousTestCase):
    """
    The order in which peers are asked.
    """

    @given(
        histories,
        proposals,
        st.integers(0, 10),
        st.sets(st.sampled_from(NAMES)),
        st.integers(0, 5),
    )
    def test_always(
        self,
        history: list[tuple[str, str, float]],
        holders: list[Holder],
        k: int,
        rejected: set[str],
        seed: int,
    ) -> None:
        """
        At most k of the proposed are given, each once, none that is rejected or banned,
        and a smaller k gives the beginning of what a larger one gives.
        """
        scores, now = scores_after(history), float(len(history))
        excluded = rejected | set(scores.banned(now))
        usable = [holder for holder in holders if holder.node_id not in excluded]

        def order(count: int) -> tuple[Holder, ...]:
            rng = random.Random(seed)
            return asked(holders, scores, count, rng, now=now, rejected=rejected)

        chosen, everyone = order(k), order(len(holders))
        self.assertEqual(chosen, everyone[:k])
        self.assertEqual(
            sorted(everyone, key=lambda one: one.node_id),
            sorted(usable, key=lambda one: one.node_id),
        )

    @given(histories, proposals, st.integers(0, 5))
    def test_good_first(
        self, history: list[tuple[str, str, float]], holders: list[Holder], seed: int
    ) -> None:
        """
        Nobody comes before one that is much better; comparable ones that are asked for
        nothing else come in the order of the home.
        """
        scores, now = scores_after(history), float(len(history))
        chosen = asked(holders, scores, 10, random.Random(seed), now=now)
        costs = [scores.cost(holder.node_id, now) for holder in chosen]
        bound = COMPARABLE * min(costs, default=0.0)
        good = [cost <= bound for cost in costs]
        self.assertEqual(good, sorted(good, reverse=True))
        first = chosen[: sum(good)]
        if not any(scores.in_flight(holder.node_id) for holder in first):
            named = [holder.node_id for holder in holders]
            order = [named.index(holder.node_id) for holder in first]
            self.assertEqual(order, sorted(order))

    def test_load(self) -> None:
        """
        Requests spread over equal holders.
        """
        scores, rng = PeerScores(), random.Random(1)
        holders = [Holder(name, True) for name in NAMES]
        for _ in range(400):
            scores.began(asked(holders, scores, 5, rng, now=0.0)[0].node_id)
        loads = [scores.in_flight(name) for name in NAMES]
        self.assertLessEqual(max(loads) - min(loads), 10)

    def test_unknown_is_tried(self) -> None:
        """
        A peer that nobody knows is not worse than a fast one.
        """
        scores = PeerScores()
        scores.delivered("a", 100 * MIB, 1.0)
        scores.began("a")
        holders = [Holder("a", True), Holder("b", True)]
        chosen = asked(holders, scores, 2, random.Random(1), now=0.0)
        self.assertEqual(chosen[0].node_id, "b")

    def test_slow_last(self) -> None:
        """
        A holder that is much slower comes after a receiver.
        """
        scores = PeerScores()
        scores.delivered("slow", MIB, 1.0)
        holders = [Holder("slow", True), Holder("fast", False)]
        chosen = asked(holders, scores, 2, random.Random(1), now=0.0)
        self.assertEqual([holder.node_id for holder in chosen], ["fast", "slow"])


class PeerScoresTests(SynchronousTestCase):
    """
    What is remembered of peers.
    """

    def test_failures_fade(self) -> None:
        """
        A failure makes a peer worse for a while.
        """
        scores = PeerScores()
        fresh = scores.cost("a", 0.0)
        scores.failed("a", 0.0)
        self.assertTrue(scores.suspect("a", 1.0))
        self.assertGreater(scores.cost("a", 1.0), COMPARABLE * fresh)
        later = 10 * FAILURE_HALF_LIFE
        self.assertFalse(scores.suspect("a", later))
        self.assertLess(scores.cost("a", later), COMPARABLE * fresh)

    def test_bans_grow(self) -> None:
        """
        A peer that gave corrupt bytes is banned, longer each time.
        """
        scores = PeerScores()
        scores.corrupt("a", 0.0)
        self.assertEqual(scores.banned(FIRST_BAN - 1), ("a",))
        self.assertEqual(scores.banned(FIRST_BAN), ())
        scores.corrupt("a", 100.0)
        self.assertEqual(scores.banned(100.0 + 2 * FIRST_BAN - 1), ("a",))

    def test_bounded(self) -> None:
        """
        No more peers are remembered than was said.
        """
        scores = PeerScores(limit=10)
        for number in range(100):
            scores.failed(f"n{number}", 0.0)
        self.assertLessEqual(len(scores._scores), 10)

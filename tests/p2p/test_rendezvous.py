"""
Tests for :mod:`eliop2p.p2p.rendezvous`.
"""

import hashlib
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.rendezvous import Homes, Ranking, ranked

MASK = (1 << 64) - 1


def members(weights: dict[str, float]) -> dict[str, PeerInfo]:
    """
    Build members with the weights given.
    """
    return {
        node_id: PeerInfo(node_id, "127.0.0.1", 9000, weight=weight)
        for node_id, weight in weights.items()
    }


def name(number: int) -> bytes:
    """
    Give the id of some chunk.
    """
    return hashlib.sha256(b"%d" % number).digest()


def slow_score(chunk: bytes, node_id: str, weight: float) -> float:
    """
    Compute one score alone, one step at a time.
    """
    seed = hashlib.blake2b(node_id.encode(), digest_size=8).digest()
    mixed = int.from_bytes(seed, "big") ^ int.from_bytes(chunk[:8], "big")
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    mixed ^= mixed >> 31
    return -weight / math.log(((mixed >> 12) + 0.5) / 2**52)


clusters = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.5]),
    min_size=1,
    max_size=30,
)
names = st.binary(min_size=32, max_size=32)


class RankingTests(SynchronousTestCase):
    """
    The order of nodes for a name.
    """

    @given(clusters, names, st.integers(0, 8))
    def test_twin(self, weights: dict[str, float], chunk: bytes, count: int) -> None:
        """
        The order is that of the scores computed one by one.
        """
        scores = {node: slow_score(chunk, node, weights[node]) for node in weights}
        expected = sorted(weights, key=lambda node: (-scores[node], node))[:count]
        self.assertEqual(ranked(chunk, members(weights), count), tuple(expected))

    @given(clusters, names, st.randoms(use_true_random=False))
    def test_order_of_members(
        self, weights: dict[str, float], chunk: bytes, rng: object
    ) -> None:
        """
        The order in which members are listed does not matter.
        """
        peers = members(weights)
        backwards = dict(reversed(peers.items()))
        self.assertEqual(ranked(chunk, peers, 5), ranked(chunk, backwards, 5))

    @given(clusters, names)
    def test_leave(self, weights: dict[str, float], chunk: bytes) -> None:
        """
        A node that leaves moves the others up and changes nothing else.
        """
        everyone = ranked(chunk, members(weights), len(weights))
        for gone in weights:
            rest = {node: weights[node] for node in weights if node != gone}
            expected = tuple(node for node in everyone if node != gone)
            self.assertEqual(ranked(chunk, members(rest), len(weights)), expected)

    @given(st.integers(5, 40), st.integers(0, 2**31))
    @settings(max_examples=20)
    def test_moves(self, size: int, seed: int) -> None:
        """
        A node that joins N others, and leaves again, moves one of N + 1 homes, to or
        from itself, within a tenth of 1/N and what chance adds to so few names.
        """
        before = {f"node-{seed}-{number}": 1.0 for number in range(size)}
        old = Ranking(members(before))
        new = Ranking(members({**before, "newcomer": 1.0}))
        count, moved = 6000, 0
        for number in range(count):
            was, is_now = old.top(name(number), 1), new.top(name(number), 1)
            if was != is_now:
                moved += 1
                self.assertEqual(is_now, ("newcomer",))
        expected = count / size
        # Five standard deviations of a binomial variable.
        self.assertLess(moved, 1.1 * expected + 5 * math.sqrt(expected))
        self.assertGreater(moved, 0.5 * expected)

    def test_weights(self) -> None:
        """
        A node is first for a part of the names that is proportional to its weight.
        """
        weights = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 1.0, "e": 1.0}
        ranking = Ranking(members(weights))
        first = dict.fromkeys(weights, 0)
        for number in range(20_000):
            first[ranking.top(name(number), 1)[0]] += 1
        for node, weight in weights.items():
            self.assertLess(abs(first[node] / 20_000 - weight / 10), 0.015)

    def test_even(self) -> None:
        """
        Three hundred equal nodes share the names, first and second, evenly.
        """
        ranking = Ranking(members({f"node-{i}": 1.0 for i in range(300)}))
        shares: dict[str, int] = {}
        for number in range(15_000):
            for node in ranking.top(name(number), 2):
                shares[node] = shares.get(node, 0) + 1
        self.assertEqual(len(shares), 300)
        self.assertLess(max(shares.values()), 150)
        self.assertGreater(min(shares.values()), 60)

    def test_useless_weights(self) -> None:
        """
        A node whose weight is no positive number is no home.
        """
        weights = {"a": 0.0, "b": -1.0, "c": math.nan, "d": math.inf, "e": 1.0}
        self.assertEqual(ranked(name(1), members(weights), 5), ("e",))

    def test_nobody(self) -> None:
        """
        Without members there is no home.
        """
        self.assertEqual(ranked(name(1), {}, 3), ())


class HomesTests(SynchronousTestCase):
    """
    The remembered order.
    """

    def test_follows_members(self) -> None:
        """
        The answer is that of the members given, however often these change.
        """
        homes = Homes(2, remembered=10)
        for size in (5, 3, 8):
            peers = members({f"n{i}": 1.0 for i in range(size)})
            for number in [*range(30), *range(30)]:
                expected = ranked(name(number), peers, 2)
                self.assertEqual(homes.of(name(number), peers), expected)

    def test_bounded(self) -> None:
        """
        No more answers are remembered than was said.
        """
        homes = Homes(2, remembered=10)
        peers = members({"a": 1.0, "b": 1.0})
        for number in range(100):
            homes.of(name(number), peers)
        self.assertLessEqual(len(homes._known), 10)

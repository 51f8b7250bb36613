"""
What the policies of :mod:`eliop2p.cache.policies` keep.
"""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.policies.arc import ArcPolicy
from benchmarks.policies.lru2 import Lru2Policy
from benchmarks.policies.s3fifo import S3FifoPolicy
from eliop2p.base.config_sections import CacheConfig
from eliop2p.cache.lru import LruPolicy
from eliop2p.cache.policies import POLICIES
from eliop2p.cache.policy import EvictionPolicy
from eliop2p.cache.tinylfu import TinyLfuPolicy
from eliop2p.cache.wlru import WeightedLruPolicy
from eliop2p.model.chunk import ChunkId
from tests.cache.policy_names import name_of, nobody

_CAPACITY = 100


@attrs.define
class _Tier:
    """
    A tier of 100 chunks that makes room for one at a time.
    """

    policy: EvictionPolicy
    held: set[ChunkId] = attrs.Factory(set)
    now: float = 0.0

    def read(self, chunk_id: ChunkId) -> None:
        """
        Read a chunk.
        """
        self.now += 10
        if chunk_id in self.held:
            self.policy.used(chunk_id, self.now)
            return
        if len(self.held) == _CAPACITY:
            victim = self.policy.evict(nobody)
            assert victim is not None
            self.held.remove(victim)
        self.held.add(chunk_id)
        self.policy.added(chunk_id, 1, self.now)


class KeepingTests(SynchronousTestCase):
    """
    What is kept and what goes, by example.
    """

    def hot_after_scan(self, policy: EvictionPolicy) -> int:
        """
        Count the chunks of a hot set of 50 that survive a scan of 200.
        """
        tier = _Tier(policy)
        hot = [name_of(number) for number in range(50)]
        for chunk_id in hot * 4:
            tier.read(chunk_id)
        for number in range(1000, 1200):
            tier.read(name_of(number))
        return len(tier.held.intersection(hot))

    def test_scan(self) -> None:
        """
        One pass over twice the cache leaves a hot set in place; plain LRU loses it.
        """
        for make in (WeightedLruPolicy, S3FifoPolicy, ArcPolicy, TinyLfuPolicy):
            self.assertGreater(self.hot_after_scan(make(_CAPACITY)), 45, make)
        self.assertGreater(self.hot_after_scan(Lru2Policy()), 45)
        self.assertEqual(self.hot_after_scan(LruPolicy()), 0)

    def test_new_hot_set(self) -> None:
        """
        A hot set that nobody reads any more gives way to a new one.
        """
        for name, make in POLICIES.items():
            tier = _Tier(make(_CAPACITY))
            sets = [range(80), range(1000, 1080)]
            for numbers in sets:
                for number in [*numbers] * 20:
                    tier.read(name_of(number))
            new = tier.held.intersection(map(name_of, sets[1]))
            self.assertGreater(len(new), 50, name)

    def test_turns(self) -> None:
        """
        What is asked for once in each epoch stays, though all counts have halved since
        its last turn: a newcomer whose turn has just come replaces nothing.
        """
        policy = TinyLfuPolicy(_CAPACITY)
        first = {name_of(number) for number in range(_CAPACITY - 1)}
        for number in range(_CAPACITY):
            policy.added(name_of(number), 1, 0.0)
        for _ in range(4 * _CAPACITY):
            policy.used(name_of(0), 0.0)
        for number in range(1000, 1010):
            policy.added(name_of(number), 1, 0.0)
            self.assertNotIn(policy.evict(nobody), first)

    def test_idle(self) -> None:
        """
        What was used once and never again gives way, also to what is used once.
        """
        tier = _Tier(TinyLfuPolicy(_CAPACITY))
        for number in range(_CAPACITY):
            tier.read(name_of(number))
        old = set(tier.held)
        for number in range(1000, 1000 + 20 * _CAPACITY):
            tier.read(name_of(number))
        self.assertLess(len(tier.held & old), _CAPACITY // 10)

    def test_second_copies(self) -> None:
        """
        A copy that others hold too goes before what only this node holds, makes room
        for no newcomer but the next copy, and is as good as any once it is used again.
        """
        policy = TinyLfuPolicy(100)
        for number in range(1, 12):
            policy.added(name_of(number), 9, 0.0)
        policy.noted(name_of(11), 1)
        self.assertEqual(policy.evict(nobody), name_of(11))
        policy.added(name_of(13), 9, 0.0)
        self.assertEqual(policy.evict(nobody), name_of(13))
        policy.added(name_of(12), 9, 0.0)
        policy.noted(name_of(12), 1)
        policy.used(name_of(12), 0.0)
        self.assertEqual(policy.evict(nobody), name_of(1))

    def test_found(self) -> None:
        """
        What an earlier process left goes before what has been asked for since, and
        stays as well as anything once it is used.
        """
        policy = TinyLfuPolicy(100)
        policy.found([(name_of(number), 9) for number in range(9)], 0.0)
        policy.used(name_of(0), 0.0)
        policy.added(name_of(9), 9, 0.0)
        policy.added(name_of(10), 9, 0.0)
        left = [policy.evict(nobody) for _ in range(8)]
        self.assertEqual(left, [name_of(number) for number in range(1, 9)])

    def older_goes(self, minutes: float, uses: int = 1, replicas: int = 0) -> bool:
        """
        Use a chunk so often, another one so many minutes later, of which there are so
        many copies elsewhere; tell whether the first is the victim.
        """
        policy = WeightedLruPolicy(_CAPACITY)
        for number, begin, times in ((1, 0.0, uses), (2, minutes * 60, 1)):
            policy.added(name_of(number), 10, begin)
            for _ in range(times):
                policy.used(name_of(number), begin)
        policy.noted(name_of(2), 9)
        policy.noted(name_of(2), replicas)
        return policy.evict(nobody) == name_of(1)

    def test_age(self) -> None:
        """
        Of chunks alike the older goes first.
        """
        self.assertTrue(self.older_goes(0.1))

    def test_replicas(self) -> None:
        """
        Each copy elsewhere, up to five, makes a chunk seem older by half an hour.
        """
        for replicas, minutes in ((1, 30), (3, 90), (5, 150), (6, 150)):
            self.assertFalse(self.older_goes(minutes - 0.1, replicas=replicas))
            self.assertTrue(self.older_goes(minutes + 0.1, replicas=replicas))

    def test_heat(self) -> None:
        """
        Ten uses in an hour make a chunk seem younger by 18 minutes, more than a hundred
        by 36.
        """
        for uses, minutes in ((8, 0), (9, 18), (99, 18), (100, 36)):
            self.assertFalse(self.older_goes(minutes - 0.1, uses))
            self.assertTrue(self.older_goes(minutes + 0.1, uses))

    def test_heat_decays(self) -> None:
        """
        What happened an hour ago counts for a third.
        """
        policy = WeightedLruPolicy(_CAPACITY)
        policy.added(name_of(1), 10, 0.0)
        for _ in range(21):
            policy.used(name_of(1), 0.0)
        policy.used(name_of(1), 3600.0)
        policy.added(name_of(2), 10, 3601.0)
        policy.used(name_of(2), 3601.0)
        self.assertEqual(policy.evict(nobody), name_of(1))

    def test_names(self) -> None:
        """
        The configuration offers the policies that there are, the default among them.
        """
        metadata = attrs.fields(CacheConfig).eviction.metadata
        self.assertEqual(metadata["kind"].name, ", ".join(POLICIES))
        self.assertIn(metadata["default"], POLICIES)

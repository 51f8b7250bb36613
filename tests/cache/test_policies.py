"""
Tests for the eviction policies, those of the product and those compared with them.
"""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.policies.arc import ArcPolicy
from benchmarks.policies.lru2 import Lru2Policy
from benchmarks.policies.s3fifo import S3FifoPolicy
from eliop2p.cache.lru import LruPolicy
from eliop2p.cache.policy import EvictionPolicy
from eliop2p.cache.tinylfu import TinyLfuPolicy
from eliop2p.cache.wlru import WeightedLruPolicy
from eliop2p.model.chunk import ChunkId
from tests.cache.policy_names import name_of
from tests.cache.policy_twins import ListTwin, Lru2Twin, S3FifoTwin, WeightedTwin
from tests.cache.policy_twins_adaptive import ArcTwin, TinyLfuTwin

_CAPACITY = 100


class PolicyMachine(RuleBasedStateMachine):
    """
    A policy against its twin; chunks come, are used, pinned and removed.
    """

    make: Callable[[int], EvictionPolicy]
    make_twin: Callable[[int], ListTwin]

    def __init__(self) -> None:
        super().__init__()
        self.policy = type(self).make(_CAPACITY)
        self.twin = type(self).make_twin(_CAPACITY)
        self.now = 0.0
        self.sizes: dict[ChunkId, int] = {}
        self.pinned: set[ChunkId] = set()

    @rule(number=st.integers(0, 24), size=st.integers(0, 40))
    def add(self, number: int, size: int) -> None:
        """
        Make room for a chunk and add it.
        """
        chunk_id = name_of(number)
        if chunk_id in self.sizes:
            return
        while sum(self.sizes.values()) + size > _CAPACITY:
            if not self.evict():
                return
        self.now += 1
        self.sizes[chunk_id] = size
        self.policy.added(chunk_id, size, self.now)
        self.twin.added(chunk_id, size, self.now)

    @rule(
        sizes=st.dictionaries(st.integers(0, 24), st.integers(0, 9), max_size=6),
    )
    def find(self, sizes: dict[int, int]) -> None:
        """
        Find chunks that an earlier process left.
        """
        found = {
            name_of(number): size
            for number, size in sizes.items()
            if name_of(number) not in self.sizes
        }
        while sum([*self.sizes.values(), *found.values()]) > _CAPACITY:
            if not self.evict():
                return
        self.now += 1
        self.sizes.update(found)
        self.policy.found(found.items(), self.now)
        self.twin.found(found.items(), self.now)

    def evict(self) -> bool:
        """
        Have a victim named by both.
        """
        victim = self.policy.evict(self.pinned.__contains__)
        assert victim == self.twin.evict(self.pinned.__contains__)
        if victim is None:
            assert self.pinned == set(self.sizes)
            return False
        assert victim not in self.pinned
        del self.sizes[victim]
        return True

    @precondition(lambda self: self.sizes)
    @rule(
        data=st.data(),
        later=st.sampled_from([1.0, 60.0, 1800.0]),
        times=st.sampled_from([1, 1, 1, 2, 12, 120]),
    )
    def use(self, data: st.DataObject, later: float, times: int) -> None:
        """
        Use a chunk, once or a number of times.
        """
        chunk_id = data.draw(st.sampled_from(sorted(self.sizes)))
        self.now += later
        for _ in range(times):
            self.now += 1
            self.policy.used(chunk_id, self.now)
            self.twin.used(chunk_id, self.now)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data(), replicas=st.integers(0, 7))
    def note(self, data: st.DataObject, replicas: int) -> None:
        """
        Tell of copies elsewhere.
        """
        chunk_id = data.draw(st.sampled_from(sorted(self.sizes)))
        self.policy.noted(chunk_id, replicas)
        self.twin.noted(chunk_id, replicas)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """
        Remove a chunk.
        """
        chunk_id = data.draw(st.sampled_from(sorted(self.sizes)))
        self.policy.removed(chunk_id)
        self.twin.removed(chunk_id)
        del self.sizes[chunk_id]
        self.pinned.discard(chunk_id)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        """
        Pin a chunk, or unpin it.
        """
        self.pinned ^= {data.draw(st.sampled_from(sorted(self.sizes)))}

    @invariant()
    def same(self) -> None:
        """
        The twin has the chunks that there are.
        """
        assert {known.chunk_id for known in self.twin.chunks} == set(self.sizes)

    def teardown(self) -> None:
        """
        In the end every chunk is named, once, in the order of the twin.
        """
        self.pinned.clear()
        while self.sizes:
            assert self.evict()
        assert not self.evict()


def machine_of(
    make: Callable[[int], EvictionPolicy], make_twin: Callable[[int], ListTwin]
) -> type[PolicyMachine]:
    """
    Make the machine for a policy.
    """
    members = {"make": staticmethod(make), "make_twin": staticmethod(make_twin)}
    return type(f"{make_twin.__name__}Machine", (PolicyMachine,), members)


class TwinTests(SynchronousTestCase):
    """
    Every policy names the victims that its twin names, members that nobody has pinned.
    """

    def test_lru(self) -> None:
        """
        LRU behaves as its twin.
        """
        machine = machine_of(lambda _: LruPolicy(), ListTwin)
        run_state_machine_as_test(machine)

    def test_wlru(self) -> None:
        """
        The weighted LRU behaves as its twin.
        """
        run_state_machine_as_test(machine_of(WeightedLruPolicy, WeightedTwin))

    def test_s3fifo(self) -> None:
        """
        S3-FIFO behaves as its twin.
        """
        run_state_machine_as_test(machine_of(S3FifoPolicy, S3FifoTwin))

    def test_lru2(self) -> None:
        """
        LRU-2 behaves as its twin.
        """
        run_state_machine_as_test(machine_of(lambda _: Lru2Policy(), Lru2Twin))

    def test_arc(self) -> None:
        """
        ARC behaves as its twin.
        """
        run_state_machine_as_test(machine_of(ArcPolicy, ArcTwin))

    def test_tinylfu(self) -> None:
        """
        W-TinyLFU behaves as its twin, which counts without error.
        """
        run_state_machine_as_test(machine_of(TinyLfuPolicy, TinyLfuTwin))

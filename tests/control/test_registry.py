"""
Tests for :mod:`eliop2p.control.registry` and :mod:`eliop2p.control.locations`.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.messages import ChunkReport, Heartbeat, Location
from eliop2p.control.registry import (
    Registry,
    RegistryFull,
    SavedNode,
    UnknownNode,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo
from tests.control.support import TIMEOUT, chunk_id, node

MAX_NODES = 3
MAX_PAIRS = 6
names = st.sampled_from(["a", "b", "c", "d", "e"])
chunks = st.lists(st.integers(0, 5).map(chunk_id), max_size=6).map(tuple)


class RegistryTwin(RuleBasedStateMachine):
    """
    The registry beside a list of nodes and a list of pairs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry(TIMEOUT, 7, MAX_NODES, MAX_PAIRS)
        self.now = 1000.0
        self.looked: float | None = None
        self.heard: dict[str, float] = {}
        self.infos: dict[str, PeerInfo] = {}
        self.pairs: list[tuple[ChunkId, str]] = []
        self.version = 7

    def forget(self, name: str) -> None:
        """
        Forget what a node holds.
        """
        self.pairs = [pair for pair in self.pairs if pair[1] != name]

    @rule(seconds=st.floats(-30, 30))
    def wait(self, seconds: float) -> None:
        """
        Time passes, or the clock is set back.
        """
        self.now += seconds

    @rule(name=names, port=st.integers(1, 2))
    def register(self, name: str, port: int) -> None:
        """
        A node registers.
        """
        info = node(name, port=port)
        self.forget(name)
        changed = self.infos.get(name) != info
        if name not in self.infos and len(self.infos) == MAX_NODES:
            try:
                self.registry.register(info, self.now)
            except RegistryFull:
                return
            raise AssertionError("there was room")
        assert self.registry.register(info, self.now) is changed
        self.version += changed
        self.infos[name] = info
        self.heard[name] = self.now

    @rule(name=names)
    def beat(self, name: str) -> None:
        """
        A node beats.
        """
        heartbeat = Heartbeat(1, 2, 3, 4, 5)
        try:
            self.registry.beat(name, heartbeat, self.now)
        except UnknownNode:
            assert name not in self.infos
            return
        self.heard[name] = self.now

    @rule(name=names, held=chunks, gone=chunks)
    def report(
        self, name: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> None:
        """
        A node reports.
        """
        try:
            answer = self.registry.report(name, ChunkReport(held, gone), self.now)
        except UnknownNode:
            assert name not in self.infos
            return
        self.heard[name] = self.now
        self.pairs = [
            pair for pair in self.pairs if pair not in [(c, name) for c in gone]
        ]
        ignored = 0
        for chunk in held:
            if (chunk, name) in self.pairs:
                continue
            if len(self.pairs) == MAX_PAIRS:
                ignored += 1
            else:
                self.pairs.append((chunk, name))
        assert answer.ignored == ignored
        assert answer.locations == len(
            [1 for _, holder in self.pairs if holder == name]
        )

    @rule(name=names)
    def leave(self, name: str) -> None:
        """
        A node leaves.
        """
        try:
            self.registry.leave(name)
        except UnknownNode:
            assert name not in self.infos
            return
        self.drop(name)

    def drop(self, name: str) -> None:
        """
        Forget a node.
        """
        del self.infos[name]
        del self.heard[name]
        self.forget(name)
        self.version += 1

    @rule()
    def expire(self) -> None:
        """
        Silent nodes are looked for.
        """
        waited = 0.0 if self.looked is None else self.now - self.looked
        self.looked = self.now
        if waited < 0 or waited > TIMEOUT / 2:
            self.heard = {name: at + waited for name, at in self.heard.items()}
        dead = [name for name in sorted(self.heard) if self.now - self.heard[name] > 10]
        assert self.registry.expire(self.now) == tuple(dead)
        for name in dead:
            self.drop(name)

    @invariant()
    def same(self) -> None:
        """
        Both know the same.
        """
        registry = self.registry
        assert registry.version == self.version
        assert registry.nodes() == tuple(
            self.infos[name] for name in sorted(self.infos)
        )
        assert registry.locations.pairs == len(self.pairs) <= MAX_PAIRS
        assert registry.locations.chunks == len({chunk for chunk, _ in self.pairs})
        for number in range(6):
            chunk = chunk_id(number)
            holders = tuple(name for c, name in reversed(self.pairs) if c == chunk)
            expected = Location(len(holders), holders)
            assert registry.locate([chunk]) == {chunk: expected}


class RegistryTests(SynchronousTestCase):
    """
    What the registry promises.
    """

    def test_twin(self) -> None:
        """
        Whatever happens in whatever order, the registry knows what a slow twin knows.
        """
        run_state_machine_as_test(
            RegistryTwin,
            settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
        )

    def test_dead_after_timeout(self) -> None:
        """
        A node that falls silent is gone after the timeout and takes its chunks along;
        one that beats stays.
        """
        registry = Registry(TIMEOUT, 1)
        registry.register(node("a"), 0)
        registry.register(node("b"), 0)
        registry.report("a", ChunkReport((chunk_id(1),), ()), 0)
        for second in range(1, 11):
            registry.beat("b", Heartbeat(0, 0, 0, 0, 0), second)
            self.assertEqual(registry.expire(second), ())
        self.assertEqual(registry.expire(11), ("a",))
        self.assertEqual([info.node_id for info in registry.nodes()], ["b"])
        self.assertEqual(registry.locations.chunks, 0)

    def test_standstill(self) -> None:
        """
        A control plane that stood still for an hour does not hold it against the nodes.
        """
        registry = Registry(TIMEOUT, 1)
        registry.register(node("a"), 0)
        registry.expire(0)
        self.assertEqual(registry.expire(3600), ())
        self.assertEqual(registry.expire(3605), ())
        self.assertEqual(registry.expire(3609), ())
        self.assertEqual(registry.expire(3611), ("a",))

    def test_restored(self) -> None:
        """
        A node of an earlier run has one timeout to be heard of.
        """
        registry = Registry(TIMEOUT, 1)
        registry.restore([SavedNode(node("a"), 1.0)], 500)
        self.assertEqual(registry.expire(505), ())
        self.assertEqual(registry.expire(509), ())
        self.assertEqual(registry.expire(511), ("a",))

    def test_moved(self) -> None:
        """
        A node that comes back from another address replaces itself, with what it held.
        """
        registry = Registry(TIMEOUT, 1)
        registry.register(node("a"), 0)
        registry.report("a", ChunkReport((chunk_id(1),), ()), 0)
        self.assertTrue(registry.register(node("a", host="10.0.0.9"), 1))
        self.assertEqual(registry.nodes(), (node("a", host="10.0.0.9"),))
        self.assertEqual(registry.version, 3)
        self.assertEqual(registry.locations.pairs, 0)

    def test_many_holders(self) -> None:
        """
        Of many holders the sixteen that said so last are named, and all are counted.
        """
        registry = Registry(TIMEOUT, 1)
        for number in range(20):
            registry.register(node(f"n{number:02}"), 0)
            registry.report(f"n{number:02}", ChunkReport((chunk_id(1),), ()), 0)
        found = registry.locate([chunk_id(1)])[chunk_id(1)]
        self.assertEqual(found.holders, 20)
        self.assertEqual(found.nodes, tuple(f"n{n:02}" for n in range(19, 3, -1)))

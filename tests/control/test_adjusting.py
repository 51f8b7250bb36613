"""
Tests for :mod:`eliop2p.control.adjusting` and :mod:`eliop2p.control.executor`.
"""

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.control.adjusting import (
    EPOCH_SECONDS,
    Held,
    choose_targets,
    make_orders,
    plan_evictions,
    plan_replicas,
    surplus,
)
from eliop2p.control.executor import Executor
from eliop2p.control.orders import (
    MAX_CHUNKS,
    ChunkRef,
    Kind,
    Order,
    OrderBook,
    Outcome,
    State,
)
from eliop2p.control.policy import Policy, Rule
from eliop2p.control.steering import NullSteering
from eliop2p.interfaces import ICatalog, IReplicas, Place, Registration
from eliop2p.model.chunk import Chunk, ChunkId, Layout
from tests.control.support import chunk_id

NODES = tuple(f"n{index}" for index in range(6))
PIN = Rule("s3://b/", 3, pinned=True)
COMMANDS = Registration(None, 1, commands=1)


def held(number: int, *holders: str, heat: int = 0) -> Held:
    """
    Make a chunk with its holders.
    """
    return Held(Chunk(chunk_id(number), number, 0, 10), holders, heat)


class PlanTests(SynchronousTestCase):
    """
    What is planned.
    """

    @given(st.sets(st.sampled_from(NODES)), st.integers(1, 8))
    def test_pin(self, holders: set[str], replicas: int) -> None:
        """
        A pinned chunk that somebody holds gets exactly what is missing, on live nodes
        that do not hold it; nothing is ever taken away.
        """
        rule = Rule("s3://b/", replicas, pinned=True)
        chunk = held(1, *sorted(holders))
        plan = plan_replicas(Policy(), rule, [chunk], NODES)
        wanted = min(replicas, len(NODES)) - len(holders)
        self.assertEqual(len(plan), max(0, wanted) if holders else 0)
        self.assertFalse(set(plan) & holders)

    def test_heat(self) -> None:
        """
        Without a pin a cold chunk is left alone and a hot one has the rule's maximum.
        """
        rule = Rule("s3://b/", 3)
        for heat, count in ((0, 0), (1000, 2)):
            chunk = held(1, "n0", heat=heat)
            plan = plan_replicas(Policy(), rule, [chunk], NODES)
            self.assertEqual(len(plan), count)

    def test_spread(self) -> None:
        """
        Different chunks go to different nodes, the same chunk always to the same.
        """
        counts = dict.fromkeys(NODES, 0)
        for number in range(300):
            (target,) = choose_targets(chunk_id(number), (), NODES, 1)
            self.assertEqual(
                choose_targets(chunk_id(number), (), NODES[::-1], 1), (target,)
            )
            counts[target] += 1
        self.assertGreater(min(counts.values()), 25)

    def test_surplus(self) -> None:
        """
        What nobody asked for keeps the least replicas, the same ones each time; what is
        warm or pinned keeps all, and the last one always stays.
        """
        policy = Policy(2, 5, (PIN,))
        loose = attrs.evolve(PIN, pinned=False)
        gone = surplus(policy, loose, held(1, *NODES[:4]))
        self.assertEqual(len(gone), 2)
        again = surplus(policy, loose, held(1, *NODES[3::-1]))
        self.assertEqual(set(again), set(gone))
        self.assertEqual(surplus(policy, PIN, held(1, *NODES)), ())
        self.assertEqual(surplus(policy, loose, held(1, *NODES, heat=1)), ())
        for count in (2, 1, 0):
            self.assertEqual(surplus(policy, loose, held(1, *NODES[:count])), ())
        plan = plan_evictions(policy, loose, [held(1, *NODES[:4])])
        self.assertEqual(set(plan), set(gone))

    def test_orders(self) -> None:
        """
        The same plan is the same commands for a while, of bounded length.
        """
        refs = [ChunkRef(chunk_id(number), 10) for number in range(MAX_CHUNKS + 1)]
        orders = make_orders({"n1": refs}, PIN.prefix, 5.0)
        self.assertEqual([len(order.chunks) for _, order in orders], [MAX_CHUNKS, 1])
        self.assertEqual(orders, make_orders({"n1": refs}, PIN.prefix, 6.0))
        later = make_orders({"n1": refs}, PIN.prefix, 5.0 + EPOCH_SECONDS)
        names = {order.command_id for _, order in (*orders, *later)}
        self.assertEqual(len(names), 4)


@implementer(IReplicas, ICatalog)
@attrs.define
class Cluster:
    """
    A node's chunks, and what the cluster knows of others.

    Attributes:
        mine: What the node holds.
        others: What others hold.
        adopted: What was remembered.
    """

    mine: set[ChunkId] = attrs.Factory(set)
    others: dict[ChunkId, tuple[str, ...]] = attrs.Factory(dict)
    adopted: list[tuple[bytes, bytes]] = attrs.Factory(list)

    def keep(self, name: ChunkId, length: int) -> Deferred[int]:
        """
        Get a chunk from others.
        """
        if name in self.mine:
            return succeed(0)
        if name not in self.others:
            return fail(ChunkUnavailable("nobody has it"))
        self.mine.add(name)
        return succeed(length)

    def drop(self, name: ChunkId) -> Deferred[None]:
        """
        Let go of a chunk.
        """
        self.mine.discard(name)
        return succeed(None)

    def places(self, names: tuple[ChunkId, ...]) -> Deferred[dict[ChunkId, Place]]:
        """
        Tell what others hold.
        """
        known = {name: self.others.get(name, ()) for name in names}
        return succeed({name: Place(nodes, 0) for name, nodes in known.items()})

    def objects(self, bucket: bytes, prefix: bytes) -> Deferred[tuple[Layout, ...]]:
        """
        Know of none.
        """
        return succeed(())

    def adopt(self, bucket: bytes, prefix: bytes) -> Deferred[None]:
        """
        Note what is to be remembered.
        """
        self.adopted.append((bucket, prefix))
        return succeed(None)


class Steering(NullSteering):
    """
    Hands out commands from a book.
    """

    def __init__(self) -> None:
        self.book = OrderBook()

    def orders(self, node_id: str) -> Deferred[tuple[Order, ...]]:
        """
        Give those that wait.
        """
        return succeed(self.book.waiting(node_id))

    def acknowledge(
        self, node_id: str, command_id: str, outcome: Outcome
    ) -> Deferred[None]:
        """
        Note what became of one.
        """
        self.book.end(node_id, command_id, outcome)
        return succeed(None)


class ExecutorTests(SynchronousTestCase):
    """
    What a node does with commands.
    """

    def setUp(self) -> None:
        """
        Make a node that moves ten bytes a second.
        """
        self.clock, self.steering, self.cluster = Clock(), Steering(), Cluster()
        self.executor = Executor(
            "me",
            self.steering,
            replicas=self.cluster,
            catalog=self.cluster,
            clock=self.clock,
            bytes_per_second=10,
        )
        self.executor.startService()

    def give(self, kind: Kind, *numbers: int, to: str = "") -> str:
        """
        Give a command and announce it.
        """
        refs = tuple(ChunkRef(chunk_id(number), 10) for number in numbers)
        name = f"{kind.value}-{len(list(self.steering.book.all()))}"
        prefix = "s3://b/p" if kind is Kind.REPLICATE else ""
        self.steering.book.give("me", Order(name, kind, refs, to, prefix), 0.0)
        self.executor.told(COMMANDS)
        return name

    def outcome(self, name: str) -> Outcome:
        """
        Tell what became of a command.
        """
        standing = self.steering.book.find("me", name)
        assert standing is not None
        return standing.outcome

    def test_replicate(self) -> None:
        """
        Chunks are got one after the other at the rate, along with what their objects
        are; one that is there already is not moved.
        """
        self.cluster.others = {chunk_id(number): ("o",) for number in range(3)}
        self.cluster.mine = {chunk_id(0)}
        name = self.give(Kind.REPLICATE, 0, 1, 2)
        self.assertEqual(self.cluster.adopted, [(b"b", b"p")])
        self.assertEqual(len(self.cluster.mine), 2)
        self.executor.told(COMMANDS)
        self.clock.advance(1)
        self.assertEqual(len(self.cluster.mine), 3)
        self.assertEqual(self.outcome(name).state, State.WAITING)
        self.clock.advance(1)
        self.assertEqual(self.outcome(name), Outcome(State.DONE, 20))
        self.assertEqual(self.executor.moved, 20)

    def test_unavailable(self) -> None:
        """
        What nobody gives fails the command, which says how much; the rest is done.
        """
        self.cluster.others = {chunk_id(2): ("o",)}
        name = self.give(Kind.REPLICATE, 1, 2)
        self.clock.advance(1)
        outcome = self.outcome(name)
        self.assertEqual((outcome.state, outcome.bytes), (State.FAILED, 10))
        self.assertIn("1 of 2", outcome.detail)

    def test_migrate(self) -> None:
        """
        A node lets go only of what the other one holds.
        """
        self.cluster.mine = {chunk_id(1), chunk_id(2)}
        self.cluster.others = {chunk_id(1): ("to",), chunk_id(2): ("else",)}
        name = self.give(Kind.MIGRATE, 1, 2, to="to")
        self.assertEqual(self.cluster.mine, {chunk_id(2)})
        self.assertEqual(self.outcome(name).state, State.FAILED)

    def test_evict(self) -> None:
        """
        Evicting what is not there is done as well.
        """
        self.cluster.mine = {chunk_id(1)}
        name = self.give(Kind.EVICT, 1, 2)
        self.assertEqual(self.cluster.mine, set())
        self.assertEqual(self.outcome(name).state, State.DONE)

    def test_stop(self) -> None:
        """
        A command that is interrupted is not acknowledged.
        """
        self.cluster.others = {chunk_id(number): ("o",) for number in range(2)}
        name = self.give(Kind.REPLICATE, 0, 1)
        self.executor.stopService()
        self.assertEqual(self.outcome(name).state, State.WAITING)
        self.assertEqual(self.clock.getDelayedCalls(), [])

"""
Nodes whose control plane is a real cluster of etcd.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor  # noqa: TID251  The real thing is wanted.
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.etcd import EtcdControlPlane
from eliop2p.control.etcd_gateway import EtcdGateway
from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.orders import ChunkRef, Kind, Order, Outcome, State
from eliop2p.control.policy import Policy, Rule
from eliop2p.control.service import ControlService
from eliop2p.interfaces import NodeLoad
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.p2p.node_discovery import NodeDiscovery
from eliop2p.testing.workers import ImmediateWorker
from tests.functional.etcd_cluster import EtcdCluster, needs_etcd

LEASE = 2
LOAD = NodeLoad(1, 2, 3, 4)

pytestmark = needs_etcd


@pytest.fixture
def one(tmp_path: Path) -> Iterator[EtcdCluster]:
    """
    Run a cluster of one.
    """
    cluster = EtcdCluster(tmp_path, 1)
    yield cluster
    cluster.kill_all()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[EtcdCluster]:
    """
    Run a cluster of three.
    """
    cluster = EtcdCluster(tmp_path, 3)
    yield cluster
    cluster.kill_all()


def plane(cluster: EtcdCluster) -> EtcdControlPlane:
    """
    Make a node's view of the cluster.
    """
    gateway = EtcdGateway(cluster.urls, Agent(reactor), reactor)
    return EtcdControlPlane(gateway, reactor, LEASE)


def node(name: str) -> PeerInfo:
    """
    Make a node.
    """
    return PeerInfo(name, "127.0.0.1", 9000)


def sleep(seconds: float) -> Deferred[None]:
    """
    Let real time pass.
    """
    return deferLater(reactor, seconds)


async def until(condition: Callable[[], bool], seconds: float = 40.0) -> float:
    """
    Wait until something holds, and tell how long that took.
    """
    begun = time.monotonic()  # noqa: TID251
    while not condition():
        assert time.monotonic() - begun < seconds  # noqa: TID251
        await sleep(0.05)
    return time.monotonic() - begun  # noqa: TID251


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_membership(one: EtcdCluster) -> None:
    """
    Nodes see each other, hear of one that comes, of one that leaves, and of one that
    falls silent; who was there first adjusts, and after it the next.
    """
    first, second = plane(one), plane(one)
    joined = await first.register(node("a/1"))
    assert joined.membership is not None
    assert set(joined.membership.peers) == {"a/1"}
    assert joined.adjusts
    waiting = first.watch(joined.version)
    other = await second.register(node("b"))
    assert not other.adjusts
    heard = await waiting
    assert heard.membership is not None
    assert heard.membership.peers == {"a/1": node("a/1"), "b": node("b")}
    waiting = second.watch(other.version)
    await first.leave("a/1")
    heard = await waiting
    assert heard.membership is not None
    assert set(heard.membership.peers) == {"b"}
    beat = await second.heartbeat("b", LOAD, heard.version)
    assert beat is not None
    assert beat.adjusts
    await sleep(2.5 * LEASE)
    assert await second.heartbeat("b", LOAD, heard.version) is None


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_compacted(one: EtcdCluster) -> None:
    """
    A node that has missed what etcd has forgotten reads everything anew.
    """
    late, other = plane(one), plane(one)
    joined = await late.register(node("a"))
    for name in "bcd":
        latest = await other.register(node(name))
    one.compact(latest.version)
    heard = await late.watch(joined.version)
    assert heard.membership is not None
    assert set(heard.membership.peers) == {"a", "b", "c", "d"}
    assert heard.version >= latest.version


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_steering(one: EtcdCluster) -> None:
    """
    The policy is replaced only by who has seen it; commands are given once, announced,
    and gone when they are acknowledged.
    """
    operator, worker = plane(one), plane(one)
    assert await operator.policy() == Policy()
    wanted = Policy(2, 3, (Rule("s3://b/", 3, pinned=True),))
    kept = await operator.set_policy(wanted)
    assert kept.version > 0
    assert (await worker.policy()) == kept
    with pytest.raises(ControlPlaneError, match="meanwhile"):
        await operator.set_policy(wanted)
    joined = await worker.register(node("w"))
    order = Order("c-1", Kind.REPLICATE, (ChunkRef(ChunkId(bytes(32)), 5),))
    for _ in range(2):
        await operator.order("w", order)
    beat = await worker.heartbeat("w", LOAD, joined.version)
    assert beat is not None
    assert beat.commands == 1
    assert await worker.orders("w") == (order,)
    await worker.acknowledge("w", "c-1", Outcome(State.DONE, 5))
    assert await worker.orders("w") == ()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_deaths(three: EtcdCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Nodes outlive the leader's death, and that of all of etcd: they keep their members
    and are registered again when it is back.
    """
    worker = ImmediateWorker()
    tables = [NodeDiscovery(node(name), None, worker) for name in "ab"]
    services = [
        ControlService(
            node(name),
            plane(three),
            table,
            load=lambda: LOAD,
            holdings=tuple,
            clock=reactor,
            rng=random.Random(name),
            interval=0.5,
        )
        for name, table in zip("ab", tables, strict=True)
    ]

    def settled() -> bool:
        members = [set(table.current().peers) for table in tables]
        return members == [{"a", "b"}] * 2 and all(
            service.state is PlaneState.REGISTERED for service in services
        )

    changes: list[Membership] = []
    for service in services:
        service.startService()
    try:
        await until(settled)
        for table in tables:
            table.watch(changes.append)
        three.kill(three.leader())
        await sleep(1)
        leader = await until(settled)
        three.kill_all()
        degraded = (PlaneState.DEGRADED, PlaneState.DEGRADED)
        await until(lambda: tuple(each.state for each in services) == degraded)
        assert [set(table.current().peers) for table in tables] == [{"a", "b"}] * 2
        for index in range(3):
            three.start(index)
        back = await until(settled)
        lost = [seen for seen in changes if set(seen.peers) != {"a", "b"}]
        with capsys.disabled():
            print(
                f"\netcd's leader killed: registered after {1 + leader:.1f} s; "
                f"all killed and started: registered after {back:.1f} s, "
                f"{len(lost)} changes of members meanwhile"
            )
    finally:
        for service in services:
            stopping = service.stopService()
            if stopping is not None:
                await stopping

"""
How the nodes of a crowd learn of each other, as real nodes do: from a control plane, or
from a few seeds and by gossip alone.
"""

import enum
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from twisted.application.service import IService
from twisted.internet.defer import maybeDeferred

from eliop2p.base.config import load_control_config
from eliop2p.control.client import HttpControlPlane
from eliop2p.control.server_service import build_control
from eliop2p.control.service import ControlService
from eliop2p.interfaces import NodeLoad
from eliop2p.p2p.swarm import make_gossip
from eliop2p.testing.crowd import PORT, Crowd, CrowdNode
from eliop2p.testing.simagent import network_agent
from eliop2p.testing.simclock import advance_until
from eliop2p.testing.workers import ImmediateWorker

CONTROL = "10.255.0.2"
CONTROL_PORT = 8081
HEARTBEAT = 3.0
"""
Seconds from one heartbeat of a node to the next, as where nothing else is configured.
"""

STARTING = 2.0
"""
Seconds over which the nodes are started.
"""

PATIENCE = 300.0
"""
Seconds of simulated time in which all nodes must have come to know each other.
"""

SEEDS = 3
"""
How many nodes' addresses all nodes are given.
"""

_TOKEN = "a token of the simulation"  # noqa: S105
_LOOK = 0.05


class Plane(enum.Enum):
    """
    What becomes of what nodes ask the control plane.
    """

    RUNS = "runs"
    REFUSES = "refuses"
    SILENT = "silent"


@contextmanager
def joined(crowd: Crowd, plane: Plane) -> Iterator[float]:
    """
    Start what makes members of a crowd's nodes, which know nobody but, where there is
    no control plane, the addresses of :data:`SEEDS` of them; and wait until each knows
    all others. It goes on, with gossip, heartbeats and attempts to register, until the
    context is left.

    Args:
        crowd: The nodes; each is given its own gossip and its own control service.
        plane: Whether there is a control plane. Its address is configured in any case.

    Returns:
        The seconds that it took, of which :data:`STARTING` are for starting the nodes.

    Raises:
        AssertionError: It takes longer than :data:`PATIENCE`.
    """
    with tempfile.TemporaryDirectory(prefix="eliop2p-crowd-") as scratch:
        server = _start_control(crowd, scratch) if plane is Plane.RUNS else None
        if plane is Plane.SILENT:
            crowd.network.vanish(CONTROL)
        seeds = [] if server else crowd.nodes[:SEEDS]
        begun = crowd.clock.seconds()
        rng = random.Random(f"joining {crowd.plan.seed}")  # noqa: S311  # Simulated.
        for node in crowd.nodes:
            services = _member(crowd, node, seeds)
            crowd.clock.callLater(rng.uniform(0.0, STARTING), _start, services)
        try:
            while not _is_settled(crowd):
                took = crowd.clock.seconds() - begun
                assert took < PATIENCE, f"{took:.0f} s, and some do not know all"
                crowd.pass_time(_LOOK)
            yield crowd.clock.seconds() - begun
        finally:
            if server is not None:
                advance_until(crowd.clock, maybeDeferred(server.stopService), 10.0)


def _start_control(crowd: Crowd, scratch: str) -> IService:
    flags = {"general.data_dir": scratch, "control_plane.token": _TOKEN}
    server = build_control(
        load_control_config(None, {}, flags),
        crowd.network.host(CONTROL),
        crowd.clock,
        ImmediateWorker(),
    )
    server.startService()
    return server


def _member(
    crowd: Crowd, node: CrowdNode, seeds: list[CrowdNode]
) -> tuple[IService, ...]:
    """
    Make what makes a member of a node, as :mod:`eliop2p.node` does.
    """
    clock = crowd.clock
    rng = random.Random(f"member {node.me.node_id} {crowd.plan.seed}")  # noqa: S311
    gossip, members = make_gossip(
        node.me,
        node.swarm,
        node.members,
        clock=clock,
        rng=rng,
        seeds=[(seed.me.host, PORT) for seed in seeds if seed is not node],
    )
    endpoint = f"http://{CONTROL}:{CONTROL_PORT}"
    agent = network_agent(clock, node.host)
    node.source.control = control = ControlService(
        node.me,
        HttpControlPlane(endpoint, agent, _TOKEN.encode(), clock),
        members,
        load=lambda: _load(node),
        holdings=lambda: (chunk_id for chunk_id, _ in node.chunks.holdings()),
        clock=clock,
        rng=rng,
        interval=HEARTBEAT,
    )
    return gossip, control


def _start(services: tuple[IService, ...]) -> None:
    for service in services:
        service.startService()


def _load(node: CrowdNode) -> NodeLoad:
    usage, uploads = node.chunks.usage()["memory"], node.swarm.requests.uploads
    return NodeLoad(usage.used, 0, usage.chunks, uploads, usage.capacity, 0)


def _is_settled(crowd: Crowd) -> bool:
    count = len(crowd.nodes)
    return all(len(node.members.current().peers) == count for node in crowd.nodes)

"""
A whole cluster in one process and in no time: real nodes, a real control plane, and a
store, on one clock and a simulated network. The same seed gives the same run.
"""

import hashlib
import random
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from eliop2p.base.config import NodeConfig, load_control_config, load_node_config
from eliop2p.control.server_service import build_control
from eliop2p.http1.message import Header, RequestHead
from eliop2p.interfaces import IStreamTransport
from eliop2p.net.copying_sender import TransportSender
from eliop2p.node import Node
from eliop2p.parts import Surroundings
from eliop2p.testing.simagent import network_agent
from eliop2p.testing.simclient import Answer, read_through
from eliop2p.testing.simclock import SimClock, advance_until, let_pass
from eliop2p.testing.simnet import SimNetwork
from eliop2p.testing.simstore import SimStore
from eliop2p.testing.workers import ImmediateWorker

STORE = "10.0.1.1"
CONTROL = "10.0.1.2"
CLIENTS = "10.0.1.3"
STORE_PORT = 9001
PROXY_PORT = 8080

EPOCH = 1_800_000_000.0
"""
When simulations begin, in seconds since 1970.
"""

_SECRET = "a secret of the simulation"  # noqa: S105
_MIB = 1024 * 1024
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class Plan:
    """
    What a cluster is made of.

    Attributes:
        nodes: How many nodes it has.
        seed: Decides all that chance decides.
        chunk_size: Length of chunks in bytes; may be less than a real node takes.
        memory: Size of each node's memory tier in bytes.
        disk: Size of each node's disk tier in bytes; 0 for none.
        latency: Mean seconds from one host to another.
        window: Bytes of a connection's direction that are under way, at most.
        flags: More of each node's configuration, by ``section.key``.
    """

    nodes: int = 3
    seed: int = 0
    chunk_size: int = 64 * 1024
    memory: int = 256 * _MIB
    disk: int = 0
    latency: float = 0.0005
    window: int = 64 * 1024
    flags: Mapping[str, str] = attrs.Factory(dict)


@attrs.define(eq=False)
class Member:
    """
    A place for a node, which may run, be killed and run again.

    Attributes:
        name: The node's name.
        address: The host's address.
        directory: What survives a restart.
        node: The node, None while it does not run.
        starts: How often it was started.
    """

    name: str
    address: str
    directory: Path
    node: Node | None = None
    starts: int = 0

    @property
    def running(self) -> Node:
        """
        The node, which must run.
        """
        assert self.node is not None, f"{self.name} does not run"
        return self.node


class Cluster:
    """
    Nodes, their control plane and their store.

    Attributes:
        clock: The time that all share.
        network: The network that all share.
        store: The object store.
        members: The nodes.
        trace: What clients asked and got, and when.
    """

    def __init__(self, directory: Path, plan: Plan) -> None:
        self.clock = SimClock()
        self.clock.rightNow = EPOCH
        self.network = SimNetwork(
            self.clock,
            random.Random(f"network {plan.seed}"),  # noqa: S311  # Simulated.
            latency=plan.latency,
            max_segment=max(plan.window // 2, 1),
            window=plan.window,
        )
        self.store = SimStore(self.clock)
        self.start_store()
        self.members = [
            Member(f"node-{index}", f"10.0.0.{index + 1}", directory / f"node-{index}")
            for index in range(plan.nodes)
        ]
        self.trace: list[str] = []
        self._plan = plan
        self._directory = directory
        self._control: IService | None = None

    # --- life

    def start(self) -> None:
        """
        Start everything, and wait until every node knows all others.
        """
        self.start_control()
        for member in self.members:
            self.start_node(member)
        self.until(self.is_settled)

    def stop(self) -> None:
        """
        Stop everything in good order.
        """
        running = [member for member in self.members if member.node is not None]
        self.wait(gatherResults([self.stop_node(member) for member in running]))
        self.stop_control()
        self.pass_time(1.0)

    def start_node(self, member: Member) -> None:
        """
        Start a node on its host.
        """
        member.starts += 1
        seed = f"{member.name} {member.starts} {self._plan.seed}"
        rng = random.Random(seed)  # noqa: S311  # Simulated.
        network = self.network.host(member.address)
        world = Surroundings(
            clock=self.clock,
            network=network,
            worker=ImmediateWorker(),
            agent=network_agent(self.clock, network),
            make_sender=TransportSender,
            rng=rng,
            nonce=lambda: rng.randbytes(32),
        )
        member.node = Node(self._configure(member), world)
        member.node.startService()

    def stop_node(self, member: Member) -> Deferred[None]:
        """
        Stop a node in good order.
        """
        node, member.node = member.running, None
        return node.stopService()

    def kill_node(self, member: Member) -> None:
        """
        Let a node's process die in the middle of what it does.
        """
        node, member.node = member.running, None
        self.network.kill(member.address)
        # What is left of it reaches nobody, neither by the network nor by the disk: a
        # node that is started again finds the files as they are now.
        left = self._directory / f"{member.name}-{member.starts}"
        shutil.copytree(member.directory, left)
        member.directory = left
        node.stopService().addErrback(lambda _: None)

    def start_control(self) -> None:
        """
        Start the control plane, with what it remembers of an earlier run.
        """
        directory = self._directory / "control"
        directory.mkdir(exist_ok=True)
        flags = {
            "general.data_dir": str(directory),
            "control_plane.token": _SECRET,
        }
        self._control = build_control(
            load_control_config(None, {}, flags),
            self.network.host(CONTROL),
            self.clock,
            ImmediateWorker(),
        )
        self._control.startService()

    def stop_control(self) -> None:
        """
        Take the control plane off the network.
        """
        control, self._control = self._control, None
        self.network.kill(CONTROL)
        if control is not None:
            self.wait(maybeDeferred(control.stopService))

    def start_store(self) -> None:
        """
        Let the store be reached.
        """
        self.network.host(STORE).listen(STORE, STORE_PORT, self.store)

    def stop_store(self) -> None:
        """
        Take the store off the network; it forgets nothing.
        """
        self.network.kill(STORE)

    def forget_control(self) -> None:
        """
        Take away what the control plane remembers; it must not run.
        """
        shutil.rmtree(self._directory / "control")

    # --- clients

    def get(
        self,
        member: Member,
        path: bytes,
        *headers: Header,
        method: bytes = b"GET",
        body: bytes = b"",
        pause: float = 0.0,
    ) -> Deferred[Answer]:
        """
        Send a request through a node.

        Args:
            member: The node.
            path: The target.
            headers: Of the request.
            method: Of the request.
            body: Of the request.
            pause: Seconds for which the client takes nothing after each piece.
        """
        host = (b"Host", f"{STORE}:{STORE_PORT}".encode())
        if body:
            headers = (*headers, (b"Content-Length", b"%d" % len(body)))
        head = RequestHead(method, path, (host, *headers))
        asked = f"{member.name} {method.decode()} {path.decode('latin-1')}"
        self._note(f"asked {asked} {headers}")

        def pace(transport: IStreamTransport) -> None:
            transport.pauseProducing()
            self.clock.callLater(pause, transport.resumeProducing)

        answer = read_through(
            self.network.host(CLIENTS),
            member.address,
            PROXY_PORT,
            head,
            body,
            pace=pace if pause else None,
        )
        return answer.addCallback(self._noted, asked)

    def read_all(
        self, path: bytes, members: Iterable[Member] | None = None
    ) -> list[Answer]:
        """
        Read an object through several nodes, all of them if not told otherwise, at the
        same time.
        """
        through = self.members if members is None else members
        return self.wait(gatherResults([self.get(member, path) for member in through]))

    # --- time

    def wait(self, deferred: Deferred[_T], limit: float = 900.0) -> _T:
        """
        Let time pass until a Deferred fires, and give its result.

        Raises:
            LiveLock: That takes too long.
        """
        return advance_until(self.clock, deferred, limit)

    def until(self, condition: Callable[[], bool], limit: float = 60.0) -> None:
        """
        Let time pass until something holds.

        Raises:
            AssertionError: That takes too long.
        """
        deadline = self.clock.seconds() + limit
        while not condition():
            assert self.clock.seconds() < deadline, f"{limit} s were not enough"
            self.pass_time(0.05)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass.
        """
        let_pass(self.clock, seconds)

    # --- looking at it

    def is_settled(self) -> bool:
        """
        Tell whether every node that runs knows exactly those that run.
        """
        names = {member.name for member in self.members if member.node is not None}
        return all(
            set(member.node.members.current().peers) == names
            for member in self.members
            if member.node is not None
        )

    def fingerprint(self) -> str:
        """
        Sum up all that has happened, chance included.
        """
        hasher = hashlib.sha256()
        for line in self.trace:
            hasher.update(f"{line}\n".encode())
        for asked in self.store.log:
            hasher.update(f"{asked.at!r} {asked}\n".encode())
        hasher.update(repr(self.network.fabric.rng.getstate()).encode())
        return hasher.hexdigest()

    # --- inside

    def _configure(self, member: Member) -> NodeConfig:
        flags = {
            "general.node_id": member.name,
            "general.advertise_address": member.address,
            "general.data_dir": str(member.directory),
            "control_plane.endpoint": f"http://{CONTROL}:8081",
            "control_plane.token": _SECRET,
            "p2p.cluster_secret": _SECRET,
            "proxy.listen_port": str(PROXY_PORT),
            "storage.endpoint": f"http://{STORE}:{STORE_PORT}",
            **self._plan.flags,
        }
        config = load_node_config(None, {}, flags)
        cache = attrs.evolve(
            config.cache,
            chunk_size=self._plan.chunk_size,
            memory_cache_size=self._plan.memory,
            disk_cache_size=self._plan.disk,
        )
        return attrs.evolve(config, cache=cache)

    def _note(self, text: str) -> None:
        self.trace.append(f"{self.clock.seconds()!r} {text}")

    def _noted(self, answer: Answer, asked: str) -> Answer:
        digest = hashlib.sha256(answer.body).hexdigest()
        state = "whole" if answer.complete else "broken"
        self._note(f"got {asked} {answer.head} {state} {digest}")
        return answer

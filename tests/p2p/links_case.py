"""
Nodes with links to each other over a simulated network.
"""

import random
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import (
    WrongAnswer,
)
from eliop2p.model.chunk import ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.links import PeerLinks
from eliop2p.wire.events import Done, Get, Locate, Located
from tests.p2p.chunk_requests import (
    ChunkRequests,
    MemoryReading,
    Taker,
    chunk_id,
)
from tests.p2p.memory_network import ImmediateWorker, MemoryNetwork

SECRET = b"the secret of the cluster"
OBJECT = ObjectId(b"o" * 32)
MIB = 1024 * 1024


class Node:
    """
    One node: its links and what it answers.
    """

    def __init__(
        self, name: str, network: MemoryNetwork, clock: Clock, secret: bytes, peers: int
    ) -> None:
        source = random.Random(name)
        self.requests = ChunkRequests()
        self.links = PeerLinks(
            node_id=name,
            secret=secret,
            network=network,
            clock=clock,
            requests=self.requests,
            worker=ImmediateWorker(),
            rng=source,
            nonce=lambda: source.randbytes(32),
            max_peers=peers,
        )
        self.info = PeerInfo(name, name, 9000)

    def start(self) -> None:
        """
        Accept connections.
        """
        self.links.start(self.info.host, self.info.port)


class RefusingTaker(Taker):
    """
    Wants none of it.
    """

    def write(self, offset: int, data: memoryview) -> None:
        """
        Refuse a piece.
        """
        raise WrongAnswer("too long")


class LinksCase(SynchronousTestCase):
    """
    Nodes on one network.
    """

    def setUp(self) -> None:
        """
        Make two nodes that know the same secret.
        """
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.left = self.node("left")
        self.right = self.node("right")

    def node(self, name: str, secret: bytes = SECRET, peers: int = 200) -> Node:
        """
        Make a node that accepts connections.
        """
        node = Node(name, self.network, self.clock, secret, peers)
        node.start()
        return node

    def run_for(self, seconds: float, step: float = 0.001) -> None:
        """
        Let time pass.
        """
        self.clock.pump([step] * round(seconds / step))

    def until(self, done: Callable[[], bool], seconds: float = 5.0) -> None:
        """
        Let time pass until something is so.
        """
        for _ in range(round(seconds / 0.001)):
            if done():
                return
            self.clock.advance(0.001)
        self.fail("it does not happen")

    def ask(self) -> "Deferred[Located]":
        """
        Let left ask right.
        """
        request = Locate(0, chunk_id(1), 0, True, ())
        return self.left.links.ask(self.right.info, request)

    def get(self, sink: Taker, number: int = 1, offset: int = 0) -> "Deferred[Done]":
        """
        Let left get a chunk of right.
        """
        request = Get(0, chunk_id(number), offset, 0)
        return self.left.links.get(self.right.info, request, sink)

    def add(
        self, content: bytes, number: int = 1, filled: int | None = None
    ) -> MemoryReading:
        """
        Let right have a chunk.
        """
        reading = MemoryReading(content, filled)
        self.right.requests.readings[chunk_id(number)] = reading
        return reading

    def connect(self) -> None:
        """
        Let left connect with right.
        """
        answer = self.ask()
        self.run_for(0.05)
        self.successResultOf(answer)

    def connect_both(self) -> None:
        """
        Let both sides connect at once, and be idle then.
        """
        there = self.ask()
        back = self.right.links.ask(self.left.info, Locate(0, chunk_id(1), 0, True, ()))
        self.run_for(1.0)
        self.successResultOf(there)
        self.successResultOf(back)
        self.assertEqual(len(self.network.pairs), 2)

"""
A few nodes in one process: real brains, and in place of sockets and caches the simplest
things that keep the promises of their interfaces. Not tests itself.
"""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from eliop2p.base.errors import (
    ElioError,
    OriginRefused,
    PeerError,
    PeerUnreachable,
)
from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkSink,
    IPeerLinks,
    IPeerRequests,
    IPieceTaker,
    OneWay,
)
from eliop2p.model.chunk import (
    Chunk,
)
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.rendezvous import ranked
from eliop2p.p2p.swarm import Swarm
from eliop2p.wire.cluster_events import FindObject
from eliop2p.wire.codec import encode
from eliop2p.wire.events import Done, Get, Locate
from eliop2p.wire.rules import Question
from tests.p2p.tiny_parts import (
    LATENCY,
    PIECE,
    PIECE_SECONDS,
    STORE_LATENCY,
    SUSPICION,
    FakeChunks,
    FakeMembership,
    FakeStore,
    Flight,
    content,
    digest_of,
    membership_of,
)


@implementer(IChunkOrigin)
class FakeOrigin:
    """
    One node's right to read the store.
    """

    def __init__(self, store: FakeStore, node_id: str) -> None:
        self.allowed = True
        self.broken = False
        self.passed: list[int] = []
        self._store = store
        self._node_id = node_id

    def can_read(self, chunk: Chunk) -> bool:
        """
        Tell whether the store may be read.
        """
        return self.allowed

    def read(self, sink: IChunkSink) -> "Deferred[None]":
        """
        Read the rest of a chunk.
        """
        return Deferred.fromCoroutine(self._read(sink))

    def passed_over(self, chunk: Chunk) -> None:
        """
        Note it.
        """
        self.passed.append(chunk.index)

    async def _read(self, sink: IChunkSink) -> None:
        store, chunk = self._store, sink.chunk
        store.reads.append((self._node_id, chunk.index, sink.filled))
        await deferLater(store.clock, STORE_LATENCY)
        if self.broken:
            raise OriginRefused(403, "no")
        data = content(chunk)
        while sink.filled < chunk.length:
            piece = data[sink.filled : sink.filled + PIECE]
            store.bytes_read += len(piece)
            sink.write(sink.filled, piece)
            await deferLater(store.clock, PIECE_SECONDS)


@implementer(IPeerLinks)
class FakeLinks:
    """
    One node's way to the others: a millisecond each way.
    """

    def __init__(self, cluster: "Cluster", node_id: str) -> None:
        self.asked = 0
        self.told = 0
        self.cut: set[str] = set()
        self.late: dict[str, float] = {}
        self._cluster = cluster
        self._node_id = node_id
        self._suspected: dict[str, float] = {}
        self._watchers: list[Callable[[str], None]] = []

    def ask(self, peer: PeerInfo, request: Question) -> "Deferred[Any]":
        """
        Ask.
        """
        assert isinstance(request, Locate | FindObject)
        encode(attrs.evolve(request, request_id=1))
        self.asked += 1
        return Deferred.fromCoroutine(self._ask(peer.node_id, request))

    def tell(self, peer: PeerInfo, message: OneWay) -> None:
        """
        Tell.
        """
        encode(message)
        self.told += 1
        self._cluster.clock.callLater(LATENCY, self._tell, peer.node_id, message)

    def get(
        self,
        peer: PeerInfo,
        request: Get,
        taker: IPieceTaker,
    ) -> "Deferred[Done]":
        """
        Receive.
        """
        encode(attrs.evolve(request, request_id=1))
        return Deferred.fromCoroutine(self._get(peer.node_id, request, taker))

    def reachable(self, node_id: str) -> bool:
        """
        Tell whether a peer may be tried.
        """
        return self._cluster.clock.seconds() >= self._suspected.get(node_id, 0.0)

    def silence(self, node_id: str) -> float:
        """
        Tell whether a peer has gone.
        """
        gone = node_id not in self._cluster.nodes or node_id in self.cut
        return math.inf if gone else 0.0

    def starved(self, node_id: str) -> bool:
        """
        Tell whether a peer is late.
        """
        return node_id in self.late

    def held_back(self) -> bool:
        """
        Never.
        """
        return False

    def probe(self, peer: PeerInfo) -> None:
        """
        Nothing is to be found out: silence tells.
        """

    def doubt(self, node_id: str) -> None:
        """
        Do not try a peer for a while.
        """
        self.suspect(node_id)

    def watch(self, changed: Callable[[str], None]) -> None:
        """
        Be told of those not to be tried.
        """
        self._watchers.append(changed)

    def welcome(self, node_id: str) -> None:
        """
        No member comes anew.
        """

    def suspect(self, node_id: str) -> None:
        """
        Do not try a peer for a while.
        """
        known = not self.reachable(node_id)
        self._suspected[node_id] = self._cluster.clock.seconds() + SUSPICION
        for changed in () if known else self._watchers:
            changed(node_id)

    def _target(self, node_id: str) -> "Node":
        node = self._cluster.nodes.get(node_id)
        mine = self._cluster.nodes.get(self._node_id)
        if (
            node is None
            or mine is None
            or mine.links is not self
            or node_id in self.cut
            or not self.reachable(node_id)
        ):
            self.suspect(node_id)
            raise PeerUnreachable(node_id)
        return node

    async def _ask(self, node_id: str, request: Locate | FindObject) -> object:
        await deferLater(self._cluster.clock, LATENCY)
        requests = self._target(node_id).swarm.requests
        answer: object
        if isinstance(request, Locate):
            answer = requests.inlined(request)
            answer = answer or requests.locate(self._node_id, request)
        else:
            answer = await requests.find_object(self._node_id, request)
        latency = LATENCY + self.late.get(node_id, 0.0)
        await deferLater(self._cluster.clock, latency)
        self._target(node_id)
        return answer

    def _tell(self, node_id: str, message: OneWay) -> None:
        with suppress(PeerUnreachable):
            self._target(node_id).swarm.requests.told(self._node_id, message)

    async def _get(self, node_id: str, request: Get, taker: IPieceTaker) -> Done:
        clock = self._cluster.clock
        await deferLater(clock, LATENCY)
        node = self._target(node_id)
        reading = await node.swarm.requests.open(self._node_id, request)
        try:
            offset = request.offset
            while offset < reading.length:
                reads = reading.read(offset, node.piece)
                reads.addTimeout(10, clock)
                piece = await reads
                await deferLater(clock, node.piece_seconds)
                self._target(node_id)
                assert isinstance(piece, memoryview)
                data = node.lie(bytes(piece))
                taker.write(offset, memoryview(data))
                offset += len(data)
            assert reading.digest is not None
            return Done(0, reading.digest)
        except PeerError:
            raise
        except ElioError as error:
            raise PeerError(repr(error)) from error
        finally:
            reading.close()


class Node:
    """
    A node of the cluster.
    """

    def __init__(self, cluster: "Cluster", node_id: str) -> None:
        self.node_id = node_id
        self.cluster = cluster
        self.membership = FakeMembership(membership_of(node_id))
        self.chunks = FakeChunks()
        self.lie: Callable[[bytes], bytes] = lambda data: data
        self.piece, self.piece_seconds = PIECE, PIECE_SECONDS
        self.swarm = Swarm(
            node_id,
            self.membership,
            self._make_links,
            clock=cluster.clock,
            rng=random.Random(f"{cluster.seed} {node_id}"),
        )
        self.transfers = self.swarm.transfers
        self.swarm.begin(self.chunks)

    def _make_links(self, requests: IPeerRequests) -> FakeLinks:
        self.links = FakeLinks(self.cluster, self.node_id)
        return self.links

    def fetch(
        self, chunk: Chunk, origin: FakeOrigin | None = None
    ) -> "Deferred[Fetched]":
        """
        Get a chunk as a cache does: keep and announce it when it is good.
        """
        flight = self.chunks.flights[chunk.id] = Flight(chunk)
        fetching = self.transfers.fetch(flight, origin or self.origin())

        def good(fetched: Fetched) -> Fetched:
            flight.complete(fetched.digest)
            self.transfers.announce(chunk.id, fetched.digest)
            return fetched

        def bad(reason: Any) -> Any:
            if self.chunks.flights.get(chunk.id) is flight:
                del self.chunks.flights[chunk.id]
            flight.fail(reason.value)
            return reason

        return fetching.addCallbacks(good, bad)

    def origin(self, *, allowed: bool = True) -> FakeOrigin:
        """
        Borrow the right to read the store, or none.
        """
        origin = FakeOrigin(self.cluster.store, self.node_id)
        origin.allowed = allowed
        return origin

    def hold(self, chunk: Chunk, data: bytes | None = None) -> None:
        """
        Have a chunk, and say so.
        """
        flight = self.chunks.flights[chunk.id] = Flight(chunk)
        flight.write(0, content(chunk) if data is None else data)
        flight.complete(digest_of(bytes(flight.data)))
        assert flight.checked is not None
        self.transfers.announce(chunk.id, flight.checked)

    def has(self, chunk: Chunk) -> bool:
        """
        Tell whether the node has the chunk, and the right bytes of it.
        """
        flight = self.chunks.flights.get(chunk.id)
        if flight is None or not flight.checked:
            return False
        assert bytes(flight.data) == content(chunk), "wrong bytes"
        return True


class Cluster:
    """
    Nodes on one clock.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.seed = seed
        self.clock = Clock()
        self.store = FakeStore(self.clock)
        self.nodes: dict[str, Node] = {}
        for number in range(size):
            node_id = f"node-{number}"
            self.nodes[node_id] = Node(self, node_id)
        self.agree()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def agree(self) -> None:
        """
        Let every node know who is alive.
        """
        for node in self:
            node.membership.update(membership_of(*self.nodes))

    def run(self, seconds: float) -> None:
        """
        Let time pass, from event to event.
        """
        end = self.clock.seconds() + seconds
        while True:
            calls = self.clock.getDelayedCalls()
            due = min((call.getTime() for call in calls), default=end)
            if due > end:
                break
            self.clock.advance(max(0.0, due - self.clock.seconds()))
            if not calls:
                return
        self.clock.advance(end - self.clock.seconds())

    def kill(self, node_id: str) -> None:
        """
        Let a node die at once; the others notice that its connections broke.
        """
        del self.nodes[node_id]
        for node in self:
            node.links.suspect(node_id)
            node.swarm.requests.lost(node_id)

    def home_of(self, chunk: Chunk, place: int = 0) -> Node:
        """
        Give the first home of a chunk, or a later one.
        """
        members = membership_of(*self.nodes).peers
        return self.nodes[ranked(chunk.id, members, place + 1)[place]]

    def others(self, *nodes: Node) -> list[Node]:
        """
        Give the nodes but these.
        """
        return [node for node in self if node not in nodes]

"""
A few nodes in one process: real brains, and in place of sockets and caches the simplest
things that keep the promises of their interfaces. Not tests itself.
"""

import hashlib
import math
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    ElioError,
    OriginRefused,
    PeerError,
    PeerUnreachable,
    WrongAnswer,
)
from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkReading,
    IChunkSink,
    ILocalChunks,
    IMembership,
    IPeerLinks,
    IPeerRequests,
    IPieceTaker,
    OneWay,
)
from eliop2p.model.chunk import (
    Chunk,
    ChunkId,
    Digest,
    Layout,
    ObjectKey,
    ObjectVersion,
)
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival
from eliop2p.p2p.rendezvous import ranked
from eliop2p.p2p.swarm import Swarm
from eliop2p.wire.cluster_events import FindObject
from eliop2p.wire.codec import encode
from eliop2p.wire.events import Done, Get, Locate
from eliop2p.wire.rules import Question

LATENCY = 0.001
PIECE = 1000
CHUNK = 8000
PIECE_SECONDS = 0.005
STORE_LATENCY = 0.03
SUSPICION = 5.0


def chunks_of(count: int, name: bytes = b"model") -> list[Chunk]:
    """
    Name the chunks of an object.
    """
    key = ObjectKey(b"http://store", b"bucket", name)
    layout = Layout(key, ObjectVersion(b'"v1"', count * CHUNK), CHUNK)
    return [layout.chunk(index) for index in range(count)]


def content(chunk: Chunk) -> bytes:
    """
    Give the bytes that the store has.
    """
    return random.Random(chunk.id).randbytes(chunk.length)


def digest_of(data: bytes) -> Digest:
    """
    Give a digest; which one does not matter here.
    """
    return Digest(hashlib.sha256(data).digest())


def peer(node_id: str) -> PeerInfo:
    """
    Give a node an address.
    """
    return PeerInfo(node_id, "10.0.0.1", 9000)


def membership_of(*node_ids: str, version: int = 1) -> Membership:
    """
    List members.
    """
    return Membership(version, {node_id: peer(node_id) for node_id in node_ids})


@implementer(IMembership)
class FakeMembership:
    """
    Members that change when told.
    """

    def __init__(self, membership: Membership) -> None:
        self._current = membership
        self._watchers: list[Callable[[Membership], None]] = []

    def current(self) -> Membership:
        """
        Give the members.
        """
        return self._current

    def watch(self, changed: Callable[[Membership], None]) -> None:
        """
        Note whom to tell.
        """
        self._watchers.append(changed)

    def update(self, membership: Membership) -> None:
        """
        Change the members.
        """
        self._current = membership
        for watcher in self._watchers:
            watcher(membership)


@implementer(IChunkSink)
class Flight:
    """
    A chunk that arrives, and those who read it meanwhile.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.filled = 0
        self.source = ""
        self.arrival = Arrival()
        self.data = bytearray(chunk.length)
        self.checked: Digest | None = None
        self.failure: Exception | None = None
        self.waiting: list[Deferred[None]] = []

    @property
    def missing(self) -> Interval:
        """
        All that is not there.
        """
        return Interval(self.filled, self.chunk.length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """
        Put bytes in their place, or compare them with what is there.
        """
        assert offset <= self.filled
        stop = offset + len(data)
        if stop > self.chunk.length:
            raise WrongAnswer("too long")
        there = min(stop, self.filled)
        if self.data[offset:there] != bytes(data[: there - offset]):
            raise CorruptChunk("other bytes came before")
        if stop > self.filled:
            self.data[offset:stop] = data
            self.filled = stop
            self._wake()

    def room(self, offset: int, limit: int) -> memoryview | None:
        """
        Give none.
        """
        return None

    def wrote(self, offset: int, size: int) -> None:
        """
        There was no room.
        """
        raise NotImplementedError

    def digest(self) -> "Deferred[Digest]":
        """
        Compute the digest.
        """
        assert self.filled == self.chunk.length
        return succeed(digest_of(bytes(self.data)))

    def complete(self, digest: Digest) -> None:
        """
        Give the last byte away.
        """
        self.checked = digest
        self._wake()

    def fail(self, failure: Exception) -> None:
        """
        Give no more away.
        """
        self.failure = failure
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)


@implementer(IChunkReading)
class FlightReading:
    """
    Reads a chunk that is here or arriving.
    """

    source = "memory"
    arrival: Arrival | None = None
    joined = False

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self.length = flight.chunk.length

    @property
    def filled(self) -> int:
        """
        Bytes that are there.
        """
        return self._flight.filled

    @property
    def digest(self) -> Digest | None:
        """
        The digest, once checked.
        """
        return self._flight.checked

    def read(self, offset: int, limit: int) -> "Deferred[Span]":
        """
        Wait for bytes.
        """
        return Deferred.fromCoroutine(self._read(offset, limit))

    async def _read(self, offset: int, limit: int) -> Span:
        flight = self._flight
        while True:
            if flight.failure is not None:
                raise ChunkUnavailable("it will not come") from flight.failure
            known = (
                flight.filled if flight.checked else min(flight.filled, self.length - 1)
            )
            if known > offset:
                return memoryview(flight.data)[offset : min(known, offset + limit)]
            waiter: Deferred[None] = Deferred()
            flight.waiting.append(waiter)
            await waiter

    def close(self) -> None:
        """
        Nothing is held.
        """


@implementer(ILocalChunks)
class FakeChunks:
    """
    What a node has.
    """

    def __init__(self) -> None:
        self.flights: dict[ChunkId, Flight] = {}
        self.inlines = False

    def open_local(self, chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        Open a chunk.
        """
        flight = self.flights.get(chunk_id)
        return succeed(None if flight is None else FlightReading(flight))

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        Give a small chunk, if that is to be.
        """
        flight = self.flights.get(chunk_id)
        if not self.inlines or flight is None or not flight.checked:
            return None
        data = bytes(flight.data)
        return (data, flight.checked) if len(data) <= limit else None

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name what is complete.
        """
        return iter(
            [
                (chunk_id, flight.checked)
                for chunk_id, flight in self.flights.items()
                if flight.checked
            ]
        )


class FakeStore:
    """
    The object store, which counts.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reads: list[tuple[str, int, int]] = []
        self.bytes_read = 0


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

    def probe(self, node_id: str) -> None:
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

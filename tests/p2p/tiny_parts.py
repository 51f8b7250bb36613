"""
The parts of a tiny cluster's nodes: members, chunks and a store.
"""

import hashlib
import random
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    WrongAnswer,
)
from eliop2p.interfaces import (
    IChunkReading,
    IChunkSink,
    ILocalChunks,
    IMembership,
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

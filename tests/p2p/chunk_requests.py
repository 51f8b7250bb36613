"""
A node's answers to its peers, made of a dictionary of chunks.
"""

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError, PeerMissing
from eliop2p.interfaces import IChunkReading, IPeerRequests, IPieceTaker, OneWay
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival
from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    FoundObject,
    HeldBy,
    Inlined,
    ListedObjects,
    ListObjects,
    Probe,
    Probed,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import Get, Locate, Located, Verdict

DIGEST = Digest(b"d" * 32)


def chunk_id(number: int) -> ChunkId:
    """
    Name a chunk.
    """
    return ChunkId(number.to_bytes(32, "big"))


@implementer(IPieceTaker)
class Taker:
    """
    Takes a chunk; its offsets must follow each other.

    Attributes:
        discarded: The bytes that came too late.
    """

    def __init__(self, offset: int = 0) -> None:
        self.content = bytearray()
        self.discarded = 0
        self._offset = offset

    def write(self, offset: int, data: memoryview) -> None:
        """
        Take a piece.
        """
        assert offset == self._offset + len(self.content)
        self.content += data

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

    def late(self, size: int) -> None:
        """
        Count a piece that came too late.
        """
        self.discarded += size


@implementer(IPieceTaker)
class PlacingTaker(Taker):
    """
    Has a place for every byte, and notes what came straight there.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.content = bytearray(length)
        self.placed: list[tuple[int, int]] = []
        self.written: list[tuple[int, int]] = []

    def write(self, offset: int, data: memoryview) -> None:
        """
        Put a piece in its place.
        """
        self.content[offset : offset + len(data)] = data
        self.written.append((offset, len(data)))

    def room(self, offset: int, limit: int) -> memoryview | None:
        """
        Give the place of a piece.
        """
        stop = offset + limit
        return (
            memoryview(self.content)[offset:stop] if stop <= len(self.content) else None
        )

    def wrote(self, offset: int, size: int) -> None:
        """
        Note that a piece is in its place.
        """
        self.placed.append((offset, size))


@implementer(IChunkReading)
class MemoryReading:
    """
    A chunk that is arriving, up to ``filled``; its bytes are wiped when it is closed.

    Attributes:
        closed: Whether it has been closed.
    """

    source = "memory"
    arrival: Arrival | None = None
    joined = False

    def __init__(self, content: bytes, filled: int | None = None) -> None:
        self.length = len(content)
        self.filled = self.length if filled is None else filled
        self.digest: Digest | None = DIGEST
        self.closed = False
        self._content = bytearray(content)
        self._waiting: tuple[int, int, Deferred[Span]] | None = None

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Give what is there.
        """
        if offset < self.filled:
            stop = min(self.filled, offset + limit)
            return succeed(memoryview(self._content)[offset:stop])
        waiting: Deferred[Span] = Deferred()
        self._waiting = (offset, limit, waiting)
        return waiting

    def grow(self, filled: int) -> None:
        """
        Let more of it arrive.
        """
        self.filled = filled
        if self._waiting is not None:
            offset, limit, waiting = self._waiting
            self._waiting = None
            self.read(offset, limit).chainDeferred(waiting)

    def fail(self, error: Exception) -> None:
        """
        Let the rest of it never arrive.
        """
        assert self._waiting is not None
        self._waiting[2].errback(error)

    def close(self) -> None:
        """
        Wipe the bytes.
        """
        if self.closed:
            raise LocalProtocolError("closed twice")
        self.closed = True
        self._content[:] = bytes(self.length)


@implementer(IPeerRequests)
class ChunkRequests:
    """
    Serves what it is told to have.

    Attributes:
        readings: What to open, by chunk; an exception is raised instead.
        inlines: Chunks to give with answers.
        opened: Every reading that was opened.
        messages: Every one-way message, with its sender.
        lost_peers: Every peer that was lost.
        finding: The answers to finds, to be given by the test.
        given_up: The finds whose answer is no longer wanted.
    """

    def __init__(self) -> None:
        self.readings: dict[ChunkId, IChunkReading | Exception] = {}
        self.inlines: dict[ChunkId, bytes] = {}
        self.opened: list[IChunkReading] = []
        self.messages: list[tuple[str, OneWay]] = []
        self.lost_peers: list[str] = []
        self.finding: list[tuple[FindObject, Deferred[FoundObject]]] = []
        self.given_up: list[FindObject] = []

    def locate(self, node_id: str, request: Locate) -> Located:
        """
        Grant a lease.
        """
        return Located(request.request_id, Verdict.LEASE, 7, b"", ())

    def inlined(self, request: Locate) -> Inlined | None:
        """
        Give what is small and to be given so.
        """
        found = self.inlines.get(request.chunk_id)
        if found is None:
            return None
        return Inlined(request.request_id, DIGEST, found)

    def find_object(self, node_id: str, request: FindObject) -> Deferred[FoundObject]:
        """
        Wait for the test.
        """
        answer: Deferred[FoundObject] = Deferred(
            lambda _: self.given_up.append(request)
        )
        self.finding.append((request, answer))
        return answer

    def probe(self, node_id: str, request: Probe) -> Deferred[Probed]:
        """
        Be alive.
        """
        return succeed(Probed(request.request_id, True, ()))

    def list_objects(self, request: ListObjects) -> Deferred[ListedObjects]:
        """
        Remember nothing.
        """
        return succeed(ListedObjects(request.request_id, 0, ()))

    def ask_holders(self, request: AskHolders) -> ToldHolders:
        """
        Know nobody.
        """
        nobody = HeldBy(b"", 0)
        return ToldHolders(request.request_id, (), (nobody,) * len(request.chunk_ids))

    def ask_tally(self, request: AskTally) -> ToldTally:
        """
        Have done a little.
        """
        return ToldTally(request.request_id, 1, 2, 3)

    def told(self, node_id: str, message: OneWay) -> None:
        """
        Note the message.
        """
        self.messages.append((node_id, message))

    def open(self, node_id: str, request: Get) -> Deferred[IChunkReading]:
        """
        Open what there is.
        """
        found = self.readings.get(request.chunk_id, PeerMissing("it is not here"))
        if isinstance(found, Exception):
            return fail(found)
        self.opened.append(found)
        return succeed(found)

    def lost(self, node_id: str) -> None:
        """
        Note the loss.
        """
        self.lost_peers.append(node_id)

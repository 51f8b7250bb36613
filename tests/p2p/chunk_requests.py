"""
A node's answers to its peers, made of a dictionary of chunks.
"""

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError, PeerMissing
from eliop2p.interfaces import IChunkReading, IPeerRequests, OneWay
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival
from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    FoundObject,
    HeldBy,
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
        opened: Every reading that was opened.
        messages: Every one-way message, with its sender.
        lost_peers: Every peer that was lost.
        finding: The answers to finds, to be given by the test.
        given_up: The finds whose answer is no longer wanted.
    """

    def __init__(self) -> None:
        self.readings: dict[ChunkId, IChunkReading | Exception] = {}
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

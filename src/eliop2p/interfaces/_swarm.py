"""
What nodes ask of each other.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from eliop2p.interfaces._chunks import IChunkReading
from eliop2p.model.chunk import ChunkId, Layout, ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    FoundObject,
    Inlined,
    ListedObjects,
    ListObjects,
    Probe,
    Probed,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    Done,
    Get,
    Locate,
    Located,
)
from eliop2p.wire.rules import OneWay, Question


class IObjectDirectory(Interface):
    """
    What the cluster knows of objects' current versions.
    """

    def find(object_id: ObjectId) -> "Deferred[bytes | None]":
        """
        Ask for the record of an object.

        Returns:
            The record, or None when the caller has the turn to learn it from the
            store, and must :meth:`publish` it or :meth:`release` the turn. Others wait
            for that, within a bound.
        """

    def publish(object_id: ObjectId, record: bytes) -> None:
        """
        Tell the cluster what the store said of an object.
        """

    def release(object_id: ObjectId) -> None:
        """
        Give the turn back without having learnt anything.
        """

    def forget(object_id: ObjectId) -> None:
        """
        Tell the cluster that the object has been written to.
        """


class IPieceTaker(Interface):
    """
    Takes the bytes that answer one GET, in order.
    """

    def write(offset: int, data: memoryview) -> None:
        """
        Take bytes; the view is valid during the call. What it raises ends the transfer
        and is the failure.
        """

    def room(offset: int, limit: int) -> memoryview | None:
        """
        Give the place of bytes that come next: see :meth:`IChunkSink.room`.
        """

    def wrote(offset: int, size: int) -> None:
        """
        Bytes are in the room that was given for this place. What it raises ends the
        transfer and is the failure.
        """

    def late(size: int) -> None:
        """
        So many bytes came after the transfer had been given up.
        """


class IPeerLinks(Interface):
    """
    Connections to the other members, made when needed and kept.
    """

    def ask(peer: PeerInfo, request: Question) -> "Deferred[Any]":
        """
        Send a request and wait for its answer, a bounded time.

        Args:
            peer: Whom to ask.
            request: Its request id is set by the link; what it holds is ignored.

        Returns:
            What answers it: see :data:`eliop2p.wire.session.ANSWERS`.

        Raises:
            PeerError: There is no such answer (in the Deferred).
        """

    def tell(peer: PeerInfo, message: OneWay) -> None:
        """
        Send a one-way message, making a connection when there is none; it is dropped
        when that fails or too much waits already.
        """

    def get(peer: PeerInfo, request: Get, taker: IPieceTaker) -> "Deferred[Done]":
        """
        Receive a chunk from request.offset to its end.

        Fails when no byte arrives for a while, never for lasting long. Cancelling it
        tells the peer to stop.

        Args:
            peer: Whom to ask.
            request: Its request id is set by the link.
            taker: Takes the bytes.

        Raises:
            PeerMissing, PeerBusy, PeerUnreachable, PeerError: (in the Deferred).
        """

    def reachable(node_id: str) -> bool:
        """
        Tell whether a peer may be tried: it did not just refuse or fall silent.
        """

    def silence(node_id: str) -> float:
        """
        Tell for how many seconds there was no sign of a peer, or, up to 5 s, of its
        machine; infinite when there is no connection with it.
        """

    def starved(node_id: str) -> bool:
        """
        Tell whether a peer says nothing because its process waits for a processor: its
        kernel is there.
        """

    def held_back() -> bool:
        """
        Tell whether this node takes bytes more slowly than they come, for the sake of
        a limit, so that nobody else is to blame when they come late.
        """

    def probe(peer: PeerInfo) -> None:
        """
        Ask a peer for a sign of life; to be connected with it is one.
        """

    def doubt(node_id: str) -> None:
        """
        Note that a peer gave no sign of life: it is not to be tried for a while.
        """

    def watch(changed: Callable[[str], None]) -> None:
        """
        Be told of each peer that can no longer be reached, or can again, after it.
        """

    def welcome(node_id: str) -> None:
        """
        Take that a peer is a member anew: it is tried at once, whatever failed before.
        """


@attrs.frozen
class Place:
    """
    Where one chunk is.

    Attributes:
        holders: The nodes that hold it, as its home knows.
        heat: How often it was asked for within the last hour.
    """

    holders: tuple[str, ...]
    heat: int


class ICatalog(Interface):
    """
    What the cluster as a whole holds.
    """

    def objects(bucket: bytes, prefix: bytes) -> "Deferred[tuple[Layout, ...]]":
        """
        List the objects below a prefix that any member remembers; each version once.
        Members that do not answer are left out. Without a bucket and a prefix, those of
        all buckets that were used last.
        """

    def adopt(bucket: bytes, prefix: bytes) -> "Deferred[None]":
        """
        Remember here what any member remembers of the objects below a prefix.
        """

    def places(
        chunk_ids: tuple[ChunkId, ...],
    ) -> "Deferred[dict[ChunkId, Place]]":
        """
        Tell where chunks are. One whose homes do not answer is left out.
        """


class IReplicas(Interface):
    """
    The chunks of this node, as somebody else wants them to be.
    """

    def keep(chunk_id: ChunkId, length: int) -> "Deferred[int]":
        """
        Hold a chunk, got from other members if need be; never from the store.

        Returns:
            How many bytes had to be moved.

        Raises:
            ChunkUnavailable, CorruptChunk: Nobody gives it (in the Deferred).
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Hold a chunk no longer.
        """


class IPeerRequests(Interface):
    """
    What a node does for its peers.
    """

    def locate(node_id: str, request: Locate) -> Located:
        """
        Answer as a home.
        """

    def inlined(request: Locate) -> Inlined | None:
        """
        Answer as a home that holds a small chunk in memory; None when it does not.
        """

    def find_object(node_id: str, request: FindObject) -> "Deferred[FoundObject]":
        """
        Answer as a home, when there is an answer. Cancelled when the asker goes.
        """

    def probe(node_id: str, request: Probe) -> "Deferred[Probed]":
        """
        Tell whether a member is alive. Cancelled when the asker goes.
        """

    def list_objects(request: ListObjects) -> "Deferred[ListedObjects]":
        """
        Tell which objects this node remembers.
        """

    def ask_holders(request: AskHolders) -> ToldHolders:
        """
        Tell, as a home, who holds chunks.
        """

    def ask_tally(request: AskTally) -> ToldTally:
        """
        Tell what this node has served.

        Raises:
            PeerMissing: It is only starting.
        """

    def told(node_id: str, message: OneWay) -> None:
        """
        Take a one-way message.
        """

    def open(node_id: str, request: Get) -> "Deferred[IChunkReading]":
        """
        Open a chunk for upload.

        Raises:
            PeerMissing, PeerBusy: (in the Deferred).
        """

    def lost(node_id: str) -> None:
        """
        The last connection with a peer broke off without a goodbye.
        """

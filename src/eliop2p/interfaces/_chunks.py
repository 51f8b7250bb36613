"""
Chunks on their way: who asks for them, who gets them, who reads them.
"""

from collections.abc import Iterator

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from eliop2p.interfaces._tiers import IChunkHandle
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival


class IChunkSink(Interface):
    """
    A chunk that is being received.
    """

    chunk: Chunk = Attribute("Which chunk.")
    filled: int = Attribute("How many bytes it has from its start without a gap.")
    missing: Interval = Attribute(
        "The first run of bytes that it does not have; empty when it has all."
    )
    source: str = Attribute(
        "Where its bytes come from, set by whoever writes before it writes: peer or "
        "origin; empty before."
    )
    arrival: Arrival = Attribute("Told of what is tried to fill it.")

    def write(offset: int, data: bytes | memoryview) -> None:
        """
        Put bytes in their place; they are copied. Those below filled have been given
        to readers and stay as they are: others in their place are an error.

        Raises:
            WrongAnswer: They reach past the end of the chunk.
            CorruptChunk: They differ from what is there.
            ChunkUnavailable: Nobody wants the chunk any more.
        """

    def room(offset: int, limit: int) -> memoryview | None:
        """
        Give the place of bytes that come next, so that nobody has to copy them.

        Args:
            offset: Where in the chunk they belong.
            limit: How many may come, at least 1.

        Returns:
            Memory for so many bytes, to be used at once, before anything else happens
            to the chunk; :meth:`wrote` tells how much of it. None when they have to go
            through :meth:`write`: there are bytes already, say, or they are too many.
        """

    def wrote(offset: int, size: int) -> None:
        """
        Bytes are in the room that was given for this place.
        """

    def digest() -> "Deferred[Digest]":
        """
        Compute the digest of the complete chunk.
        """


class IChunkReading(Interface):
    """
    Somebody reads a chunk, whether it is complete or still arriving.
    """

    length: int = Attribute("Length of the chunk.")
    filled: int = Attribute("Bytes there from the start without a gap.")
    digest: Digest | None = Attribute("The digest, None while the chunk is arriving.")
    source: str = Attribute(
        "Where its bytes come from: memory, disk, peer, origin; those of a chunk that "
        "is arriving, where the latest came from, and empty before the first."
    )
    arrival: Arrival | None = Attribute("How it came, None when a tier held it.")
    joined: bool = Attribute("Whether it was arriving for somebody else already.")

    def read(offset: int, limit: int) -> "Deferred[Span]":
        """
        Wait until there is at least one byte at offset.

        The last byte of a chunk that is arriving is given only after the digest of the
        whole has been checked.

        Returns:
            Between 1 and limit bytes, valid until the reading is closed.

        Raises:
            ChunkUnavailable, CorruptChunk, OriginError: The chunk will not come (in
                the Deferred).
        """

    def close() -> None:
        """
        Stop reading. The last reader of a chunk that is arriving stops its arrival.
        """


class IChunkOrigin(Interface):
    """
    The right to read an object from the store, borrowed from one client's request.
    """

    def can_read(chunk: Chunk) -> bool:
        """
        Tell whether the client's request allows to read the chunk at this moment.
        """

    def read(sink: IChunkSink) -> "Deferred[None]":
        """
        Fill a chunk from the store, from where it is filled to its end. May be
        cancelled, and called again later for what is missing.

        Raises:
            OriginError: The store did not give the bytes (in the Deferred).
            CorruptChunk: The sink refused them (in the Deferred).
        """

    def passed_over(chunk: Chunk) -> None:
        """
        The chunk came from elsewhere and will not be read from the store.
        """


@attrs.frozen
class Fetched:
    """
    How a chunk arrived.

    Attributes:
        digest: BLAKE3 of its content, checked against what others said of it.
        source: ``peer`` or ``origin``: where its last byte came from.
    """

    digest: Digest
    source: str


class IChunkSource(Interface):
    """
    Gets chunks that this node does not have, and tells others of those it has.
    """

    def fetch(sink: IChunkSink, origin: IChunkOrigin) -> "Deferred[Fetched]":
        """
        Fill a chunk from peers, or from the store when it falls to this node.

        Raises:
            ChunkUnavailable: No source could give it (in the Deferred).
            CorruptChunk: What came does not match its digest (in the Deferred).
            OriginError: The store refused or failed (in the Deferred).
        """

    def announce(chunk_id: ChunkId, digest: Digest) -> None:
        """
        The node holds the chunk now.
        """

    def withdraw(chunk_id: ChunkId) -> None:
        """
        The node no longer holds the chunk.
        """

    def opened(chunk_id: ChunkId) -> None:
        """
        A client has read the chunk, which the node holds.
        """


class IChunkReader(Interface):
    """
    The one door to a chunk for the proxy.
    """

    def open(chunk: Chunk, origin: IChunkOrigin) -> "Deferred[IChunkReading]":
        """
        Open a chunk: from a tier, by joining its arrival, or by having it fetched.
        """

    def open_at_once(
        chunk: Chunk, origin: IChunkOrigin
    ) -> tuple[IChunkHandle, str] | None:
        """
        Open a chunk that a tier can give without waiting for anything.

        Returns:
            The chunk and what the tier is called; None when :meth:`open` has to be
            used.
        """

    def where(chunk_id: ChunkId) -> str:
        """
        Tell where a chunk is without touching it: ``memory``, ``disk``, or empty.
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Take a chunk that cannot be read out of every tier, and tell others.
        """


class IPartSink(Interface):
    """
    Takes bytes of a chunk that are on their way to one client.
    """

    def write(data: memoryview) -> None:
        """
        Take the next bytes; they are kept, and nobody may change them any more.
        """

    def close() -> None:
        """
        No more will come. To be called once.
        """


class IChunkParts(Interface):
    """
    The door to what is here of chunks that are not whole. Intervals are those of the
    object; what they have in common with the chunk is meant.
    """

    def where_part(chunk: Chunk, part: Interval) -> str:
        """
        Tell where bytes are without touching them: ``memory``, ``disk``, ``arriving``
        if they will come without being asked for, or empty.
        """

    def open_part(chunk: Chunk, part: Interval) -> "Deferred[IChunkReading]":
        """
        Open bytes that are somewhere.

        Raises:
            ChunkUnavailable: Not all of them are (in the Deferred, or that of a read).
        """

    def receive(chunk: Chunk, part: Interval) -> IPartSink:
        """
        Keep bytes that the store sends now, and give them to others who want them.
        """


class ILocalChunks(Interface):
    """
    What a node has for its peers.
    """

    def open_local(chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        Open a chunk that is held or arriving; None when it is neither.
        """

    def small(chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        Give a chunk, with its digest, that is in memory and no longer than limit bytes.
        """

    def holdings() -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name every complete chunk with its digest, as of the call.
        """


class IHeldChunks(Interface):
    """
    What a node keeps, for those who check it.
    """

    def where(chunk_id: ChunkId) -> str:
        """
        Tell where a chunk is without touching it: ``memory``, ``disk``, or empty.
        """

    def used(chunk_id: ChunkId) -> None:
        """
        Count that a chunk was used that had been shown before.
        """

    def inspect(chunk_id: ChunkId) -> "Deferred[IChunkHandle | None]":
        """
        Open a chunk that a tier holds, without that being a reason to keep it longer.

        Returns:
            None when no tier holds it.
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Keep a chunk no longer, and tell the cluster so. Who reads it reads on.
        """

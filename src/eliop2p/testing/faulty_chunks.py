"""
What a node gives its peers, when its disk is slow or its bytes are not what they were.
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from eliop2p.interfaces import IChunkReading, ILocalChunks
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import FileSpan, Span
from eliop2p.model.trail import Arrival


def spoilt(data: bytes | memoryview) -> bytes:
    """
    Flip a bit of the last byte.
    """
    return bytes(data[:-1]) + bytes((data[-1] ^ 1,))


@implementer(IChunkReading)
class _SpoiltReading:
    """
    A reading whose last byte is wrong: what is amid a chunk may be on its way to a
    client, whose answer is broken off, before the digest can tell.
    """

    def __init__(self, reading: IChunkReading) -> None:
        self.arrival: Arrival | None = reading.arrival
        self.joined = reading.joined
        self.length = reading.length
        self.source = reading.source
        self._reading = reading

    @property
    def filled(self) -> int:
        """
        See :class:`IChunkReading`.
        """
        return self._reading.filled

    @property
    def digest(self) -> Digest | None:
        """
        See :class:`IChunkReading`: the right one.
        """
        return self._reading.digest

    def read(self, offset: int, limit: int) -> "Deferred[Span]":
        """
        See :class:`IChunkReading`.
        """
        return self._reading.read(offset, limit).addCallback(self._spoil, offset)

    def close(self) -> None:
        """
        See :class:`IChunkReading`.
        """
        self._reading.close()

    def _spoil(self, span: Span, offset: int) -> Span:
        assert not isinstance(span, FileSpan)
        ends = offset + len(span) == self.length
        return memoryview(spoilt(span)) if ends else span


@implementer(ILocalChunks)
class FaultyChunks:
    """
    A node's chunks as its peers get them; its own clients get them as they are.

    Args:
        chunks: What the node has.
        clock: The time.

    Attributes:
        delay: Seconds until a chunk is open.
        spoils: Whether the bytes of whole chunks are wrong.
    """

    def __init__(self, chunks: ILocalChunks, clock: IReactorTime) -> None:
        self.delay = 0.0
        self.spoils = False
        self._chunks = chunks
        self._clock = clock

    def open_local(self, chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        See :class:`ILocalChunks`.
        """
        return Deferred.fromCoroutine(self._open(chunk_id))

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        See :class:`ILocalChunks`; a slow disk gives nothing at once.
        """
        held = None if self.delay else self._chunks.small(chunk_id, limit)
        if held is None or not self.spoils:
            return held
        return spoilt(held[0]), held[1]

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        See :class:`ILocalChunks`.
        """
        return self._chunks.holdings()

    async def _open(self, chunk_id: ChunkId) -> IChunkReading | None:
        waiting = deferLater(self._clock, self.delay) if self.delay else succeed(None)
        await waiting
        reading = await self._chunks.open_local(chunk_id)
        if reading is None or not self.spoils or reading.digest is None:
            return reading
        return _SpoiltReading(reading)

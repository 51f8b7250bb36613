"""
What a node of a simulated crowd sends at a time: pieces as long as a segment.

Pieces of life's length would be whole chunks where sizes are scaled down, and the
answers to questions would wait behind them.
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.interfaces import IChunkReading, ILocalChunks
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival


@implementer(IChunkReading)
class _InPieces:
    """
    A reading that gives no more than a piece at a time.
    """

    def __init__(self, reading: IChunkReading, piece: int) -> None:
        self.length: int = reading.length
        self.arrival: Arrival | None = reading.arrival
        self.joined: bool = reading.joined
        self._reading = reading
        self._piece = piece

    @property
    def filled(self) -> int:
        """
        See :class:`IChunkReading`.
        """
        return self._reading.filled

    @property
    def digest(self) -> Digest | None:
        """
        See :class:`IChunkReading`.
        """
        return self._reading.digest

    @property
    def source(self) -> str:
        """
        See :class:`IChunkReading`.
        """
        return self._reading.source

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        See :class:`IChunkReading`.
        """
        return self._reading.read(offset, min(limit, self._piece))

    def close(self) -> None:
        """
        See :class:`IChunkReading`.
        """
        self._reading.close()


@implementer(ILocalChunks)
class PiecedChunks:
    """
    What a node has for its peers, in pieces.

    Args:
        chunks: What it has.
        piece: The most bytes given at a time.
    """

    def __init__(self, chunks: ILocalChunks, piece: int) -> None:
        self._chunks = chunks
        self._piece = piece

    def open_local(self, chunk_id: ChunkId) -> Deferred[IChunkReading | None]:
        """
        See :class:`ILocalChunks`.
        """

        def cut(reading: IChunkReading | None) -> IChunkReading | None:
            return None if reading is None else _InPieces(reading, self._piece)

        return self._chunks.open_local(chunk_id).addCallback(cut)

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        See :class:`ILocalChunks`: only what is one piece.
        """
        return self._chunks.small(chunk_id, min(limit, self._piece))

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        See :class:`ILocalChunks`.
        """
        return self._chunks.holdings()

"""
Reads whose range is signed and is not made of whole chunks: the store is asked for just
that range, and its bytes are kept as parts of the chunks that they belong to.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.interfaces import (
    IChunkHandle,
    IChunkOrigin,
    IChunkParts,
    IChunkReader,
    IChunkReading,
    IOriginResponse,
    IPartSink,
)
from eliop2p.model.chunk import Chunk, ChunkId, Layout
from eliop2p.model.ranges import Interval
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.relay import BodyPieces


def is_inside(chunk: Chunk, part: Interval) -> bool:
    """
    Tell whether a part of an object has all of a chunk.
    """
    return part.start <= chunk.start and chunk.interval.stop <= part.stop


@implementer(IChunkReader)
class PartReader:
    """
    Opens the chunks of a read that may ask the store for one range only: what is here
    of them from where it is, and those inside of the range as any others.

    Args:
        reader: Opens whole chunks.
        parts: Opens parts of chunks.
        part: The range.
    """

    def __init__(
        self, reader: IChunkReader, parts: IChunkParts, part: Interval
    ) -> None:
        self._reader = reader
        self._parts = parts
        self._part = part

    def open(self, chunk: Chunk, origin: IChunkOrigin) -> Deferred[IChunkReading]:
        """
        Open a chunk, or what is wanted of it.
        """
        here = self._parts.where_part(chunk, self._part)
        if is_inside(chunk, self._part) and not here:
            return self._reader.open(chunk, origin)
        return self._parts.open_part(chunk, self._part)

    def open_at_once(
        self, chunk: Chunk, origin: IChunkOrigin
    ) -> tuple[IChunkHandle, str] | None:
        """
        Open a whole chunk that is here.
        """
        return self._reader.open_at_once(chunk, origin)

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell which tier has a chunk.
        """
        return self._reader.where(chunk_id)

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Drop a chunk that cannot be read.
        """
        return self._reader.drop(chunk_id)


class Tap:
    """
    Keeps the bytes of a range as they pass by; those of chunks that are held are not
    needed. From the beginning on others may wait for them.

    Args:
        reader: Knows which chunks are held.
        parts: Takes the bytes.
        layout: The object.
        part: The range.
    """

    def __init__(
        self, reader: IChunkReader, parts: IChunkParts, layout: Layout, part: Interval
    ) -> None:
        self._sinks: list[tuple[int, IPartSink | None]] = []
        for chunk in map(layout.chunk, layout.covering(part)):
            held = bool(reader.where(chunk.id))
            sink = None if held else parts.receive(chunk, part)
            self._sinks.append((min(chunk.interval.stop, part.stop), sink))
        self._position = part.start
        self._next = 0

    def take(self, data: memoryview) -> None:
        """
        Take the next bytes of the range.
        """
        while data and self._next < len(self._sinks):
            stop, sink = self._sinks[self._next]
            piece = data[: stop - self._position]
            data = data[len(piece) :]
            self._position += len(piece)
            if sink is not None:
                sink.write(piece)
            if self._position == stop:
                self._end()

    def close(self) -> None:
        """
        No more will pass by.
        """
        while self._next < len(self._sinks):
            self._end()

    def _end(self) -> None:
        _, sink = self._sinks[self._next]
        self._next += 1
        if sink is not None:
            sink.close()


async def send_part(exchange: Exchange, response: IOriginResponse, tap: Tap) -> None:
    """
    Send a range to a client as the store sends it, and keep its bytes.

    Args:
        exchange: The client, whose answer has begun; bytes that it has got are not
            sent again.
        response: The store's answer.
        tap: Takes the bytes.

    Raises:
        OriginError: The store broke off.
        twisted.internet.error.ConnectionLost: The client did.
    """
    skip = exchange.sent
    pieces = BodyPieces(response)
    try:
        response.deliver(pieces)
        while (piece := await pieces.next()) is not None:
            view = memoryview(piece)
            tap.take(view)
            view, skip = view[skip:], max(0, skip - len(view))
            if view:
                await exchange.send(view)
        await exchange.flush()
    except BaseException:
        response.abort()
        raise
    finally:
        tap.close()

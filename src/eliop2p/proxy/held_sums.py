"""
Checksums of chunks that this node holds, and of what they make up.
"""

import hashlib
import os
from collections.abc import Callable

from eliop2p.interfaces import IHeldChunks, IWorker
from eliop2p.model.checksum import Bytes, Crc
from eliop2p.model.chunk import Chunk, Layout
from eliop2p.model.span import FileSpan, Span
from eliop2p.proxy.background import Lane

PIECE = 1024 * 1024
"""
How much is digested, or read from a file, at a time: a thread is not away for long.
"""


AT_ONCE = 16 * 1024
"""
Bytes in memory of which any checksum is computed sooner than a thread is woken.
"""


class HeldSums:
    """
    Reads chunks where they are, one at a time, and computes in threads.

    Args:
        held: The chunks.
        worker: The threads.
    """

    def __init__(self, held: IHeldChunks, worker: IWorker) -> None:
        self._held = held
        self._worker = worker

    async def crc(self, lane: Lane, chunk: Chunk, crc: Crc) -> int | None:
        """
        Compute the CRC of a chunk; None when it is not held.

        Raises:
            CancelledError: The lane is stopping.
            OSError: The chunk cannot be read.
        """
        value = 0

        def update(data: Bytes) -> None:
            nonlocal value
            value = crc.compute(data, value)

        return value if await self._read(lane, chunk, update, chunk.length) else None

    async def digest(self, lane: Lane, layout: Layout, algorithm: str) -> bytes | None:
        """
        Compute the digest of an object; None when a chunk is not held.

        Args:
            lane: Sets the pace.
            layout: The object.
            algorithm: What hashlib calls it.

        Raises:
            CancelledError: The lane is stopping.
            OSError: A chunk cannot be read.
        """
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        for index in range(layout.count):
            if not await self._read(lane, layout.chunk(index), hasher.update, PIECE):
                return None
        return hasher.digest()

    async def _read(
        self, lane: Lane, chunk: Chunk, update: Callable[[Bytes], None], limit: int
    ) -> bool:
        """
        Give all of a chunk to a checksum.

        Returns:
            False when it is not held.
        """
        handle = await self._held.inspect(chunk.id)
        if handle is None:
            return False
        try:
            position = 0
            while position < handle.length:
                span = handle.span(position, limit)
                if len(span) <= AT_ONCE and not isinstance(span, FileSpan):
                    update(span)
                else:
                    await self._worker.run(_feed, update, span)
                position += len(span)
                await lane.pace(len(span))
        finally:
            handle.close()
        return True


def _feed(update: Callable[[Bytes], None], span: Span) -> None:
    """
    Give bytes to a checksum; runs in a thread.

    Raises:
        OSError: They cannot be read.
    """
    if not isinstance(span, FileSpan):
        update(span)
        return
    position = 0
    while position < span.length:
        data = os.pread(
            span.fd, min(PIECE, span.length - position), span.offset + position
        )
        if not data:
            raise OSError("a chunk's file is shorter than the chunk")
        update(data)
        position += len(data)

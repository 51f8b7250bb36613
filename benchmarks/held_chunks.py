"""
Chunks that a giver has, in memory or in the files of the disk tier.
"""

import random
from collections.abc import Iterator

from blake3 import blake3
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.cache.buffer import digest_of
from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.memory_pages import allocate
from eliop2p.cache.readings import HandleReading
from eliop2p.interfaces import (
    BackendSettings,
    IChunkHandle,
    IChunkReading,
    ILocalChunks,
    IWorker,
)
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.model.span import Span

CHUNK = 8 * 1024 * 1024
COUNT = 64


def chunk_of(number: int) -> Chunk:
    """
    Name a chunk.
    """
    return Chunk(ChunkId(blake3(b"%d" % number).digest()), number, 0, CHUNK)


def content_of(number: int) -> bytes:
    """
    Give the content of a chunk.
    """
    return random.Random(number).randbytes(CHUNK)


@implementer(IChunkHandle)
class MemoryChunk:
    """
    A chunk in memory.
    """

    def __init__(self, number: int) -> None:
        self.length = CHUNK
        self._memory = allocate(CHUNK)
        self._memory[:] = content_of(number)
        self.digest = digest_of(self._memory)

    def span(self, offset: int, limit: int) -> Span:
        """
        Give some of it.
        """
        return self._memory[offset : offset + limit]

    def close(self) -> None:
        """
        Keep it.
        """


class _Held:
    """
    What all that is held has in common.
    """

    def small(self, chunk_id: ChunkId, limit: int) -> None:
        """
        Nothing is small.
        """

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name nothing: there is nobody to be told.
        """
        return iter(())


@implementer(ILocalChunks)
class MemoryChunks(_Held):
    """
    All chunks, in memory alone.
    """

    def __init__(self) -> None:
        self._chunks: dict[ChunkId, MemoryChunk] = {}

    async def fill(self) -> None:
        """
        Make them.
        """
        self._chunks = {chunk_of(n).id: MemoryChunk(n) for n in range(COUNT)}

    async def stop(self) -> None:
        """
        Keep them.
        """

    def open_local(self, chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        Open a chunk.
        """
        return succeed(HandleReading(self._chunks[chunk_id], "memory"))


@implementer(ILocalChunks)
class FileChunks(_Held):
    """
    All chunks, in files that the page cache has: what a node with a disk tier sends
    chunks from, whether memory has them, too, or not.

    Args:
        path: The directory.
        worker: Where files are touched.
        clock: Gives the time.
    """

    def __init__(self, path: str, worker: IWorker, clock: IReactorTime) -> None:
        settings = BackendSettings(2 * COUNT * CHUNK, path, 0.9, 0.9, "lru")
        self._tier = DirectoryFactory().make(settings, worker, clock, lambda _: None)

    async def fill(self) -> None:
        """
        Write them.
        """
        await self._tier.start()
        for number in range(COUNT):
            data = memoryview(content_of(number))
            if not await self._tier.put(chunk_of(number).id, data, digest_of(data)):
                raise RuntimeError("the disk tier does not take the chunks")

    async def stop(self) -> None:
        """
        Let go of the directory.
        """
        await self._tier.stop()

    def open_local(self, chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        Open a chunk.
        """
        return Deferred.fromCoroutine(self._open(chunk_id))

    async def _open(self, chunk_id: ChunkId) -> IChunkReading | None:
        handle = await self._tier.open(chunk_id)
        return None if handle is None else HandleReading(handle, "disk")

"""
Chunks held because the cluster wants it, not because a client reads them.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.interfaces import IChunkOrigin, IChunkSink, IReplicas
from eliop2p.model.chunk import Chunk, ChunkId

_PIECE = 1024 * 1024


@implementer(IChunkOrigin)
class PeersOnly:
    """
    No right to read from the store: nobody asked for the object.
    """

    def can_read(self, chunk: Chunk) -> bool:  # noqa: ARG002
        """
        Say no.
        """
        return False

    async def _refuse(self) -> None:
        raise ChunkUnavailable("replicas are not read from the store")

    def read(self, sink: IChunkSink) -> Deferred[None]:  # noqa: ARG002
        """
        Fail.
        """
        return Deferred.fromCoroutine(self._refuse())

    def passed_over(self, chunk: Chunk) -> None:
        """
        Nothing was hoped for.
        """


@implementer(IReplicas)
class Replicas:
    """
    Has this node hold chunks, and let go of them.

    Args:
        chunks: The chunks of this node.
    """

    def __init__(self, chunks: ChunkManager) -> None:
        self._chunks = chunks

    def keep(self, chunk_id: ChunkId, length: int) -> Deferred[int]:
        """
        See :meth:`IReplicas.keep`.
        """
        return Deferred.fromCoroutine(self._keep(Chunk(chunk_id, 0, 0, length)))

    async def _keep(self, chunk: Chunk) -> int:
        if self._chunks.where(chunk.id):
            return 0
        reading = await self._chunks.open(chunk, PeersOnly())
        try:
            offset = 0
            while offset < chunk.length:
                span = await reading.read(offset, _PIECE)
                offset += len(span)
        finally:
            reading.close()
        return chunk.length

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        See :meth:`IReplicas.drop`.
        """
        return self._chunks.drop(chunk_id)

"""
Least recently used first: the plain policy that others are measured against.
"""

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.segment import Segment
from eliop2p.model.chunk import ChunkId


class LruPolicy(EvictionPolicy):
    """
    Gives up the chunk whose last use is the longest ago. Every operation is
    O(1), but that pinned chunks are stepped over.
    """

    def __init__(self) -> None:
        self._chunks = Segment()

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Put a chunk last in the order.
        """
        del now
        self._chunks.put(chunk_id, size)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Move a chunk to the end of the order.
        """
        del now
        self._chunks.move_to_end(chunk_id)

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Take a chunk out of the order.
        """
        self._chunks.take(chunk_id)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Take the first chunk that is not pinned out of the order.
        """
        chunk_id = self._chunks.first(pinned)
        if chunk_id is not None:
            self._chunks.take(chunk_id)
        return chunk_id

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Copies elsewhere change nothing.
        """

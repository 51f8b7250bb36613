"""
Some of a tier's chunks in an order.
"""

from collections import OrderedDict
from collections.abc import Collection

from eliop2p.cache.policy import Pinned
from eliop2p.model.chunk import ChunkId


class Segment(OrderedDict[ChunkId, int]):
    """
    Chunks with their sizes, the one that came first, first.

    Attributes:
        size: Bytes of them all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def put(self, chunk_id: ChunkId, size: int) -> None:
        """
        Put a chunk that is not there last.
        """
        self[chunk_id] = size
        self.size += size

    def put_all(self, chunks: Collection[tuple[ChunkId, int]]) -> None:
        """
        Put chunks that are not there last, each with its size.
        """
        self.update(chunks)
        self.size += sum(size for _, size in chunks)

    def take(self, chunk_id: ChunkId) -> int:
        """
        Take a chunk out.

        Returns:
            Its size.
        """
        size = self.pop(chunk_id)
        self.size -= size
        return size

    def first(self, pinned: Pinned) -> ChunkId | None:
        """
        Find the first chunk that is not pinned.
        """
        return next((chunk_id for chunk_id in self if not pinned(chunk_id)), None)

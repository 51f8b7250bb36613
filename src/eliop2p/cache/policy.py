"""
What decides which chunks a tier gives up.
"""

from collections.abc import Callable, Collection
from typing import Protocol

from eliop2p.model.chunk import ChunkId

Pinned = Callable[[ChunkId], bool]
"""
Tells whether a chunk is in use, so that its bytes could not be freed.
"""


class EvictionPolicy(Protocol):
    """
    Sees what happens to the chunks of a tier and names the next to go.

    Knows neither a clock nor the content; what it remembers of chunks that are gone is
    bounded by the number of those that are there.
    """

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Take note of a chunk that is not there yet, of size bytes, at now (seconds).
        """

    def found(self, chunks: Collection[tuple[ChunkId, int]], now: float) -> None:
        """
        Take note of chunks that an earlier process has left, with their sizes in bytes:
        a million of them at a start, and nothing is known of their uses.
        """
        for chunk_id, size in chunks:
            self.added(chunk_id, size, now)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Take note of a use of a chunk that is there, at now (seconds).
        """

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk that is there and goes for another reason than :meth:`evict`.
        """

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the next chunk to go; from now on it counts as gone.

        Returns:
            One that is there and not pinned; None when there is none.
        """

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk that is there; it may be ignored.
        """

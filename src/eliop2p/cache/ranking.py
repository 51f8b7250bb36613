"""
Chunks by a value that mostly grows; the lowest comes first.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic, TypeVar

from eliop2p.cache.policy import Pinned
from eliop2p.model.chunk import ChunkId

_V = TypeVar("_V", float, tuple[float, float])

_SLACK = 64


class Ranking(Generic[_V]):
    """
    A heap of chunks. One whose value has grown is filed anew only when it comes first,
    one whose value has fallen at once.

    Every operation is O(log n) on the average: a use costs nothing until the chunk
    comes first. The heap is at most twice as long as there are chunks, and a few.

    Args:
        value: Gives the value of a chunk that is there.
    """

    def __init__(self, value: Callable[[ChunkId], _V]) -> None:
        self._value: Callable[[ChunkId], _V] = value
        self._filed: dict[ChunkId, _V] = {}
        self._heap: list[tuple[_V, ChunkId]] = []

    def __len__(self) -> int:
        return len(self._filed)

    def __contains__(self, chunk_id: ChunkId) -> bool:
        return chunk_id in self._filed

    def file(self, chunk_id: ChunkId) -> None:
        """
        Include a chunk, or one again whose value has fallen.
        """
        value = self._filed[chunk_id] = self._value(chunk_id)
        heappush(self._heap, (value, chunk_id))
        if len(self._heap) > 2 * len(self._filed) + _SLACK:
            self._heap = [(value, name) for name, value in self._filed.items()]
            heapify(self._heap)

    def discard(self, chunk_id: ChunkId) -> None:
        """
        Take a chunk out.
        """
        del self._filed[chunk_id]

    def first(self) -> ChunkId | None:
        """
        Find the chunk with the lowest value, if there is one.
        """
        return self._heap[0][1] if self._settle() else None

    def pop(self, pinned: Pinned) -> ChunkId | None:
        """
        Take out the chunk with the lowest value that is not pinned, if there is one.
        """
        aside: list[tuple[_V, ChunkId]] = []
        found: ChunkId | None = None
        while found is None and self._settle():
            chunk_id = self._heap[0][1]
            if pinned(chunk_id):
                aside.append(heappop(self._heap))
            else:
                found = chunk_id
                heappop(self._heap)
                del self._filed[chunk_id]
        for item in aside:
            heappush(self._heap, item)
        return found

    def _settle(self) -> bool:
        """
        Bring a chunk with its value of today to the top, if there is one.
        """
        while self._heap:
            value, chunk_id = self._heap[0]
            if self._filed.get(chunk_id) != value:
                heappop(self._heap)
                continue
            today = self._value(chunk_id)
            if today == value:
                return True
            self._filed[chunk_id] = today
            heapreplace(self._heap, (today, chunk_id))
        return False

"""
LRU-2: the chunk whose last use but one is the longest ago goes first.

After O'Neil, O'Neil and Weikum, "The LRU-K page replacement algorithm for database disk
buffering" (SIGMOD 1993).
"""

import math
from collections import OrderedDict

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.ranking import Ranking
from eliop2p.model.chunk import ChunkId


class Lru2Policy(EvictionPolicy):
    """
    Chunks used once only go before all others, in the order of recency. The last use
    of as many chunks that are gone is remembered as there are chunks.

    Every operation is O(log n) on the average.
    """

    def __init__(self) -> None:
        self._uses: dict[ChunkId, tuple[float, float]] = {}
        self._gone: OrderedDict[ChunkId, float] = OrderedDict()
        self._ranking: Ranking[tuple[float, float]] = Ranking(self._uses.__getitem__)

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Count the first use, or the next one of a chunk that is remembered.
        """
        del size
        self._uses[chunk_id] = (self._gone.pop(chunk_id, -math.inf), now)
        self._ranking.file(chunk_id)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Count a use.
        """
        self._uses[chunk_id] = (self._uses[chunk_id][1], now)

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk.
        """
        self._ranking.discard(chunk_id)
        del self._uses[chunk_id]

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the chunk whose last use but one is the longest ago.
        """
        chunk_id = self._ranking.pop(pinned)
        if chunk_id is not None:
            self._gone[chunk_id] = self._uses.pop(chunk_id)[1]
            while len(self._gone) > len(self._uses) + 1:
                self._gone.popitem(last=False)
        return chunk_id

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Copies elsewhere change nothing.
        """

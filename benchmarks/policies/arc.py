"""
ARC: recency and frequency share the cache in a proportion that is learned.

After Megiddo and Modha, "ARC: A self-tuning, low overhead replacement cache" (FAST
2003), with bytes in place of entries.
"""

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.segment import Segment
from eliop2p.model.chunk import ChunkId


class ArcPolicy(EvictionPolicy):
    """
    Chunks used once and chunks used again are kept in an order of recency each, and so
    are the names of those that went from either. A chunk that comes back says from
    which side it was missed, and that side gets more room.

    Every operation is O(1), but that pinned chunks are stepped over. The names of
    those gone stand for no more bytes than the tier keeps, and there are no more of
    them than chunks.

    Args:
        capacity: Bytes that the tier keeps when it has made room.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._once_target = 0.0
        self._once = Segment()
        self._again = Segment()
        self._once_gone = Segment()
        self._again_gone = Segment()

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Include a chunk; if it went not long ago, its side gets more room.
        """
        del now
        once, again = self._once_gone, self._again_gone
        if chunk_id in once:
            grow = size * max(1.0, again.size / max(1, once.size))
            self._once_target = min(self._capacity, self._once_target + grow)
            once.take(chunk_id)
            self._again.put(chunk_id, size)
        elif chunk_id in again:
            shrink = size * max(1.0, once.size / max(1, again.size))
            self._once_target = max(0.0, self._once_target - shrink)
            again.take(chunk_id)
            self._again.put(chunk_id, size)
        else:
            self._once.put(chunk_id, size)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Put a chunk last among those used again.
        """
        del now
        if chunk_id in self._once:
            self._again.put(chunk_id, self._once.take(chunk_id))
        else:
            self._again.move_to_end(chunk_id)

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk.
        """
        (self._once if chunk_id in self._once else self._again).take(chunk_id)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the oldest chunk of the side that has more room than it should.
        """
        sides = [(self._once, self._once_gone), (self._again, self._again_gone)]
        if self._once.size <= self._once_target:
            sides.reverse()
        for side, gone in sides:
            chunk_id = side.first(pinned)
            if chunk_id is not None:
                gone.put(chunk_id, side.take(chunk_id))
                self._trim()
                return chunk_id
        return None

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Copies elsewhere change nothing.
        """

    def _trim(self) -> None:
        once, again = self._once_gone, self._again_gone
        while once and self._once.size + once.size > self._capacity:
            once.take(next(iter(once)))
        while once.size + again.size > self._capacity or len(once) + len(again) > len(
            self._once
        ) + len(self._again):
            side = again or once
            side.take(next(iter(side)))

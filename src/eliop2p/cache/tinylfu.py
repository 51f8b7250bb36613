"""
W-TinyLFU: a newcomer stays if it is asked for more often than what it would replace.

After Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy"
(ACM Transactions on Storage 13:4, 2017), with bytes in place of entries.
"""

from collections.abc import Collection

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.segment import Segment
from eliop2p.cache.sketch import USE, FrequencySketch
from eliop2p.model.chunk import ChunkId

_WINDOW_SHARE = 0.01
_PROTECTED_SHARE = 0.8


class TinyLfuPolicy(EvictionPolicy):
    """
    Newcomers enter a window, in the order of recency. When room is needed, the oldest
    of the window and the oldest of the rest are compared by how often they were asked
    for lately, and the newcomer must win by a whole use to stay: in epochs all are
    asked for once each, in turn, and whose turn has come just now will not be asked for
    sooner than others. The rest are chunks on probation and those used again since they
    left the window, which are protected.

    Newcomers that other nodes hold too go first of all, until they are used again: what
    the cluster has once only is worth more to it than a second copy.

    Every operation is O(1), but that pinned chunks are stepped over.

    Args:
        capacity: Bytes that the tier keeps when it has made room.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._window_limit = int(capacity * _WINDOW_SHARE)
        main = capacity - self._window_limit
        self._protected_limit = int(main * _PROTECTED_SHARE)
        self._window = Segment()
        self._probation = Segment()
        self._protected = Segment()
        self._spare = Segment()
        self._spare_room = 0
        self._sketch = FrequencySketch()

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Count a use and put a chunk into the window.
        """
        del now
        self._window.put(chunk_id, size)
        self._spill(lambda _: False)
        self._make_room()
        self._sketch.count(chunk_id)

    def found(self, chunks: Collection[tuple[ChunkId, int]], now: float) -> None:
        """
        Put chunks on probation without counting a use.
        """
        del now
        self._probation.put_all(chunks)
        self._make_room()

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Count a use; a chunk on probation becomes protected.
        """
        del now
        self._sketch.count(chunk_id)
        segment = self._segment_of(chunk_id)
        if segment is not self._probation and segment is not self._spare:
            segment.move_to_end(chunk_id)
            return
        self._protected.put(chunk_id, segment.take(chunk_id))
        while self._protected.size > self._protected_limit:
            demoted = next(iter(self._protected))
            self._probation.put(demoted, self._protected.take(demoted))

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk.
        """
        self._segment_of(chunk_id).take(chunk_id)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the loser between a newcomer and the rest.
        """
        spare = self._spare.first(pinned)
        if spare is not None:
            return self._gone(spare)
        newcomer = self._spill(pinned)
        victim = self._probation.first(pinned)
        if victim is None:
            victim = self._protected.first(pinned)
        if newcomer is None or victim is None:
            return self._gone(newcomer or victim or self._window.first(pinned))
        count = self._sketch.frequency
        if count(newcomer) < count(victim) + USE:
            return self._gone(newcomer)
        self._admit(newcomer)
        return self._gone(victim)

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk.
        """
        segment = self._segment_of(chunk_id)
        if replicas and (segment is self._window or segment is self._probation):
            size = segment.take(chunk_id)
            self._spare.put(chunk_id, size)
            # Or a newcomer would slip in wherever a second copy made room.
            self._spare_room = max(self._spare_room, size)
        elif not replicas and segment is self._spare:
            self._probation.put(chunk_id, segment.take(chunk_id))

    def _make_room(self) -> None:
        rest = (self._probation, self._protected, self._spare)
        self._sketch.make_room(len(self._window) + sum(map(len, rest)))

    def _segment_of(self, chunk_id: ChunkId) -> Segment:
        for segment in (self._window, self._probation, self._spare):
            if chunk_id in segment:
                return segment
        return self._protected

    def _spill(self, pinned: Pinned) -> ChunkId | None:
        """
        Move the oldest out of a full window while the rest has room for them.

        Returns:
            The oldest of a window that is full all the same.
        """
        while self._window.size >= self._window_limit:
            chunk_id = self._window.first(pinned)
            if chunk_id is None:
                return None
            kept = self._probation.size + self._protected.size
            kept += max(self._spare.size, self._spare_room)
            size = self._window[chunk_id]
            # In a small tier one newcomer is more than the window's share; without
            # room for one, the next would have nothing to win against.
            if kept + size > self._capacity - max(self._window_limit, size):
                return chunk_id
            self._admit(chunk_id)
        return None

    def _admit(self, chunk_id: ChunkId) -> None:
        self._probation.put(chunk_id, self._window.take(chunk_id))

    def _gone(self, chunk_id: ChunkId | None) -> ChunkId | None:
        if chunk_id is not None:
            self._segment_of(chunk_id).take(chunk_id)
        return chunk_id

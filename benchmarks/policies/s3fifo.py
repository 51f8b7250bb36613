"""
S3-FIFO: three queues, none of which is reordered by a use.

After Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache
eviction" (SOSP 2023), with bytes in place of entries.
"""

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.segment import Segment
from eliop2p.model.chunk import ChunkId

MOST = 3
"""
How many uses of a chunk are counted.
"""

_SMALL_SHARE = 0.1


def _in_turn(queue: Segment, pinned: Pinned) -> ChunkId | None:
    """
    Find the first chunk of a queue that is not pinned; those that are go to its end.
    """
    for _ in range(len(queue)):
        chunk_id = next(iter(queue))
        if not pinned(chunk_id):
            return chunk_id
        queue.move_to_end(chunk_id)
    return None


class S3FifoPolicy(EvictionPolicy):
    """
    Newcomers enter a small queue. Those used there move on to the main queue when it is
    their turn to go, the others go and are remembered: a chunk that comes back soon
    enters the main queue at once. There a chunk that was used has another turn, as
    often as it was used.

    Every operation is O(1) on the average. The memory of
    those gone stands for as many bytes as the main queue, and there are no more names
    in it than chunks in the tier.

    Args:
        capacity: Bytes that the tier keeps when it has made room.
    """

    def __init__(self, capacity: int) -> None:
        self._small_limit = int(capacity * _SMALL_SHARE)
        self._gone_limit = capacity - self._small_limit
        self._small = Segment()
        self._main = Segment()
        self._gone = Segment()
        self._uses: dict[ChunkId, int] = {}

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Put a chunk into the small queue, or into the main one if it is remembered.
        """
        del now
        if chunk_id in self._gone:
            self._gone.take(chunk_id)
            self._main.put(chunk_id, size)
        else:
            self._small.put(chunk_id, size)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Count a use.
        """
        del now
        uses = self._uses.get(chunk_id, 0)
        if uses < MOST:
            self._uses[chunk_id] = uses + 1

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk.
        """
        self._queue_of(chunk_id).take(chunk_id)
        self._uses.pop(chunk_id, None)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the first chunk in turn that was not used.
        """
        while True:
            queues = [self._small, self._main]
            if self._small.size <= self._small_limit:
                queues.reverse()
            chunk_id = _in_turn(queues[0], pinned) or _in_turn(queues[1], pinned)
            if chunk_id is None:
                return None
            if chunk_id not in self._uses:
                self._let_go(chunk_id)
                return chunk_id
            self._pass_over(chunk_id)

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Copies elsewhere change nothing.
        """

    def _length(self) -> int:
        return len(self._small) + len(self._main)

    def _queue_of(self, chunk_id: ChunkId) -> Segment:
        return self._small if chunk_id in self._small else self._main

    def _pass_over(self, chunk_id: ChunkId) -> None:
        uses = self._uses.pop(chunk_id, 0)
        if chunk_id in self._small:
            self._main.put(chunk_id, self._small.take(chunk_id))
            return
        self._main.move_to_end(chunk_id)
        if uses > 1:
            self._uses[chunk_id] = uses - 1

    def _let_go(self, chunk_id: ChunkId) -> None:
        queue = self._queue_of(chunk_id)
        size = queue.take(chunk_id)
        self._uses.pop(chunk_id, None)
        if queue is self._small:
            self._gone.put(chunk_id, size)
        gone = self._gone
        while gone.size > self._gone_limit or len(gone) > self._length():
            gone.take(next(iter(gone)))

"""
A weighted LRU: age, copies that other nodes hold, and how often a chunk is used.
"""

import math

import attrs

from eliop2p.cache.policy import EvictionPolicy, Pinned
from eliop2p.cache.ranking import Ranking
from eliop2p.model.chunk import ChunkId

HOUR = 3600.0

AGE_WEIGHT = 1.0
"""
What an hour since the last use adds to the score of a victim.
"""

REPLICA_WEIGHT = 0.5
"""
What each copy elsewhere adds to it.
"""

HEAT_WEIGHT = 0.3
"""
What each step of heat takes from it: warm is one step, hot two.
"""

WARM, HOT = 10.0, 100.0
"""
Uses per hour from which a chunk is warm, and above which it is hot.
"""

MAX_REPLICAS = 5
"""
More copies elsewhere than this make no difference.
"""

PROTECTION = 32.0
"""
How many times longer a protected chunk may go unused than the next one on probation.
"""

_PROTECTED_SHARE = 0.75


@attrs.define(eq=False)
class _Seen:
    """
    What is known of a chunk.

    Attributes:
        size: Its bytes.
        last: When it was used last, in seconds.
        rate: How often it was used in the hour before, older uses counting less.
        replicas: How many other nodes hold it.
    """

    size: int
    last: float
    rate: float = 1.0
    replicas: int = 0

    def use(self, now: float) -> None:
        """
        Count a use.
        """
        self.rate = self.rate * math.exp((self.last - now) / HOUR) + 1.0
        self.last = now

    @property
    def heat(self) -> int:
        """
        2 when hot, 1 when warm, 0 when cold.
        """
        return (self.rate >= WARM) + (self.rate > HOT)


class WeightedLruPolicy(EvictionPolicy):
    """
    Gives up the chunk with the highest score: the weighted sum of its age in hours, of
    the copies elsewhere, and, taken away, of its heat as of its last use.

    Chunks that were never used again since they came go first, so that reading a data
    set once does not push out what is used again and again. Up to three quarters of the
    bytes are protected in this way, and not for ever: see :data:`PROTECTION`.

    The score of all chunks grows alike with time, so their order does not depend on it:
    every operation is O(log n) on the average.

    Args:
        capacity: Bytes that the tier keeps when it has made room.
    """

    def __init__(self, capacity: int) -> None:
        self._limit = int(capacity * _PROTECTED_SHARE)
        self._seen: dict[ChunkId, _Seen] = {}
        self._probation: Ranking[float] = Ranking(self._worth)
        self._protected: Ranking[float] = Ranking(self._worth)
        self._protected_size = 0
        self._now = 0.0

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        Put a chunk on probation.
        """
        self._now = now
        self._seen[chunk_id] = _Seen(size, now)
        self._probation.file(chunk_id)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        Protect a chunk, and make it younger and warmer.
        """
        self._now = now
        seen = self._seen[chunk_id]
        seen.use(now)
        if chunk_id in self._probation:
            self._probation.discard(chunk_id)
            self._protected.file(chunk_id)
            self._protected_size += seen.size
            while self._protected_size > self._limit:
                self._demote(self._protected.first() or chunk_id)

    def removed(self, chunk_id: ChunkId) -> None:
        """
        Forget a chunk.
        """
        seen = self._seen.pop(chunk_id)
        if chunk_id in self._probation:
            self._probation.discard(chunk_id)
        else:
            self._protected.discard(chunk_id)
            self._protected_size -= seen.size

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        Name the chunk with the highest score, of those on probation if it can be.
        """
        self._release_idle()
        chunk_id = self._probation.pop(pinned)
        if chunk_id is None:
            chunk_id = self._protected.pop(pinned)
            if chunk_id is None:
                return None
            self._protected_size -= self._seen[chunk_id].size
        del self._seen[chunk_id]
        return chunk_id

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk.
        """
        self._seen[chunk_id].replicas = min(replicas, MAX_REPLICAS)
        on_probation = chunk_id in self._probation
        (self._probation if on_probation else self._protected).file(chunk_id)

    def _worth(self, chunk_id: ChunkId) -> float:
        """
        Give the negative score of a chunk at the beginning of time.
        """
        seen = self._seen[chunk_id]
        return (
            AGE_WEIGHT * seen.last / HOUR
            - REPLICA_WEIGHT * seen.replicas
            + HEAT_WEIGHT * seen.heat
        )

    def _age(self, chunk_id: ChunkId) -> float:
        return self._now - self._seen[chunk_id].last

    def _release_idle(self) -> None:
        """
        Put the next protected chunk on probation if it went unused for too long.
        """
        idle, newer = self._protected.first(), self._probation.first()
        if idle is None or newer is None:
            return
        if self._age(idle) > PROTECTION * self._age(newer):
            self._demote(idle)

    def _demote(self, chunk_id: ChunkId) -> None:
        self._protected.discard(chunk_id)
        self._protected_size -= self._seen[chunk_id].size
        self._probation.file(chunk_id)

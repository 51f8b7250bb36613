"""
Eviction policies the slow and obvious way: lists that are searched and sorted.
"""

import math
from collections.abc import Collection

import attrs

from eliop2p.cache.policy import Pinned
from eliop2p.model.chunk import ChunkId


@attrs.define(eq=False)
class Known:
    """
    A chunk, and all that any of the twins wants to know of it.
    """

    chunk_id: ChunkId
    size: int
    times: list[float]
    uses: int = 0
    replicas: int = 0
    rate: float = 1.0
    main: bool = False


class ListTwin:
    """
    What the twins have in common; by itself it is LRU.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.chunks: list[Known] = []

    def known(self, chunk_id: ChunkId) -> Known:
        """
        Find a chunk.
        """
        return next(known for known in self.chunks if known.chunk_id == chunk_id)

    def size_of(self, main: bool) -> int:
        """
        Add up the bytes of one of the two parts.
        """
        return sum(known.size for known in self.chunks if known.main == main)

    def part(self, main: bool) -> list[Known]:
        """
        Give one of the two parts.
        """
        return [known for known in self.chunks if known.main == main]

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        self.chunks.append(Known(chunk_id, size, [now]))

    def found(self, chunks: Collection[tuple[ChunkId, int]], now: float) -> None:
        """
        See the protocol.
        """
        for chunk_id, size in chunks:
            self.added(chunk_id, size, now)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        See the protocol.
        """
        known = self.known(chunk_id)
        known.times.append(now)
        self.to_end(known)

    def to_end(self, known: Known) -> None:
        """
        Put a chunk last.
        """
        self.chunks.remove(known)
        self.chunks.append(known)

    def removed(self, chunk_id: ChunkId) -> None:
        """
        See the protocol.
        """
        self.chunks.remove(self.known(chunk_id))

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        for known in self.chunks:
            if not pinned(known.chunk_id):
                self.chunks.remove(known)
                return known.chunk_id
        return None

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        See the protocol.
        """


class WeightedTwin(ListTwin):
    """
    The weighted LRU: scores of all chunks are computed for each victim.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.now = 0.0

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        super().added(chunk_id, size, now)
        self.now = now

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        See the protocol.
        """
        known = self.known(chunk_id)
        self.now = now
        known.rate = known.rate * math.exp((known.times[-1] - now) / 3600) + 1
        known.times.append(now)
        known.main = True
        while self.size_of(main=True) > int(self.capacity * 0.75):
            max(self.part(main=True), key=self.score).main = False

    def score(self, known: Known) -> tuple[float, int]:
        """
        Give the score at the beginning of time; of equals the lowest name goes first.
        """
        heat = 0 if known.rate < 10 else 1 if known.rate <= 100 else 2
        hours = -known.times[-1] / 3600
        score = 1.0 * hours + 0.5 * min(known.replicas, 5) - 0.3 * heat
        return score, -int.from_bytes(known.chunk_id, "big")

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        main, rest = self.part(main=True), self.part(main=False)
        if main and rest:
            idle = max(main, key=self.score)
            newer = max(rest, key=self.score)
            if self.now - idle.times[-1] > 32 * (self.now - newer.times[-1]):
                idle.main = False
        free = [known for known in self.chunks if not pinned(known.chunk_id)]
        free = [known for known in free if not known.main] or free
        if not free:
            return None
        victim = max(free, key=self.score)
        self.chunks.remove(victim)
        return victim.chunk_id

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        See the protocol.
        """
        self.known(chunk_id).replicas = replicas


class S3FifoTwin(ListTwin):
    """
    S3-FIFO: a chunk's part is told by a flag, its place by the place in the list.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.gone: list[tuple[ChunkId, int]] = []

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        main = chunk_id in [name for name, _ in self.gone]
        self.gone = [item for item in self.gone if item[0] != chunk_id]
        self.chunks.append(Known(chunk_id, size, [now], main=main))

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        See the protocol.
        """
        known = self.known(chunk_id)
        known.uses = min(3, known.uses + 1)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        if all(pinned(known.chunk_id) for known in self.chunks):
            return None
        limit = int(self.capacity * 0.1)
        known = self.in_turn(limit, pinned)
        while known.uses:
            known.uses = known.uses - 1 if known.main else 0
            known.main = True
            self.to_end(known)
            known = self.in_turn(limit, pinned)
        self.chunks.remove(known)
        if not known.main:
            self.gone.append((known.chunk_id, known.size))
        while sum(size for _, size in self.gone) > self.capacity - limit or len(
            self.gone
        ) > len(self.chunks):
            del self.gone[0]
        return known.chunk_id

    def in_turn(self, limit: int, pinned: Pinned) -> Known:
        """
        Find the chunk to look at next; pinned ones before it go to the end.
        """
        main = self.size_of(main=False) <= limit
        if all(pinned(known.chunk_id) for known in self.part(main=main)):
            main = not main
        part = self.part(main=main)
        while pinned(part[0].chunk_id):
            self.to_end(part[0])
            part = self.part(main=main)
        return part[0]


class Lru2Twin(ListTwin):
    """
    LRU-2: chunks are sorted by their last use but one.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.gone: list[Known] = []

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        before = [known for known in self.gone if known.chunk_id == chunk_id]
        times = [known.times[-1] for known in before]
        self.gone = [known for known in self.gone if known not in before]
        self.chunks.append(Known(chunk_id, size, [*times, now]))

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        free = [known for known in self.chunks if not pinned(known.chunk_id)]
        if not free:
            return None
        victim = min(
            free, key=lambda known: ([-math.inf, *known.times][-2:], known.chunk_id)
        )
        self.chunks.remove(victim)
        self.gone.append(victim)
        while len(self.gone) > len(self.chunks) + 1:
            del self.gone[0]
        return victim.chunk_id

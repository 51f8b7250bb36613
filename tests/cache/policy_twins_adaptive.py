"""
Policies that adapt themselves, the slow and obvious way.
"""

from collections.abc import Collection

from eliop2p.cache.policy import Pinned
from eliop2p.model.chunk import ChunkId
from tests.cache.policy_twins import Known, ListTwin


class ArcTwin(ListTwin):
    """
    ARC: main are the chunks used again.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.gone: list[Known] = []
        self.target = 0.0

    def gone_size(self, main: bool) -> int:
        """
        Add up the bytes that those gone from a side had.
        """
        return sum(known.size for known in self.gone if known.main == main)

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        known = Known(chunk_id, size, [now])
        for before in self.gone:
            if before.chunk_id == chunk_id:
                mine = max(1, self.gone_size(before.main))
                step = size * max(1.0, self.gone_size(not before.main) / mine)
                self.target += -step if before.main else step
                self.target = min(max(0.0, self.target), self.capacity)
                known.main = True
                self.gone.remove(before)
                break
        self.chunks.append(known)

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        See the protocol.
        """
        self.known(chunk_id).main = True
        self.to_end(self.known(chunk_id))

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        again = self.size_of(main=False) <= self.target
        for known in self.part(main=again) + self.part(main=not again):
            if not pinned(known.chunk_id):
                self.chunks.remove(known)
                self.gone.append(known)
                self.trim()
                return known.chunk_id
        return None

    def trim(self) -> None:
        """
        Forget the oldest of those gone until few enough are left.
        """
        once = [known for known in self.gone if not known.main]
        while once and self.size_of(main=False) + self.gone_size(False) > self.capacity:
            self.gone.remove(once.pop(0))
        while sum(known.size for known in self.gone) > self.capacity or len(
            self.gone
        ) > len(self.chunks):
            again = [known for known in self.gone if known.main]
            self.gone.remove((again or self.gone)[0])


class TinyLfuTwin(ListTwin):
    """
    W-TinyLFU with true counts; main are the chunks that have left the window.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.counts: dict[ChunkId, int] = {}
        self.counted = 0
        self.most = 1
        self.window = int(capacity * 0.01)
        self.protected: list[Known] = []
        self.spare: list[Known] = []
        self.spare_room = 0

    def count(self, chunk_id: ChunkId) -> None:
        """
        Count a use as 4, up to 60; all counts halve now and then.
        """
        self.counts[chunk_id] = min(60, self.counts.get(chunk_id, 0) + 4)
        self.counted += 1
        if self.counted >= 4 * self.most:
            self.counted //= 2
            self.counts = {name: count // 2 for name, count in self.counts.items()}

    def added(self, chunk_id: ChunkId, size: int, now: float) -> None:
        """
        See the protocol.
        """
        super().added(chunk_id, size, now)
        self.spill(lambda _: False)
        self.most = max(self.most, len(self.chunks))
        self.count(chunk_id)

    def found(self, chunks: Collection[tuple[ChunkId, int]], now: float) -> None:
        """
        See the protocol.
        """
        for chunk_id, size in chunks:
            self.chunks.append(Known(chunk_id, size, [now], main=True))
        self.most = max(self.most, len(self.chunks))

    def used(self, chunk_id: ChunkId, now: float) -> None:
        """
        See the protocol.
        """
        self.count(chunk_id)
        known = self.known(chunk_id)
        self.to_end(known)
        if known in self.spare:
            self.spare.remove(known)
            known.main = True
        if not known.main:
            return
        if known in self.protected:
            self.protected.remove(known)
        self.protected.append(known)
        limit = int((self.capacity - self.window) * 0.8)
        while sum(known.size for known in self.protected) > limit:
            self.to_end(self.protected.pop(0))

    def removed(self, chunk_id: ChunkId) -> None:
        """
        See the protocol.
        """
        self.drop(self.known(chunk_id))

    def drop(self, known: Known) -> ChunkId:
        """
        Take a chunk out.
        """
        self.chunks.remove(known)
        for part in (self.protected, self.spare):
            if known in part:
                part.remove(known)
        return known.chunk_id

    def noted(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        See the protocol.
        """
        known = self.known(chunk_id)
        if known in self.spare and not replicas:
            self.spare.remove(known)
            known.main = True
            self.to_end(known)
        elif replicas and known not in self.spare + self.protected:
            self.spare.append(known)
            self.spare_room = max(self.spare_room, known.size)

    def part(self, main: bool) -> list[Known]:
        """
        Give one of the two parts.
        """
        return [known for known in super().part(main) if known not in self.spare]

    def size_of(self, main: bool) -> int:
        """
        Add up the bytes of one of the two parts; room for spare ones is in the main.
        """
        spare = max(self.spare_room, sum(known.size for known in self.spare))
        return sum(known.size for known in self.part(main)) + (spare if main else 0)

    def evict(self, pinned: Pinned) -> ChunkId | None:
        """
        See the protocol.
        """
        spare = [known for known in self.spare if not pinned(known.chunk_id)]
        if spare:
            return self.drop(spare[0])
        newcomer = self.spill(pinned)
        rest = [k for k in self.part(main=True) if k not in self.protected]
        order = rest + self.protected
        victims = [known for known in order if not pinned(known.chunk_id)]
        if newcomer is None or not victims:
            window = self.part(main=False)
            left = [k for k in window if not pinned(k.chunk_id)]
            either = [newcomer] if newcomer else victims or left
            return self.drop(either[0]) if either else None
        scores = [self.counts.get(k.chunk_id, 0) for k in (newcomer, victims[0])]
        if scores[0] < scores[1] + 4:
            return self.drop(newcomer)
        newcomer.main = True
        self.to_end(newcomer)
        return self.drop(victims[0])

    def spill(self, pinned: Pinned) -> Known | None:
        """
        Move what has room out of a full window; give the oldest that has none.
        """
        while self.size_of(main=False) >= self.window:
            free = [k for k in self.part(main=False) if not pinned(k.chunk_id)]
            if not free:
                return None
            reserved = max(self.window, free[0].size)
            room = self.capacity - reserved - self.size_of(main=True)
            if free[0].size > room:
                return free[0]
            free[0].main = True
            self.to_end(free[0])
        return None

"""
The chunks of a tier, and the bytes that they take.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

import attrs

from eliop2p.cache.policy import EvictionPolicy
from eliop2p.model.chunk import ChunkId, Digest

BATCH = 16
"""
How many victims are named at once beyond those that room is needed from: dropping a
tenth of a large tier in one go would stall it.
"""

MOMENT = 1.0
"""
Seconds within which openings of a chunk are one use: whoever reads it in small pieces
opens it many times, and whoever had it fetched opens it as soon as it is there.
"""

LONG_AGO = float("-inf")
"""
When the last use of a chunk was that an earlier process has left.
"""


@attrs.define(eq=False)
class Entry:
    """
    A chunk in a tier.

    Attributes:
        chunk_id: Its name.
        digest: BLAKE3 of its content.
        length: Its length in bytes.
        size: The bytes it takes from the capacity.
        pins: How many use it now; while there are any its bytes cannot be freed.
        held: Whether it is in the tier; one that is not waits for its last unpin.
        named: Whether it has been named as a victim.
        counted: When its arrival or a use of it was counted last, in seconds.
    """

    chunk_id: ChunkId
    digest: Digest
    length: int
    size: int
    pins: int = 0
    held: bool = False
    named: bool = False
    counted: float = 0.0


_E = TypeVar("_E", bound=Entry)


class Holdings(Generic[_E]):
    """
    The chunks of a tier by name, within a number of bytes.

    Decides only: the tier itself drops the chunks that are named.

    Args:
        policy: Chooses between them.
        capacity: Bytes the tier may take.
        threshold: Part of the capacity from which victims are named.
        target: Part of the capacity down to which they are.
        now: Gives the time in seconds.

    Attributes:
        capacity: As given.
        used: Bytes taken.
    """

    def __init__(
        self,
        policy: EvictionPolicy,
        capacity: int,
        threshold: float,
        target: float,
        now: Callable[[], float],
    ) -> None:
        self.capacity = capacity
        self.used = 0
        self._policy = policy
        self._threshold = int(capacity * threshold)
        self._target = int(capacity * target)
        self._now = now
        self._entries: dict[ChunkId, _E] = {}
        self._idle = 0
        self._draining = False

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[_E]:
        return iter(self._entries.values())

    def get(self, chunk_id: ChunkId) -> _E | None:
        """
        Find a chunk without counting it as a use.
        """
        return self._entries.get(chunk_id)

    def add(self, entry: _E) -> None:
        """
        Include a chunk that is not there.
        """
        entry.held = True
        entry.counted = self._now()
        self._entries[entry.chunk_id] = entry
        self._policy.added(entry.chunk_id, entry.size, entry.counted)
        self.used += entry.size
        if not entry.pins:
            self._idle += entry.size

    def found(self, entries: Collection[_E]) -> None:
        """
        Include chunks that are not there and not pinned, which an earlier process left.
        Whatever is the next use of one counts.
        """
        sizes = [(entry.chunk_id, entry.size) for entry in entries]
        self._policy.found(sizes, self._now())
        for entry in entries:
            entry.held = True
            entry.counted = LONG_AGO
            self._entries[entry.chunk_id] = entry
        size = sum(size for _, size in sizes)
        self.used += size
        self._idle += size

    def use(self, chunk_id: ChunkId) -> _E | None:
        """
        Find a chunk and count that, as :meth:`touch` does.
        """
        entry = self._entries.get(chunk_id)
        if entry is not None:
            self.touch(entry)
        return entry

    def touch(self, entry: _E) -> None:
        """
        Count a use of a chunk that is there, if there was none a :data:`MOMENT` ago.
        """
        now = self._now()
        if now - entry.counted >= MOMENT and not entry.named:
            entry.counted = now
            self._policy.used(entry.chunk_id, now)

    def remove(self, entry: _E) -> None:
        """
        Take a chunk out. Its bytes count until nobody has it pinned.
        """
        del self._entries[entry.chunk_id]
        if not entry.named:
            self._policy.removed(entry.chunk_id)
        entry.held = entry.named = False
        if not entry.pins:
            self._idle -= entry.size
            self.used -= entry.size

    def pin(self, entry: _E) -> None:
        """
        Keep a chunk from being named, and its bytes counted, until :meth:`unpin`.
        """
        if entry.held and not entry.pins:
            self._idle -= entry.size
        entry.pins += 1

    def unpin(self, entry: _E) -> None:
        """
        Undo one :meth:`pin`.
        """
        entry.pins -= 1
        if entry.pins:
            return
        if entry.held:
            self._idle += entry.size
        else:
            self.used -= entry.size

    def reserve(self, size: int) -> None:
        """
        Count bytes that belong to no chunk, or to one that is not complete.
        """
        self.used += size

    def release(self, size: int) -> None:
        """
        Undo a :meth:`reserve`.
        """
        self.used -= size

    def fits(self, size: int) -> bool:
        """
        Tell whether there is room for so many bytes more.
        """
        return self.used + size <= self.capacity

    def note_replicas(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk; nothing happens if it is not there.
        """
        entry = self._entries.get(chunk_id)
        if entry is not None and not entry.named:
            self._policy.noted(chunk_id, replicas)

    def victims(self, needed: int) -> tuple[_E, ...]:
        """
        Name the chunks to give up before bytes are added. Every one of them has to be
        removed.

        Once the threshold is reached every call names a batch until the target is.

        Args:
            needed: The bytes to be added.

        Returns:
            Enough to make room for them, none when there cannot be enough.
        """
        total = self.used + needed
        self._draining = total > (self._target if self._draining else self._threshold)
        if not self._draining or total - self._idle > self.capacity:
            return ()
        chosen: list[_E] = []
        idle = self._idle
        while idle > 0 and total > self._target:
            if len(chosen) >= BATCH and total <= self.capacity:
                break
            chunk_id = self._policy.evict(self._is_pinned)
            if chunk_id is None:
                break
            entry = self._entries[chunk_id]
            entry.named = True
            chosen.append(entry)
            total -= entry.size
            idle -= entry.size
        return tuple(chosen)

    def _is_pinned(self, chunk_id: ChunkId) -> bool:
        return self._entries[chunk_id].pins > 0

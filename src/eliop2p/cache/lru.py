"""
Which chunks a tier gives up when it needs room.

Recency in two segments: a chunk starts on probation and is protected when it has been
opened twice since it came: once by whoever had it fetched, and once again. Victims
come from probation first, so that reading a data set once, however large, does not push
out what is used again and again.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs

from eliop2p.model.chunk import ChunkId, Digest

BATCH = 16
"""
How many victims are named at once beyond those that room is needed from: dropping a
tenth of a large tier in one go would stall it.
"""

_PROTECTED_SHARE = 0.75
"""
Part of the eviction target that protected chunks may take.
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
        held: Whether it is in the order; one that is not waits for its last unpin.
        used: Whether it has been opened since it came.
    """

    chunk_id: ChunkId
    digest: Digest
    length: int
    size: int
    pins: int = 0
    held: bool = False
    used: bool = False


_E = TypeVar("_E", bound=Entry)


class LruOrder(Generic[_E]):
    """
    The chunks of a tier in order of recency, and its bytes.

    Decides only: the tier itself drops the chunks that are named.

    Args:
        capacity: Bytes the tier may take.
        threshold: Part of the capacity from which victims are named.
        target: Part of the capacity down to which they are.
    """

    def __init__(self, capacity: int, threshold: float, target: float) -> None:
        self.capacity = capacity
        self.used = 0
        self._threshold = int(capacity * threshold)
        self._target = int(capacity * target)
        self._protected_limit = int(capacity * target * _PROTECTED_SHARE)
        self._protected_size = 0
        self._probation: OrderedDict[ChunkId, _E] = OrderedDict()
        self._protected: OrderedDict[ChunkId, _E] = OrderedDict()
        self._draining = False

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def __iter__(self) -> Iterator[_E]:
        """
        Give the entries in the order in which they would be given up.
        """
        yield from self._probation.values()
        yield from self._protected.values()

    def get(self, chunk_id: ChunkId) -> _E | None:
        """
        Find a chunk without counting it as a use.
        """
        return self._probation.get(chunk_id) or self._protected.get(chunk_id)

    def add(self, entry: _E) -> None:
        """
        Include a chunk that is not there, as the most recent one on probation.
        """
        entry.held = True
        self._probation[entry.chunk_id] = entry
        self.used += entry.size

    def touch(self, entry: _E) -> None:
        """
        Count a use of a chunk that is there.
        """
        if entry.chunk_id in self._protected:
            self._protected.move_to_end(entry.chunk_id)
            return
        if not entry.used:
            entry.used = True
            self._probation.move_to_end(entry.chunk_id)
            return
        del self._probation[entry.chunk_id]
        self._protected[entry.chunk_id] = entry
        self._protected_size += entry.size
        while self._protected_size > self._protected_limit:
            chunk_id, demoted = self._protected.popitem(last=False)
            self._protected_size -= demoted.size
            self._probation[chunk_id] = demoted

    def remove(self, entry: _E) -> None:
        """
        Take a chunk out. Its bytes count until nobody has it pinned.
        """
        if self._probation.pop(entry.chunk_id, None) is None:
            del self._protected[entry.chunk_id]
            self._protected_size -= entry.size
        entry.held = False
        if not entry.pins:
            self.used -= entry.size

    def pin(self, entry: _E) -> None:
        """
        Keep a chunk from being named, and its bytes counted, until :meth:`unpin`.
        """
        entry.pins += 1

    def unpin(self, entry: _E) -> None:
        """
        Undo one :meth:`pin`.
        """
        entry.pins -= 1
        if not entry.pins and not entry.held:
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

    def victims(self, needed: int) -> tuple[_E, ...]:
        """
        Name the chunks to give up before bytes are added.

        Once the threshold is reached every call names a batch until the target is.

        Args:
            needed: The bytes to be added.

        Returns:
            Enough to make room for them, none when there cannot be enough.
        """
        total = self.used + needed
        self._draining = total > (self._target if self._draining else self._threshold)
        if not self._draining or needed > self.capacity:
            return ()
        chosen: list[_E] = []
        for entry in self:
            if total <= self._target:
                break
            if len(chosen) >= BATCH and total <= self.capacity:
                break
            if not entry.pins:
                chosen.append(entry)
                total -= entry.size
        return tuple(chosen) if total <= self.capacity else ()

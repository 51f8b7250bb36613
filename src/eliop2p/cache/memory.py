"""
The memory tier.
"""

from collections.abc import Callable, Iterator

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.cache.lru import Entry, LruOrder
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    ICacheBackendFactory,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import Span


@attrs.define(eq=False)
class MemoryEntry(Entry):
    """
    A chunk in memory.

    Attributes:
        data: Its content.
    """

    data: memoryview = attrs.field(kw_only=True, repr=False)


@implementer(IChunkHandle)
class MemoryHandle:
    """
    An open chunk of a :class:`MemoryBackend`.
    """

    def __init__(
        self, entry: MemoryEntry, closed: Callable[[MemoryEntry], None]
    ) -> None:
        self.length = entry.length
        self.digest = entry.digest
        self._entry: MemoryEntry | None = entry
        self._closed = closed

    def span(self, offset: int, limit: int) -> Span:
        """
        Give up to limit bytes from offset.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed")
        return self._entry.data[offset : offset + limit]

    def close(self) -> None:
        """
        Let go of the chunk.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed already")
        entry, self._entry = self._entry, None
        self._closed(entry)


@implementer(ICacheBackend)
class MemoryBackend:
    """
    Keeps the very buffers that chunks arrived in.

    The bytes of a chunk that was dropped while somebody has it open count until it is
    closed; the capacity is never exceeded.

    Attributes:
        open_handles: How many handles have not been closed.
    """

    def __init__(
        self, settings: BackendSettings, dropped: Callable[[ChunkId], None]
    ) -> None:
        self.open_handles = 0
        self._dropped = dropped
        self._order: LruOrder[MemoryEntry] = LruOrder(
            settings.capacity, settings.eviction_threshold, settings.eviction_target
        )

    def start(self) -> Deferred[None]:
        """
        There is nothing to find.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        There is nothing to finish.
        """
        return succeed(None)

    def contains(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether the chunk is held.
        """
        return self._order.get(chunk_id) is not None

    def digest_of(self, chunk_id: ChunkId) -> Digest | None:
        """
        Give the digest of a chunk that is held.
        """
        entry = self._order.get(chunk_id)
        return entry.digest if entry else None

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk.
        """
        entry = self._order.get(chunk_id)
        if entry is None:
            return succeed(None)
        self._order.touch(entry)
        self._order.pin(entry)
        self.open_handles += 1
        return succeed(MemoryHandle(entry, self._closed))

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Keep the view of a chunk.
        """
        present = self._order.get(chunk_id)
        if present is not None and present.digest == digest:
            self._order.touch(present)
            return succeed(True)
        gone = list(self._order.victims(len(data)))
        if present is not None and present not in gone:
            gone.append(present)
        for entry in gone:
            self._order.remove(entry)
        kept = self._order.fits(len(data))
        if kept:
            self._order.add(
                MemoryEntry(chunk_id, digest, len(data), len(data), data=data)
            )
        for entry in gone:
            if not self.contains(entry.chunk_id):
                self._dropped(entry.chunk_id)
        return succeed(kept)

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        Drop a chunk.
        """
        entry = self._order.get(chunk_id)
        if entry is not None:
            self._order.remove(entry)
        return succeed(entry is not None)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk held.
        """
        return iter([entry.chunk_id for entry in self._order])

    def usage(self) -> CacheUsage:
        """
        Tell how full the memory is.
        """
        return CacheUsage(self._order.used, self._order.capacity, len(self._order))

    def _closed(self, entry: MemoryEntry) -> None:
        self.open_handles -= 1
        self._order.unpin(entry)


@implementer(IPlugin, ICacheBackendFactory)
class MemoryFactory:
    """
    Makes the memory tier.
    """

    name = "memory"

    def make(
        self,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> ICacheBackend:
        """
        Make a backend; neither the worker nor the clock is needed.
        """
        del worker, clock
        return MemoryBackend(settings, dropped)

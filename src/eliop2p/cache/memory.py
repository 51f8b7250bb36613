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
from eliop2p.cache.holdings import Entry, Holdings
from eliop2p.cache.policies import make_holdings
from eliop2p.interfaces import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    ICacheBackendFactory,
    IChunkHandle,
    IChunksAtOnce,
    IChunkViews,
    IReplicaAware,
    ISmallChunks,
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


@implementer(ICacheBackend, IChunksAtOnce, IChunkViews, IReplicaAware, ISmallChunks)
class MemoryBackend:
    """
    Keeps the very buffers that chunks arrived in.

    The bytes of a chunk that was dropped while somebody has it open count until it is
    closed; the capacity is never exceeded.

    Attributes:
        open_handles: How many handles have not been closed.

    Args:
        settings: The bounds.
        clock: Tells uses apart.
        dropped: Told of chunks that are evicted.
    """

    def __init__(
        self,
        settings: BackendSettings,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> None:
        self.open_handles = 0
        self._dropped = dropped
        self._holdings: Holdings[MemoryEntry] = make_holdings(settings, clock.seconds)

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
        return self._holdings.get(chunk_id) is not None

    def digest_of(self, chunk_id: ChunkId) -> Digest | None:
        """
        Give the digest of a chunk that is held.
        """
        entry = self._holdings.get(chunk_id)
        return entry.digest if entry else None

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk.
        """
        return succeed(self.open_at_once(chunk_id))

    def open_at_once(self, chunk_id: ChunkId) -> IChunkHandle | None:
        """
        Open a chunk; none has to be waited for.
        """
        entry = self._holdings.use(chunk_id)
        if entry is None:
            return None
        self._holdings.pin(entry)
        self.open_handles += 1
        return MemoryHandle(entry, self._closed)

    def view(self, chunk_id: ChunkId, start: int, stop: int) -> Span | None:
        """
        Show a part of a chunk.
        """
        entry = self._holdings.use(chunk_id)
        return None if entry is None else entry.data[start:stop]

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        Give a small chunk.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None or len(entry.data) > limit:
            return None
        self._holdings.use(chunk_id)
        return bytes(entry.data), entry.digest

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Keep the view of a chunk.
        """
        present = self._holdings.get(chunk_id)
        if present is not None and present.digest == digest:
            self._holdings.touch(present)
            return succeed(True)
        gone = list(self._holdings.victims(len(data)))
        if present is not None and present not in gone:
            gone.append(present)
        for entry in gone:
            self._holdings.remove(entry)
        kept = self._holdings.fits(len(data))
        if kept:
            self._holdings.add(
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
        entry = self._holdings.get(chunk_id)
        if entry is not None:
            self._holdings.remove(entry)
        return succeed(entry is not None)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk held.
        """
        return iter([entry.chunk_id for entry in self._holdings])

    def usage(self) -> CacheUsage:
        """
        Tell how full the memory is.
        """
        return CacheUsage(
            self._holdings.used, self._holdings.capacity, len(self._holdings)
        )

    def note_replicas(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk.
        """
        self._holdings.note_replicas(chunk_id, replicas)

    def _closed(self, entry: MemoryEntry) -> None:
        self.open_handles -= 1
        self._holdings.unpin(entry)


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
        Make a backend; it needs no worker.
        """
        del worker
        return MemoryBackend(settings, clock, dropped)

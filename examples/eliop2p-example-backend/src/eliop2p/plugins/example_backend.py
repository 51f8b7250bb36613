"""
A cache backend that keeps chunks compressed in memory.
"""

import zlib
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
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
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest


@implementer(IChunkHandle)
class CompressedHandle:
    """
    An open chunk: its content, unpacked.
    """

    def __init__(
        self, entry: Entry, content: bytes, closed: Callable[[Entry], None]
    ) -> None:
        self.length = entry.length
        self.digest = entry.digest
        self._entry: Entry | None = entry
        self._content = memoryview(content)
        self._closed = closed

    def span(self, offset: int, limit: int) -> memoryview:
        """
        Give up to limit bytes from offset.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed")
        return self._content[offset : offset + limit]

    def close(self) -> None:
        """
        Let go of the chunk.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed already")
        entry, self._entry = self._entry, None
        self._content = memoryview(b"")
        self._closed(entry)


@implementer(ICacheBackend)
class CompressedBackend:
    """
    Chunks in a dictionary, compressed.
    """

    def __init__(
        self,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> None:
        self._worker = worker
        self._dropped = dropped
        self._packed: dict[ChunkId, bytes] = {}
        self._holdings: Holdings[Entry] = make_holdings(settings, clock.seconds)

    def start(self) -> Deferred[None]:
        """
        There is nothing to find: nothing outlives the process.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        There is nothing to finish.
        """
        return succeed(None)

    def contains(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether a chunk is held.
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
        Unpack a chunk.
        """
        entry = self._holdings.get(chunk_id)
        if entry is None:
            return succeed(None)
        self._holdings.touch(entry)
        # Its bytes count, and it is not given up, until the handle is closed.
        self._holdings.pin(entry)

        def opened(content: bytes) -> IChunkHandle:
            return CompressedHandle(entry, content, self._holdings.unpin)

        def failed(failure: Failure) -> Failure:
            self._holdings.unpin(entry)
            return failure

        unpacking = self._worker.run(zlib.decompress, self._packed[chunk_id])
        return unpacking.addCallbacks(opened, failed)

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        Keep a chunk.
        """

        def packed(content: bytes) -> bool:
            return self._keep(Entry(chunk_id, digest, len(data), len(content)), content)

        return self._worker.run(zlib.compress, data, 1).addCallback(packed)

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        Drop a chunk.
        """
        entry = self._holdings.get(chunk_id)
        if entry is not None:
            self._drop(entry)
        return succeed(entry is not None)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        Name every chunk that is held.
        """
        return iter([entry.chunk_id for entry in self._holdings])

    def usage(self) -> CacheUsage:
        """
        Tell how full the backend is.
        """
        held = self._holdings
        return CacheUsage(held.used, held.capacity, len(held))

    def _keep(self, entry: Entry, content: bytes) -> bool:
        earlier = self._holdings.get(entry.chunk_id)
        if earlier is not None:
            self._drop(earlier)
        for victim in self._holdings.victims(entry.size):
            self._drop(victim)
            self._dropped(victim.chunk_id)
        if not self._holdings.fits(entry.size):
            if earlier is not None:
                self._dropped(entry.chunk_id)
            return False
        self._holdings.add(entry)
        self._packed[entry.chunk_id] = content
        return True

    def _drop(self, entry: Entry) -> None:
        self._holdings.remove(entry)
        del self._packed[entry.chunk_id]


@implementer(IPlugin, ICacheBackendFactory)
class CompressedFactory:
    """
    Makes the backend, by the name that the configuration gives it.
    """

    name = "compressed"

    def make(
        self,
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> ICacheBackend:
        """
        Make a backend.
        """
        return CompressedBackend(settings, worker, clock, dropped)


compressed = CompressedFactory()

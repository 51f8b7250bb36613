"""
Takes chunks that have arrived to the tiers, and tells others of what they hold.
"""

from collections.abc import Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import (
    ICacheBackend,
    IChunkHandle,
    IChunkSource,
    IReplicaAware,
)
from eliop2p.model.chunk import ChunkId, Digest

_ANNOUNCED_AT_ONCE = 256
"""
How many of the chunks found at the start are announced in one turn of the reactor.
"""


class Keeper:
    """
    The tiers as one: a chunk is announced when the first of them takes it, and
    withdrawn when the last one drops it.

    Args:
        memory: The memory tier.
        disk: The disk tier, if there is one.
        source: Told what is held.
        clock: Spreads announcements over turns of the reactor.
    """

    def __init__(
        self,
        memory: ICacheBackend,
        disk: ICacheBackend | None,
        source: IChunkSource,
        clock: IReactorTime,
    ) -> None:
        self._tiers = {"memory": memory}
        if disk is not None:
            self._tiers["disk"] = disk
        self._memory = memory
        self._disk = disk
        self._source = source
        self._clock = clock
        self._stopped = False
        self._writing: set[ChunkId] = set()
        self._unwanted: set[ChunkId] = set()

    def start(self) -> Deferred[None]:
        """
        Start the tiers; what an earlier run left is announced afterwards.
        """
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """
        Stop the tiers.
        """
        return Deferred.fromCoroutine(self._stop())

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell which tier holds a chunk: ``memory``, ``disk``, or empty.
        """
        for name, tier in self._tiers.items():
            if tier.contains(chunk_id):
                return name
        return ""

    def holdings(self) -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name every chunk that is held, once.
        """
        for name, tier in self._tiers.items():
            for chunk_id in tier.chunk_ids():
                digest = tier.digest_of(chunk_id)
                if digest is not None and self.where(chunk_id) == name:
                    yield chunk_id, digest

    def to_memory(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[IChunkHandle | None]:
        """
        Offer a chunk to the memory tier.

        Returns:
            A handle, by which the tier goes on counting its bytes; None when the tier
            did not take it.
        """
        return Deferred.fromCoroutine(self._to_memory(chunk_id, data, digest))

    def to_disk(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[None]:
        """
        Offer a chunk to the disk tier; done when it is written.
        """
        return Deferred.fromCoroutine(self._to_disk(chunk_id, data, digest))

    def note_replicas(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk, at least.
        """
        for tier in self._tiers.values():
            aware = IReplicaAware(tier, None)
            if aware is not None:
                aware.note_replicas(chunk_id, replicas)

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Take a chunk out of every tier, one that is just being written included.
        """
        return Deferred.fromCoroutine(self._drop(chunk_id))

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        A tier has let go of a chunk.
        """
        if not self.where(chunk_id):
            self._source.withdraw(chunk_id)

    async def _start(self) -> None:
        for tier in self._tiers.values():
            await tier.start()
        self._announce_some(self.holdings())

    async def _stop(self) -> None:
        self._stopped = True
        for tier in self._tiers.values():
            await tier.stop()

    def _announce_some(self, found: Iterator[tuple[ChunkId, Digest]]) -> None:
        if self._stopped:
            return
        some = tuple(islice(found, _ANNOUNCED_AT_ONCE))
        for chunk_id, digest in some:
            self._source.announce(chunk_id, digest)
        if some:
            self._clock.callLater(0, self._announce_some, found)

    async def _to_memory(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> IChunkHandle | None:
        known = self.where(chunk_id)
        if not await self._memory.put(chunk_id, data, digest):
            return None
        handle = await self._memory.open(chunk_id)
        if handle is not None and not known:
            self._source.announce(chunk_id, digest)
        return handle

    async def _to_disk(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> None:
        if self._disk is None or chunk_id in self._writing:
            return
        self._writing.add(chunk_id)
        try:
            kept = await self._disk.put(chunk_id, data, digest)
        finally:
            self._writing.discard(chunk_id)
            unwanted = chunk_id in self._unwanted
            self._unwanted.discard(chunk_id)
        if unwanted:
            await self._disk.remove(chunk_id)
        elif kept and not self._memory.contains(chunk_id):
            self._source.announce(chunk_id, digest)

    async def _drop(self, chunk_id: ChunkId) -> None:
        if chunk_id in self._writing:
            self._unwanted.add(chunk_id)
        removed = [await tier.remove(chunk_id) for tier in self._tiers.values()]
        if any(removed):
            self.dropped(chunk_id)

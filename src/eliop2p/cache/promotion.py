"""
Brings chunks that are used again from disk to memory.
"""

import os

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.cache.admission import WINDOW, Residence, SecondUse
from eliop2p.cache.buffer import digest_of
from eliop2p.cache.keeper import Keeper
from eliop2p.cache.memory_pages import allocate
from eliop2p.cache.room import Room
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import ICacheBackend, IChunkHandle, IWorker
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import FileSpan, Span

_log = Logger()


def _copy(spans: list[Span], target: memoryview) -> Digest:
    """
    Read a chunk into memory; what cannot be read makes the digest a wrong one.
    """
    position = 0
    for span in spans:
        stop = position + len(span)
        if isinstance(span, FileSpan):
            _read_file(span, target[position:stop])
        else:
            target[position:stop] = span
        position = stop
    return digest_of(target)


def _read_file(span: FileSpan, target: memoryview) -> None:
    position = 0
    while position < span.length:
        count = os.preadv(span.fd, [target[position:]], span.offset + position)
        if not count:
            return
        position += count


class Promotion:
    """
    Offers a chunk of the disk tier to memory on its second use, if it is used more
    often than memory forgets.

    Never makes a reader wait, and gives way to chunks in flight: without room for a
    copy the chunk stays where it is.

    Args:
        keeper: The tiers.
        disk: The disk tier.
        worker: Where chunks are read.
        clock: Tells how long ago the first use was.
        room: Bounds the bytes that are copied at one time.
    """

    def __init__(
        self,
        keeper: Keeper,
        disk: ICacheBackend,
        worker: IWorker,
        clock: IReactorTime,
        room: Room,
    ) -> None:
        self._keeper = keeper
        self._disk = disk
        self._worker = worker
        self._clock = clock
        self._room = room
        self._uses = SecondUse()
        self._residence = Residence()
        self._coming: set[ChunkId] = set()
        self._tasks = Tasks()

    def used(self, chunk_id: ChunkId, length: int) -> None:
        """
        Note that a chunk was read from the disk tier.
        """
        now = self._clock.seconds()
        window = min(WINDOW, self._residence.time(now))
        again = self._uses.seen(chunk_id, now, window)
        if not again or chunk_id in self._coming:
            return
        if self._room.try_acquire(length):
            self._coming.add(chunk_id)
            bringing = self._tasks.run(self._bring(chunk_id, length))
            bringing.addErrback(self._failed)

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Note that memory has let go of a chunk.
        """
        self._residence.left(chunk_id, self._clock.seconds())

    def stop(self) -> Deferred[None]:
        """
        Wait until nothing is being copied.
        """
        return self._tasks.idle()

    async def _bring(self, chunk_id: ChunkId, length: int) -> None:
        try:
            handle = await self._disk.open(chunk_id)
            if handle is not None:
                try:
                    await self._copy(chunk_id, handle)
                finally:
                    handle.close()
        finally:
            self._coming.discard(chunk_id)
            self._room.release(length)

    async def _copy(self, chunk_id: ChunkId, handle: IChunkHandle) -> None:
        spans: list[Span] = []
        position = 0
        while position < handle.length:
            spans.append(handle.span(position, handle.length - position))
            position += len(spans[-1])
        data = allocate(handle.length)
        if await self._worker.run(_copy, spans, data) != handle.digest:
            return
        if self._disk.digest_of(chunk_id) != handle.digest:
            return  # Dropped meanwhile, perhaps because the store disowns it.
        kept = await self._keeper.to_memory(chunk_id, data.toreadonly(), handle.digest)
        if kept is not None:
            self._residence.came(chunk_id, self._clock.seconds())
            kept.close()

    def _failed(self, failure: Failure) -> None:
        _log.failure("cannot bring a chunk from disk to memory", failure)

"""
Objects dropped because an operator says so.
"""

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from eliop2p.admin.evict import Evicted
from eliop2p.base.errors import RemoteProtocolError
from eliop2p.interfaces import IHeldChunks, IRecordStore, IWorker
from eliop2p.model.chunk import Chunk, Layout, ObjectId
from eliop2p.model.record import decode_record
from eliop2p.proxy.records import Records

_AT_ONCE = 256
"""
How many records are looked at in one go.
"""

_CHUNKS_AT_ONCE = 1024
"""
How many chunks are named in one go: each costs a hash.
"""

_MOST_CHUNKS = 1 << 24
"""
The most chunks that an object can have: more than the largest object of any store.
"""

_log = Logger()


def _some_chunks(layout: Layout, indexes: Iterable[int]) -> list[Chunk]:
    return [layout.chunk(index) for index in indexes]


def _layout_of(record: bytes) -> Layout | None:
    """
    Tell which chunks a record is about; None when it cannot be read.
    """
    try:
        layout = decode_record(record).layout
    except RemoteProtocolError:
        return None
    return layout if layout.count <= _MOST_CHUNKS else None


class Eviction:
    """
    Drops objects from this node, and tells the cluster that their records are in doubt.
    What other nodes hold stays there.

    Args:
        store: Finds the records of objects by name.
        records: Forgets them.
        chunks: The chunks held.
        worker: Where chunks are named.
    """

    def __init__(
        self,
        store: IRecordStore,
        records: Records,
        chunks: IHeldChunks,
        worker: IWorker,
    ) -> None:
        self._store = store
        self._records = records
        self._chunks = chunks
        self._worker = worker

    def evict(self, bucket: bytes, prefix: bytes) -> Deferred[Evicted]:
        """
        Drop the objects of a bucket whose keys begin with a prefix, as far as their
        records are remembered.
        """
        return Deferred.fromCoroutine(self._evict(bucket, prefix))

    async def _evict(self, bucket: bytes, prefix: bytes) -> Evicted:
        seen: set[ObjectId] = set()
        layouts: set[Layout] = set()
        chunks = size = 0
        while True:
            page = await self._store.below(bucket, prefix, _AT_ONCE)
            fresh = [found for found in page if found[0] not in seen]
            if not fresh:
                break
            for record_id, record in fresh:
                seen.add(record_id)
                layout = _layout_of(record)
                if layout is not None and layout not in layouts:
                    layouts.add(layout)
                    dropped = await self._drop(layout)
                    chunks += len(dropped)
                    size += sum(chunk.length for chunk in dropped)
                await self._records.forget(record_id)
        done = Evicted(len({layout.key for layout in layouts}), chunks, size)
        _log.info(
            "Evicted {objects} objects of {bucket}: {chunks} chunks, {bytes} bytes",
            bucket=bucket.decode("utf-8", "replace"),
            objects=done.objects,
            chunks=done.chunks,
            bytes=done.bytes,
        )
        return done

    async def _drop(self, layout: Layout) -> list[Chunk]:
        """
        Drop what is held of an object.
        """
        dropped = []
        for start in range(0, layout.count, _CHUNKS_AT_ONCE):
            some = range(start, min(start + _CHUNKS_AT_ONCE, layout.count))
            for chunk in await self._worker.run(_some_chunks, layout, some):
                held = self._chunks.where(chunk.id)
                # Also one that is just being written, or not whole.
                await self._chunks.drop(chunk.id)
                if held:
                    dropped.append(chunk)
        return dropped

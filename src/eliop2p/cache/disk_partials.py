"""
The partial chunks of the disk tier.
"""

import errno
from collections.abc import Sequence

import attrs
from twisted.internet.defer import DeferredLock, DeferredSemaphore

from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.files import Begun, ChunkFiles
from eliop2p.cache.partial_files import FoundPartials, PartialFiles, Piece
from eliop2p.cache.partial_layout import (
    MOST_RECORDS,
    PartialName,
    Record,
    Standing,
    bytes_taken,
    to_give_up,
)
from eliop2p.interfaces import IWorker, PartialChunk
from eliop2p.model.chunk import Chunk, ChunkId
from eliop2p.model.ranges import Extents, Interval

SHARE = 8
"""
Partial chunks take at most this part of the capacity.
"""

MOST = 4096
"""
How many partial chunks there are at most.
"""

_WRITERS = 2
"""
How many threads may wait for the disk because of them: others serve hits.
"""


@attrs.define(eq=False)
class _Entry:
    """
    One partial chunk.

    Attributes:
        name: Its file.
        records: What is listed there.
        extents: The bytes that are listed.
        vouched: Those of them that came from the store.
        checked: Those of them that this process has written, or read and found right.
        size: Bytes counted for it.
        used: When it was used last, in uses of all.
        lock: Held by whoever touches the file.
        gone: Whether it is no longer ours to touch.
    """

    name: PartialName
    records: list[Record] = attrs.field(factory=list)
    extents: Extents = attrs.field(factory=Extents)
    vouched: Extents = attrs.field(factory=Extents)
    checked: Extents = attrs.field(factory=Extents)
    size: int = 0
    used: int = 0
    lock: DeferredLock = attrs.field(factory=DeferredLock)
    gone: bool = False

    def list(self, records: Sequence[Record]) -> None:
        """
        Take note of what the file lists.
        """
        for record in records:
            self.records.append(record)
            self.extents.add(record.extent.start, record.extent.stop)
            if record.from_store:
                self.vouched.add(record.extent.start, record.extent.stop)


class Partials:
    """
    Chunks of which a part is on the disk, within a part of the tier's capacity.

    Args:
        files: The directory.
        shelf: Counts bytes, and is told when the disk fails.
        worker: Where files are touched.
        capacity: The bytes of the whole tier.
    """

    def __init__(
        self, files: ChunkFiles, shelf: Shelf, worker: IWorker, capacity: int
    ) -> None:
        self.files = PartialFiles(files)
        self._shelf = shelf
        self._worker = worker
        self._limit = capacity // SHARE
        self._entries: dict[ChunkId, _Entry] = {}
        self._leaving: set[ChunkId] = set()
        self._total = 0
        self._uses = 0
        self._writers = DeferredSemaphore(_WRITERS)

    def __len__(self) -> int:
        return len(self._entries)

    def found(self, found: FoundPartials) -> None:
        """
        Take what is there for what there is.
        """
        for entry in self._entries.values():
            entry.gone = True
            self._count(entry, 0)
        self._entries.clear()
        for partial in found.partials:
            entry = _Entry(partial.name)
            entry.list(partial.records)
            self._entries[partial.name.chunk_id] = entry
            self._count(entry, partial.size)
            self._touch(entry)

    async def settle(self) -> None:
        """
        Give up what an earlier process was allowed and this one is not.
        """
        await self._make_room(0, None)

    def extents_of(self, chunk_id: ChunkId) -> tuple[Interval, ...]:
        """
        Tell which bytes from the store are listed.
        """
        entry = self._entries.get(chunk_id)
        return tuple(entry.vouched) if entry else ()

    async def load(self, chunk_id: ChunkId) -> PartialChunk | None:
        """
        Read what is listed. When some of it is damaged the file is removed: whoever
        has read the rest may keep it anew.
        """
        entry = self._entries.get(chunk_id)
        if entry is None:
            return None
        self._touch(entry)
        await entry.lock.acquire()
        try:
            if entry.gone:
                return None
            records = tuple(entry.records)
            good = await self._worker.run(self.files.load, entry.name, records)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._shelf.health.failed(error)
            good = ()
        finally:
            entry.lock.release()
        for record, _ in good:
            entry.checked.add(record.extent.start, record.extent.stop)
        if len(good) < len(records):
            await self._give_up(entry)
        if not good:
            return None
        return PartialChunk(
            *(
                tuple(
                    (r.extent.start, data) for r, data in good if r.from_store is kind
                )
                for kind in (True, False)
            )
        )

    async def checkpoint(
        self, chunk: Chunk, pieces: Sequence[Piece], *, from_store: bool
    ) -> bool:
        """
        Write bytes and list them.
        """
        if chunk.id in self._leaving:
            return False
        entry = self._entries.get(chunk.id)
        if entry is None:
            entry = _Entry(PartialName(chunk.id, chunk.length))
            self._entries[chunk.id] = entry
        self._touch(entry)
        await self._writers.acquire()
        try:
            await entry.lock.acquire()
            try:
                kept = await self._checkpoint(entry, pieces, from_store=from_store)
            finally:
                entry.lock.release()
        finally:
            self._writers.release()
        if not (kept or entry.records):
            await self._give_up(entry)
        return kept

    async def take(self, chunk_id: ChunkId, length: int) -> "Taken | None":
        """
        Hand over the file of a chunk that is whole now; its bytes count until
        :meth:`Taken.done`.
        """
        entry = self._entries.get(chunk_id)
        if entry is None:
            return None
        self._drop(entry)
        await entry.lock.acquire()
        entry.lock.release()
        if entry.name.length != length:
            await self.remove_file(entry)
            return None
        return Taken(self, entry)

    async def discard(self, chunk_id: ChunkId) -> None:
        """
        Drop what there is of a chunk.
        """
        entry = self._entries.get(chunk_id)
        if entry is not None:
            await self._give_up(entry)

    async def give_up_all(self) -> bool:
        """
        Drop everything: there is no other room left.

        Returns:
            Whether that has freed anything.
        """
        before = self._total
        for entry in tuple(self._entries.values()):
            await self._give_up(entry)
        return self._total < before

    # --- inside

    async def _checkpoint(
        self, entry: _Entry, pieces: Sequence[Piece], *, from_store: bool
    ) -> bool:
        extents = [Interval(start, start + len(data)) for start, data in pieces]
        count = len(entry.records)
        if entry.gone or count + len(pieces) > MOST_RECORDS:
            return False
        size = bytes_taken([*entry.extents, *extents], count + len(pieces))
        more = max(0, size - entry.size)
        if not await self._make_room(more, entry):
            return False
        try:
            records = await self._worker.run(
                lambda: self.files.write(
                    entry.name, count, pieces, from_store=from_store
                )
            )
        except OSError as error:
            self._failed(error)
            self._drop(entry)
            await self.remove_file(entry)
            return False
        entry.list(records)
        for extent in extents:
            entry.checked.add(extent.start, extent.stop)
        return True

    async def _make_room(self, amount: int, growing: _Entry | None) -> bool:
        """
        Reserve bytes, giving up other partial chunks, then whole ones.
        """
        excess = max(0, self._total + amount - self._limit)
        if excess or len(self._entries) > MOST:
            others = [each for each in self._entries.values() if each is not growing]
            chosen = to_give_up(map(self._standing, others), max(excess, 1))
            if excess and not chosen:
                return False
            for chunk_id in chosen:
                await self._give_up(self._entries[chunk_id])
        if growing is None or not amount:
            return True
        self._total += amount
        if await self._shelf.make_way(amount):
            growing.size += amount
            return not growing.gone
        self._total -= amount
        return False

    def _standing(self, entry: _Entry) -> Standing:
        part = entry.extents.total / entry.name.length
        return Standing(entry.name.chunk_id, entry.size, part, entry.used)

    def _failed(self, error: OSError) -> None:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            self._shelf.health.short(error)
        else:
            self._shelf.health.failed(error)

    async def _give_up(self, entry: _Entry) -> None:
        if entry.gone:
            return
        self._drop(entry)
        await entry.lock.acquire()
        entry.lock.release()
        await self.remove_file(entry)

    def _drop(self, entry: _Entry) -> None:
        entry.gone = True
        if self._entries.get(entry.name.chunk_id) is entry:
            del self._entries[entry.name.chunk_id]
            self._leaving.add(entry.name.chunk_id)

    async def remove_file(self, entry: _Entry) -> None:
        """
        Remove a file that nobody writes to.
        """
        error = await self._worker.run(self.files.remove, entry.name)
        self._leaving.discard(entry.name.chunk_id)
        if error is not None:
            # It is there all the same, and counts until the directory is listed again.
            self._shelf.health.failed(error)
            return
        self._count(entry, 0)

    def _count(self, entry: _Entry, size: int) -> None:
        self._shelf.holdings.reserve(size - entry.size)
        self._total += size - entry.size
        entry.size = size

    def _touch(self, entry: _Entry) -> None:
        self._uses += 1
        entry.used = self._uses

    def counted_out(self, entry: _Entry) -> None:
        """
        Count the bytes of a file no more.
        """
        self._leaving.discard(entry.name.chunk_id)
        self._count(entry, 0)


class Taken:
    """
    The file of a partial chunk, on its way to being that of a whole one.

    Attributes:
        begun: What there is.
    """

    def __init__(self, partials: Partials, entry: _Entry) -> None:
        self.begun = Begun(entry.name, entry.checked)
        self._partials = partials
        self._entry = entry

    async def done(self, *, kept: bool) -> None:
        """
        Count its bytes no more.

        Args:
            kept: Whether it has become a chunk; if not it is removed.
        """
        if kept:
            self._partials.counted_out(self._entry)
        else:
            await self._partials.remove_file(self._entry)

"""
The order in which chunks were used, kept across restarts.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from eliop2p.cache.disk_handle import DiskEntry
from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import BLOCK, RECENT_FILE, RECENT_OLD_FILE, size_on_disk
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import ChunkId

_log = Logger()

RECORD = 33
"""
Bytes of a record: a chunk id and how often it had been used, 0 to 255.
"""

MOST_PENDING = 4096
FLUSH_SECONDS = 5.0

_SHARE = 256
"""
The log takes at most this part of the capacity, twice.
"""

_FEWEST_RECORDS = 65_536


@attrs.frozen
class LogSizes:
    """
    Lengths of the two files, in bytes.
    """

    recent: int
    old: int

    @property
    def on_disk(self) -> int:
        """
        Bytes that they take.
        """
        return size_on_disk(self.recent) + size_on_disk(self.old)


class RecentFiles:
    """
    The log: one file that grows, and the one before it. Blocks.

    A record says something about a chunk that it had better be true of, and no more:
    whatever else is in the files does no harm.

    Args:
        files: The directory.
    """

    def __init__(self, files: ChunkFiles) -> None:
        self._files = files
        self._recent = files.root / RECENT_FILE
        self._old = files.root / RECENT_OLD_FILE

    def sizes(self) -> LogSizes:
        """
        Give the lengths of the files.
        """
        return LogSizes(_size(self._recent), _size(self._old))

    def append(self, position: int, records: bytes) -> None:
        """
        Write records where the last ones end.
        """
        self._files.check_there()
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self._recent, flags, 0o600)
        try:
            os.pwrite(fd, records, position)
        finally:
            os.close(fd)

    def rotate(self) -> None:
        """
        Begin a new file, and drop the one before the last.
        """
        self._recent.replace(self._old)

    def remove(self) -> None:
        """
        Remove both.
        """
        self._recent.unlink(missing_ok=True)
        self._old.unlink(missing_ok=True)

    def load(self) -> bytes:
        """
        Read all records, oldest first.
        """
        found = b""
        for path in (self._old, self._recent):
            if path.exists():
                data = path.read_bytes()
                found += data[: len(data) // RECORD * RECORD]
        return found


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


class Recency:
    """
    Remembers which chunks were used last; bounded, and forgetful when it may be.

    Args:
        files: The directory.
        shelf: Counts the bytes of the log.
        worker: Where it is written.
        clock: Says when.
    """

    def __init__(
        self, files: ChunkFiles, shelf: Shelf, worker: IWorker, clock: IReactorTime
    ) -> None:
        self.files = RecentFiles(files)
        self._shelf = shelf
        self._worker = worker
        self._clock = clock
        self._pending: dict[ChunkId, int] = {}
        self._sizes = LogSizes(0, 0)
        self._open = False
        self._due: IDelayedCall | None = None
        self._tasks = Tasks()
        self._most = shelf.holdings.capacity // _SHARE

    def moved(self, sizes: LogSizes) -> None:
        """
        Take over the files that are there; what is noted waits until they are read.
        """
        self._count(sizes)

    def touch(self, entry: DiskEntry) -> None:
        """
        Count a use of a chunk, and take note of it if it counts.
        """
        counted = entry.counted
        self._shelf.holdings.touch(entry)
        if entry.counted != counted:
            entry.uses += 1
            self.note(entry.chunk_id, entry.uses)

    def note(self, chunk_id: ChunkId, uses: int) -> None:
        """
        Take note that a chunk came or was used.
        """
        if self._most < BLOCK:
            return
        self._pending.pop(chunk_id, None)
        self._pending[chunk_id] = min(uses, 255)
        if len(self._pending) > 2 * MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        if self._open and not self._tasks.running:
            if len(self._pending) >= MOST_PENDING:
                self._begin_flush()
            elif self._due is None:
                self._due = self._clock.callLater(FLUSH_SECONDS, self._begin_flush)

    async def load(self) -> Iterator[tuple[ChunkId, int]]:
        """
        Read what an earlier process wrote down, and begin to write.

        Returns:
            Chunks with the number of their uses, oldest first, some more than once;
            those that have been used since are left out.
        """
        data = b""
        try:
            if self._sizes.on_disk <= 2 * self._limit():
                data = await self._worker.run(self.files.load)
            else:
                await self._worker.run(self.files.remove)
                self._count(LogSizes(0, 0))
        except OSError as error:
            _log.warn("disk cache: order of use: {error}", error=error)
        self._open = True
        return self._parse(data)

    async def close(self) -> None:
        """
        Write down what is left.
        """
        await self._tasks.idle()
        if self._open:
            await self._flush()
        self._open = False

    def _parse(self, data: bytes) -> Iterator[tuple[ChunkId, int]]:
        for position in range(0, len(data), RECORD):
            chunk_id = ChunkId(data[position : position + RECORD - 1])
            if chunk_id not in self._pending:
                yield chunk_id, data[position + RECORD - 1]

    def _limit(self) -> int:
        chunks = len(self._shelf.holdings)
        return min(self._most, max(_FEWEST_RECORDS, chunks) * RECORD)

    def _begin_flush(self) -> None:
        if not self._tasks.running:
            self._tasks.run(self._flush())

    async def _flush(self) -> None:
        due, self._due = self._due, None
        if due is not None and due.active():
            due.cancel()
        pending, self._pending = self._pending, {}
        records = b"".join(
            chunk_id + bytes((uses,)) for chunk_id, uses in pending.items()
        )
        if not records or self._shelf.health.trouble:
            return
        try:
            await self._write(records)
        except OSError as error:
            _log.warn("disk cache: order of use: {error}", error=error)

    async def _write(self, records: bytes) -> None:
        limit = self._limit() // RECORD * RECORD
        records = records[-limit:]
        if self._sizes.recent + len(records) > limit:
            await self._worker.run(self.files.rotate)
            self._count(LogSizes(0, self._sizes.recent))
        position = self._sizes.recent // RECORD * RECORD
        sizes = LogSizes(position + len(records), self._sizes.old)
        growth = sizes.on_disk - self._sizes.on_disk
        if not await self._shelf.reserve(growth):
            return
        self._sizes = sizes
        await self._worker.run(self.files.append, position, records)

    def _count(self, sizes: LogSizes) -> None:
        self._shelf.holdings.reserve(sizes.on_disk - self._sizes.on_disk)
        self._sizes = sizes

"""
The blocking half of the LMDB tier: every call into the library.
"""

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import lmdb
from blake3 import blake3
from twisted.logger import Logger

from eliop2p.base.errors import CorruptChunk, LocalProtocolError
from eliop2p.cache.lmdb_files import FIXED, LmdbFiles
from eliop2p.cache.lmdb_rows import (
    PIECE_KEY,
    Row,
    Tables,
    believed_size,
    open_tables,
    parse_row,
)

_log = Logger()

SMALLEST = 512 * 1024
"""
The fewest bytes that a file is worth having.
"""

_MARGIN = 192 * 1024
"""
Bytes that transactions need besides those of the chunks.
"""

_SUSPECT_DEATHS = 3
"""
After how many deaths in a row a file is read through before it is used.
"""

_CHECK_SECONDS = 600
_DAMAGE = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.PanicError)
_USELESS = (*_DAMAGE, lmdb.InvalidError, lmdb.VersionMismatchError)


@attrs.frozen
class Keep:
    """
    A chunk to be written, in place of whatever has its name.
    """

    row: Row
    data: memoryview


@attrs.frozen
class Drop:
    """
    A chunk to be removed, unless its name has come to mean another.
    """

    row: Row


Change = Keep | Drop


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except lmdb.MapFullError as error:
        raise OSError(errno.ENOSPC, "its file is full") from error
    except lmdb.Error as error:
        raise OSError(errno.EIO, str(error)) from error


class LmdbStore:
    """
    Chunks in one file. Reads may run side by side, in any thread; changes, opening and
    closing one at a time.

    Args:
        files: The directory, claimed.
        capacity: Bytes that the directory may take.
        min_free: Bytes that its file system must keep free.
    """

    def __init__(self, files: LmdbFiles, capacity: int, min_free: int) -> None:
        self._files = files
        self._capacity = capacity
        self._min_free = min_free
        self._tables: Tables | None = None
        self._inode = 0
        self._size = 0
        self._bumps = 0
        self._damaged = False
        self._map_size = 0

    @property
    def path(self) -> Path:
        """
        Where the file is.
        """
        return self._files.chunks

    @property
    def room(self) -> int:
        """
        Bytes that chunks may take, as :meth:`size_of` counts them: less than the file
        may have, since what is replaced or freed can only be used again two
        transactions later.
        """
        return self._map_size - self._map_size // 32 - _MARGIN

    def open(self) -> list[Row]:
        """
        Open the file, or begin a new one when it cannot be believed.

        Returns:
            What it holds, in the order in which it came.

        Raises:
            OSError: It cannot be used.
        """
        page = 4096
        room = self._capacity - FIXED - self._files.others()
        self._map_size = room // page * page
        if self._map_size < SMALLEST:
            raise OSError(errno.ENOSPC, "other files leave no room in its directory")
        reason = self._why_not()
        if reason:
            self._begin_anew(reason)
        with _as_os_error():
            return self._open()

    def read(self, row: Row) -> memoryview:
        """
        Copy a chunk out of the file: nothing in the file is held by whoever has it.

        Raises:
            CorruptChunk: It has another content than its digest says, or is not there.
            OSError: It cannot be read.
        """
        tables = self._checked_tables()
        content = bytearray(row.length)
        with self._watched(), tables.environment.begin(buffers=True) as transaction:
            position = 0
            cursor = transaction.cursor(tables.pieces)
            if cursor.set_range(PIECE_KEY.pack(row.serial, 0)):
                for key, piece in cursor.iternext():
                    end = position + len(piece)
                    if PIECE_KEY.unpack(key)[0] != row.serial or end > row.length:
                        break
                    content[position:end] = piece
                    position = end
        if blake3(content).digest() != row.digest:
            raise CorruptChunk(f"chunk {row.chunk_id.hex()} has another content")
        return memoryview(content).toreadonly()

    def apply(self, changes: Sequence[Change]) -> None:
        """
        Make changes, all or none.

        Raises:
            OSError: None was made.
        """
        tables = self._checked_tables()
        self._check_free(changes)
        try:
            with self._watched():
                self._write(tables, changes)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # Pages that were freed last can only be used after one more commit.
            with self._watched():
                self._bump(tables)
                self._write(tables, changes)
        self._size = self._extended(tables)

    def _check_free(self, changes: Sequence[Change]) -> None:
        """
        Leave the file system its share, unless the file cannot grow any more.
        """
        if not self._min_free or self._size >= self._map_size:
            return
        needed = sum(
            self.size_of(change.row.length)
            for change in changes
            if isinstance(change, Keep)
        )
        found = os.statvfs(self._files.root)
        if needed and found.f_bavail * found.f_frsize < self._min_free + needed:
            raise OSError(
                errno.ENOSPC,
                f"its file system has less than {self._min_free >> 20} MiB free "
                "(min_free_mb)",
            )

    def size_of(self, length: int) -> int:
        """
        Estimate the bytes of the file that a chunk takes.
        """
        return self._opened().size_of(length)

    def close(self) -> None:
        """
        Write everything to the disk, close the file in good order and let others have
        it.
        """
        if self._tables is not None:
            written = not self._damaged
            try:
                self._tables.environment.sync(True)
            except lmdb.Error:
                written = False
            self._close()
            if written:
                self._files.closed()
        self._files.release()

    def abandon(self) -> None:
        """
        Let go of the file as the end of the process would.
        """
        self._close()
        self._files.release()

    def _close(self) -> None:
        tables, self._tables = self._tables, None
        if tables is not None:
            tables.environment.close()

    def _why_not(self) -> str:
        """
        Tell why the file must not be used, if so.
        """
        try:
            size = self._files.chunks.stat().st_size
        except FileNotFoundError:
            return ""
        if not self._files.believed:
            return "it was in use when the machine went down, or is damaged"
        if size > self._map_size:
            return "it is larger than it may be now"
        if self._files.deaths >= _SUSPECT_DEATHS and not self._is_whole():
            return "it is damaged"
        return ""

    def _is_whole(self) -> bool:
        """
        Have the file read through.
        """
        command = [sys.executable, "-m", "eliop2p.cache.lmdb_check"]
        try:
            done = subprocess.run(  # noqa: S603 - Our own module and file.
                [*command, str(self._files.chunks)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode == 0:
            self._files.checked()
        return done.returncode == 0

    def _begin_anew(self, reason: str) -> None:
        _log.warn(
            "disk cache {path}: {reason}; beginning anew",
            path=str(self._files.chunks),
            reason=reason,
        )
        self._files.discard()
        self._files.checked()

    def _open(self) -> list[Row]:
        try:
            return self._open_file()
        except _USELESS as error:
            self._close()
            self._begin_anew(str(error))
            return self._open_file()

    def _open_file(self) -> list[Row]:
        tables = open_tables(self._files.chunks, map_size=self._map_size)
        self._tables = tables
        status = self._files.chunks.stat()
        self._inode, self._size = status.st_ino, status.st_size
        return self._rows(tables)

    def _extended(self, tables: Tables) -> int:
        """
        Make the file as long as LMDB believes it to be, and give its length: pages at
        its end that were never needed are not written, and would look cut off.
        """
        believed = believed_size(tables.environment)
        size = self._files.chunks.stat().st_size
        if size < believed:
            os.truncate(self._files.chunks, believed)
        return max(size, believed)

    def _rows(self, tables: Tables) -> list[Row]:
        with tables.environment.begin() as transaction:
            rows = [
                row
                for key, value in transaction.cursor(tables.index).iternext()
                if (row := parse_row(key, value)) is not None
            ]
        rows.sort(key=lambda row: row.serial)
        return rows

    def _opened(self) -> Tables:
        if self._tables is None:
            raise LocalProtocolError("the file is not open")
        return self._tables

    def _checked_tables(self) -> Tables:
        """
        Make sure that the file is there and as long as it was: to read beyond its end
        would end the process.
        """
        tables = self._opened()
        status = self._files.chunks.stat()
        if status.st_ino != self._inode or status.st_size < self._size:
            self._damaged = True
            raise OSError(errno.EIO, "its file has been cut or replaced")
        return tables

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """
        Remember damage for the next start.
        """
        with _as_os_error():
            try:
                yield
            except _DAMAGE:
                self._damaged = True
                self._files.disbelieve()
                raise

    def _write(self, tables: Tables, changes: Sequence[Change]) -> None:
        with tables.environment.begin(write=True) as transaction:
            for change in changes:
                self._drop(transaction, tables, change)
                if isinstance(change, Keep):
                    self._keep(transaction, tables, change)

    def _drop(
        self, transaction: lmdb.Transaction, tables: Tables, change: Change
    ) -> None:
        row = change.row
        value = transaction.get(row.chunk_id, db=tables.index)
        present = parse_row(row.chunk_id, bytes(value)) if value else None
        if present is None:
            return
        if isinstance(change, Drop) and present.serial != row.serial:
            return
        transaction.delete(row.chunk_id, db=tables.index)
        for ordinal in range(present.length // tables.unit + 1):
            key = PIECE_KEY.pack(present.serial, ordinal)
            transaction.delete(key, db=tables.pieces)

    def _keep(
        self, transaction: lmdb.Transaction, tables: Tables, change: Keep
    ) -> None:
        row, data = change.row, change.data
        transaction.put(row.chunk_id, row.value, db=tables.index)
        for ordinal, start in enumerate(range(0, row.length, tables.unit)):
            piece = data[start : start + tables.unit]
            key = PIECE_KEY.pack(row.serial, ordinal)
            transaction.put(key, piece, db=tables.pieces)

    def _bump(self, tables: Tables) -> None:
        self._bumps += 1
        with tables.environment.begin(write=True) as transaction:
            transaction.put(b"bump", b"%d" % self._bumps)

"""
Small records that survive a restart.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.interfaces import IRecordStore, IWorker
from eliop2p.model.chunk import ObjectId
from eliop2p.model.record import decode_record

_log = Logger()

_PENDING_USES = 256
"""
How many uses are remembered before they are written down together.
"""

_Action = Callable[[sqlite3.Connection], None]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    object_id BLOB PRIMARY KEY,
    record BLOB NOT NULL,
    used INTEGER NOT NULL,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_use ON objects (used);
CREATE INDEX IF NOT EXISTS objects_by_name ON objects (bucket, key);
"""


def _name_of(record: bytes) -> tuple[bytes, bytes]:
    """
    Read the bucket and the key that a record is of; empty when it is unreadable.
    """
    try:
        key = decode_record(record).key
    except RemoteProtocolError:
        return b"", b""
    return key.bucket, key.key


def _behind(prefix: bytes) -> bytes:
    """
    Give the first key behind all those that begin with a prefix; empty for none.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b""


class _Table:
    """
    The database, for use in worker threads: one connection, one thread at a time.

    Order of use is a number that grows, so that no clock is needed.
    """

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._uses: dict[bytes, int] = {}
        self._next_use = 0
        self._count = 0
        self._closed = False
        self._complained = False

    def get(self, object_id: bytes) -> bytes | None:
        """
        Give a record and remember its use; None when it cannot be read.
        """
        found: list[bytes] = []

        def read(connection: sqlite3.Connection) -> None:
            query = "SELECT record FROM objects WHERE object_id = ?"
            for (record,) in connection.execute(query, (object_id,)):
                found.append(bytes(record))
            if found:
                self._next_use += 1
                self._uses[object_id] = self._next_use
            if len(self._uses) >= _PENDING_USES:
                self._write_uses(connection)

        self._do(read)
        return found[0] if found else None

    def put(self, object_id: bytes, record: bytes) -> None:
        """
        Write a record, removing the ones least recently used when there are too many.
        """
        name = _name_of(record)

        def write(connection: sqlite3.Connection) -> None:
            present = connection.execute(
                "SELECT 1 FROM objects WHERE object_id = ?", (object_id,)
            ).fetchone()
            self._uses.pop(object_id, None)
            self._next_use += 1
            connection.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
                (object_id, record, self._next_use, *name),
            )
            self._count += present is None
            if self._count > self._limit:
                self._shrink(connection)

        self._do(write)

    def remove(self, object_id: bytes) -> None:
        """
        Delete a record.
        """

        def delete(connection: sqlite3.Connection) -> None:
            done = connection.execute(
                "DELETE FROM objects WHERE object_id = ?", (object_id,)
            )
            self._count -= done.rowcount
            self._uses.pop(object_id, None)

        self._do(delete)

    def below(
        self, bucket: bytes, prefix: bytes, limit: int
    ) -> tuple[tuple[bytes, bytes], ...]:
        """
        Give some records of objects whose keys begin with a prefix; that is no use.
        """
        found: list[tuple[bytes, bytes]] = []
        query = "SELECT object_id, record FROM objects"
        bounds: list[bytes] = []
        if bucket:
            query += " WHERE bucket = ? AND key >= ?"
            bounds += [bucket, prefix]
            if behind := _behind(prefix):
                query += " AND key < ?"
                bounds.append(behind)
        else:
            query += " ORDER BY used DESC"

        def read(connection: sqlite3.Connection) -> None:
            if not bucket:
                self._write_uses(connection)
            found.extend(connection.execute(f"{query} LIMIT ?", (*bounds, limit)))

        self._do(read)
        return tuple(found)

    def close(self) -> None:
        """
        Write down what is pending and close the file.
        """
        if self._connection is not None:
            self._do(self._write_uses)
        with self._lock:
            self._closed = True
            self._disconnect()

    def _do(self, action: _Action) -> None:
        """
        Run one transaction; a damaged file is replaced, other trouble is logged once.
        """
        with self._lock:
            if self._closed:
                return
            for last in (False, True):
                try:
                    with self._connected() as connection:
                        action(connection)
                except sqlite3.Error as error:
                    if last or not self._start_anew(error):
                        self._complain(error)
                        return
                else:
                    self._complained = False
                    return

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
                query = "SELECT count(*), coalesce(max(used), 0) FROM objects"
                self._count, self._next_use = connection.execute(query).fetchone()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _start_anew(self, error: sqlite3.Error) -> bool:
        """
        Put a damaged file aside; tell whether that was the trouble, and is over.
        """
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return False
        self._disconnect()
        self._uses.clear()
        aside = f"{self._path}.damaged"
        try:
            for suffix in ("-wal", "-shm"):
                Path(self._path + suffix).unlink(missing_ok=True)
            Path(self._path).replace(aside)
        except OSError:
            return False
        _log.error(
            "records: {path} is damaged ({reason}); moved to {aside}, starting anew",
            path=self._path,
            reason=str(error),
            aside=aside,
        )
        return True

    def _complain(self, error: sqlite3.Error) -> None:
        if not self._complained:
            self._complained = True
            _log.error("records: {path}: {reason}", path=self._path, reason=str(error))

    def _write_uses(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "UPDATE objects SET used = ? WHERE object_id = ?",
            [(used, object_id) for object_id, used in self._uses.items()],
        )
        self._uses.clear()

    def _shrink(self, connection: sqlite3.Connection) -> None:
        self._write_uses(connection)
        done = connection.execute(
            "DELETE FROM objects WHERE object_id IN "
            "(SELECT object_id FROM objects ORDER BY used LIMIT ?)",
            (self._count - self._limit,),
        )
        self._count -= done.rowcount


@implementer(IRecordStore)
class RecordStore:
    """
    Keeps records in an SQLite file. What cannot be read is absent, what cannot be
    written is lost: both are only ever asked for again.

    Args:
        path: The file; its directory must exist.
        worker: Where SQLite runs.
        limit: The most records kept.
    """

    def __init__(self, path: str, worker: IWorker, limit: int = 100_000) -> None:
        self._worker = worker
        self._table = _Table(path, limit)

    def get(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Give a record.
        """
        return self._worker.run(self._table.get, object_id)

    def put(self, object_id: ObjectId, record: bytes) -> Deferred[None]:
        """
        Keep a record.
        """
        return self._worker.run(self._table.put, object_id, record)

    def remove(self, object_id: ObjectId) -> Deferred[None]:
        """
        Drop a record.
        """
        return self._worker.run(self._table.remove, object_id)

    def below(
        self, bucket: bytes, prefix: bytes, limit: int
    ) -> Deferred[tuple[tuple[ObjectId, bytes], ...]]:
        """
        Give records by the names of their objects.
        """
        found = self._worker.run(self._table.below, bucket, prefix, limit)
        return found.addCallback(
            lambda rows: tuple((ObjectId(name), record) for name, record in rows)
        )

    def close(self) -> Deferred[None]:
        """
        Close the file; later calls find and keep nothing.
        """
        return self._worker.run(self._table.close)

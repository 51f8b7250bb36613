"""
What the control plane keeps across restarts: a file of SQLite's.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from eliop2p.base.errors import ElioError, StartError
from eliop2p.control.fields import BadMessage, decode, encode
from eliop2p.control.messages import node_from_json, node_to_json
from eliop2p.control.orders import Outcome, Standing, State, order_from_json
from eliop2p.control.policy import Policy
from eliop2p.control.registry import SavedNode

APPLICATION_ID = 0x456C696F
"""
Marks the file as ours: ``Elio``.
"""

_NODES = """
CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    info TEXT NOT NULL,
    registered_at REAL NOT NULL
) WITHOUT ROWID
"""
_COUNTERS = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID
"""

_POLICY = """
CREATE TABLE policy (
    place INTEGER PRIMARY KEY CHECK (place = 1),
    document TEXT NOT NULL
)
"""

_COMMANDS = """
CREATE TABLE commands (
    node_id TEXT,
    command_id TEXT,
    given_at REAL NOT NULL,
    command TEXT NOT NULL,
    outcome TEXT,
    PRIMARY KEY (node_id, command_id)
) WITHOUT ROWID
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (_NODES, _COUNTERS),
    (_POLICY,),
    (_COMMANDS,),
)
"""
The statements that lead from each version of the schema to the next, from 0 on.
"""

_BUSY_SECONDS = 1.0


@attrs.frozen
class Saved:
    """
    What an earlier run left.

    Attributes:
        version: The last version of the membership that was saved, 0 for none.
        nodes: The nodes.
        unreadable: How many more there were that cannot be read.
        policy: What operators wanted of replication, None when they said nothing.
        orders: What nodes were to do, and what became of it.
    """

    version: int
    nodes: tuple[SavedNode, ...]
    unreadable: int
    policy: Policy | None = None
    orders: tuple[Standing, ...] = ()


class _Unfit(ElioError):
    """
    The file is a database, but not one that can be used.
    """


@contextmanager
def _usable(path: str) -> Iterator[None]:
    """
    Turn what goes wrong at the start into one line for the operator.
    """
    try:
        yield
    except (OSError, sqlite3.Error, _Unfit) as error:
        setting = "[control_plane_server] database"
        raise StartError(f"{setting} = {path}: {_explain(error)}") from error


class Database:
    """
    An open database. Every method blocks; one call at a time, in any thread.

    It belongs to one process: others find it locked until it is closed.

    Args:
        path: The file, made with its directory when there is none.

    Raises:
        StartError: It cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with _usable(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare()
            except (sqlite3.Error, _Unfit):
                self._connection.close()
                raise

    def load(self) -> Saved:
        """
        Read everything.

        Raises:
            StartError: It cannot be used.
        """
        with _usable(self._path):
            return self._load()

    def _load(self) -> Saved:
        row = self._connection.execute(
            "SELECT value FROM counters WHERE name = 'version'"
        ).fetchone()
        nodes: list[SavedNode] = []
        unreadable = 0
        for info, registered_at in self._connection.execute(
            "SELECT CAST(info AS BLOB), registered_at FROM nodes ORDER BY node_id"
        ):
            try:
                nodes.append(SavedNode(node_from_json(decode(info)), registered_at))
            except BadMessage:
                unreadable += 1
        version = row[0] if row else 0
        orders = tuple(self._load_orders())
        return Saved(version, tuple(nodes), unreadable, self._load_policy(), orders)

    def _load_orders(self) -> Iterator[Standing]:
        """
        Read the commands; one that cannot be read is wanted again by whoever gave it.
        """
        for node_id, given_at, command, outcome in self._connection.execute(
            "SELECT node_id, given_at, CAST(command AS BLOB), CAST(outcome AS BLOB) "
            "FROM commands ORDER BY given_at, command_id"
        ):
            with suppress(BadMessage):
                standing = Standing(node_id, order_from_json(decode(command)), given_at)
                if outcome is not None:
                    standing.outcome = Outcome.from_json(decode(outcome))
                yield standing

    def _load_policy(self) -> Policy | None:
        row = self._connection.execute(
            "SELECT CAST(document AS BLOB) FROM policy"
        ).fetchone()
        if row is None:
            return None
        try:
            return Policy.from_json(decode(row[0]))
        except BadMessage as error:
            raise _Unfit(f"the policy in it cannot be read: {error}") from error

    def save_policy(self, policy: Policy) -> None:
        """
        Write the policy in place of an earlier one.

        Raises:
            sqlite3.Error: It could not be written.
        """
        document = encode(policy.to_json()).decode()
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO policy VALUES (1, ?)", (document,)
            )

    def save_orders(
        self, present: Iterable[Standing], absent: Iterable[tuple[str, str]]
    ) -> None:
        """
        Write what has become of commands, all of it or nothing.

        Args:
            present: Commands to put in place of what was known of them.
            absent: Names of nodes and commands to remove.

        Raises:
            sqlite3.Error: It could not be written.
        """
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?)",
                [_order_row(standing) for standing in present],
            )
            connection.executemany(
                "DELETE FROM commands WHERE node_id = ? AND command_id = ?",
                list(absent),
            )

    def save(
        self, version: int, present: Iterable[SavedNode], absent: Iterable[str]
    ) -> None:
        """
        Write what has changed, all of it or nothing.

        Args:
            version: The version of the membership.
            present: Nodes to put in place of what was known of them.
            absent: Names of nodes to remove.

        Raises:
            sqlite3.Error: It could not be written.
        """
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO counters VALUES ('version', ?)", (version,)
            )
            connection.executemany(
                "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?)",
                [
                    (
                        node.info.node_id,
                        encode(node_to_json(node.info)).decode(),
                        node.registered_at,
                    )
                    for node in present
                ],
            )
            connection.executemany(
                "DELETE FROM nodes WHERE node_id = ?",
                [(node_id,) for node_id in absent],
            )

    def close(self) -> None:
        """
        Let go of the file.
        """
        self._connection.close()

    def _transaction(self) -> sqlite3.Connection:
        """
        Begin a transaction; the connection, used in a with statement, ends it.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def _pragma(self, name: str) -> int:
        row = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(row[0])

    def _prepare(self) -> None:
        """
        Make the file ours and bring its schema up to date.

        Raises:
            _Unfit: It belongs to something else or to a later release.
        """
        connection = self._connection
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        schema = self._pragma("user_version")
        ours = self._pragma("application_id") == APPLICATION_ID
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and not ours:
            raise _Unfit("it is a database of something else; name another file")
        if schema > len(MIGRATIONS):
            raise _Unfit(
                f"it was written by a later release (schema {schema}, this one knows "
                f"{len(MIGRATIONS)}); upgrade eliop2p or name another file"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            for statements in MIGRATIONS[schema:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _order_row(standing: Standing) -> tuple[str, str, float, str, str | None]:
    order, outcome = standing.order, standing.outcome
    ended = None
    if outcome.state is not State.WAITING:
        ended = encode(outcome.to_json()).decode()
    command = encode(order.to_json()).decode()
    return standing.node_id, order.command_id, standing.given_at, command, ended


def _explain(error: Exception) -> str:
    """
    Say what is wrong with the file and what to do.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # Without the details.
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process uses it; stop that one or name another file"
    if code == sqlite3.SQLITE_NOTADB:
        return "it is no SQLite database; name another file"
    return str(error)

"""
Tests for :mod:`eliop2p.control.database` and :mod:`eliop2p.control.journal`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.control import database
from eliop2p.control.database import MIGRATIONS, Database, Saved
from eliop2p.control.journal import RETRY_SECONDS, Journal
from eliop2p.control.orders import ChunkRef, Kind, Order, Outcome, Standing, State
from eliop2p.control.registry import Registry, SavedNode
from tests.control.support import TIMEOUT, StepWorker, chunk_id, node


def standing(node_id: str, command_id: str, given_at: float) -> Standing:
    """
    Make a command that waits.
    """
    chunk = ChunkRef(chunk_id(1), 10)
    order = Order(command_id, Kind.REPLICATE, (chunk,), prefix="s3://b/")
    return Standing(node_id, order, given_at)


class DatabaseTests(SynchronousTestCase):
    """
    What the database promises.
    """

    def setUp(self) -> None:
        """
        Choose a file in a directory that does not exist.
        """
        self.path = f"{self.mktemp()}/deep/control.db"

    def open(self) -> Database:
        """
        Open the file and close it after the test.
        """
        database = Database(self.path)
        self.addCleanup(database.close)
        return database

    @contextmanager
    def patched_migrations(self, count: int) -> Iterator[None]:
        """
        Be a release that knew so many versions of the schema.
        """
        before = self.patch(database, "MIGRATIONS", MIGRATIONS[:count])
        loads = self.patch(Database, "_load_orders", lambda _: ())
        yield
        before.restore()
        loads.restore()

    def refusal(self) -> str:
        """
        Fail to open the file.
        """
        error = self.assertRaises(StartError, Database, self.path)
        self.assertIn("[control_plane_server] database", str(error))
        self.assertIn(self.path, str(error))
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_remembers(self) -> None:
        """
        What was saved is there after the file was closed and opened.
        """
        first = Database(self.path)
        self.assertEqual(first.load(), Saved(0, (), 0))
        one, two = SavedNode(node("a", zone="é"), 1.5), SavedNode(node("b"), 2.5)
        first.save(7, [one, two], [])
        first.save(8, [], ["b", "unheard of"])
        first.close()
        self.assertEqual(self.open().load(), Saved(8, (one,), 0))

    def test_commands(self) -> None:
        """
        Commands and what became of them are there after the file was opened anew, in
        the order in which they were given; one that cannot be read is left out.
        """
        first = Database(self.path)
        ended = Outcome(State.DONE, 5, "é")
        waits, done = standing("b", "one", 1.0), standing("a", "two", 2.0)
        done.outcome = ended
        gone = standing("a", "three", 3.0)
        first.save_orders([done, waits, gone], [])
        first.save_orders([], [("a", "three"), ("a", "unheard of")])
        first._connection.execute(
            "INSERT INTO commands VALUES ('a', 'four', 4.0, '{}', NULL)"
        )
        first.close()
        self.assertEqual(self.open().load().orders, (waits, done))

    def test_earlier_release(self) -> None:
        """
        A file of an earlier release is brought up to date, with what is in it.
        """
        with self.patched_migrations(2):
            first = Database(self.path)
            one = SavedNode(node("a"), 1.5)
            first.save(7, [one], [])
            first.close()
        now = self.open()
        now.save_orders([standing("a", "one", 1.0)], [])
        saved = now.load()
        self.assertEqual((saved.nodes, len(saved.orders)), ((one,), 1))

    def test_one_process(self) -> None:
        """
        A file in use is refused with a remedy, and free again once it is closed.
        """
        first = Database(self.path)
        self.assertIn("another process uses it", self.refusal())
        first.close()
        self.open()

    def test_later_release(self) -> None:
        """
        A file of a later release is refused with a remedy and stays as it is.
        """
        Database(self.path).close()
        connection = sqlite3.connect(self.path)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        connection.close()
        before = Path(self.path).read_bytes()
        self.assertIn("upgrade eliop2p", self.refusal())
        self.assertEqual(Path(self.path).read_bytes(), before)

    def test_foreign(self) -> None:
        """
        A database of another program and a file that is none are refused.
        """
        Path(self.path).parent.mkdir(parents=True)
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE songs (title)")
        connection.close()
        self.assertIn("of something else", self.refusal())
        Path(self.path).write_bytes(b"not a database at all, but long enough" * 100)
        self.assertIn("no SQLite database", self.refusal())

    def test_unusable_directory(self) -> None:
        """
        A path through a file is refused in one line.
        """
        Path(self.path).parent.parent.mkdir(parents=True)
        Path(self.path).parent.write_bytes(b"")
        self.refusal()

    def test_unreadable_row(self) -> None:
        """
        A row that cannot be read costs its node, not the start.
        """
        first = Database(self.path)
        first.save(3, [SavedNode(node("a"), 1.0), SavedNode(node("b"), 1.0)], [])
        first.close()
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE nodes SET info = '{}' WHERE node_id = 'a'")
        connection.commit()
        connection.close()
        saved = self.open().load()
        self.assertEqual([one.info.node_id for one in saved.nodes], ["b"])
        self.assertEqual(saved.unreadable, 1)


class JournalTests(SynchronousTestCase):
    """
    What the journal promises.
    """

    def setUp(self) -> None:
        """
        Make a journal over a database in memory.
        """
        self.clock = Clock()
        self.worker = StepWorker()
        self.registry = Registry(TIMEOUT, 1)
        self.database = Database(":memory:")
        self.journal = Journal(self.registry, self.database, self.worker, self.clock)

    def register(self, node_id: str) -> None:
        """
        Register a node and note it.
        """
        self.registry.register(node(node_id), self.clock.seconds())
        self.journal.note(node_id)

    def saved(self) -> list[str]:
        """
        Name the nodes in the database.
        """
        return [one.info.node_id for one in self.database.load().nodes]

    def test_writes(self) -> None:
        """
        A node that comes is written, one that goes is removed, with the version.
        """
        self.register("a")
        self.register("b")
        self.registry.leave("a")
        self.journal.note("a")
        self.assertEqual(self.saved(), ["b"])
        self.assertEqual(self.database.load().version, self.registry.version)

    def test_writes_commands(self) -> None:
        """
        A command is written when it is given and when it has ended, and removed with
        its node; what could not be written is later.
        """
        book = self.registry.orders
        self.register("a")
        broken = self.patch(self.database, "save_orders", _no_space)
        order = standing("a", "one", 1.0).order
        book.give("a", order, 1.0)
        self.journal.note_orders()
        self.assertTrue(self.journal.failing)
        broken.restore()
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.database.load().orders, tuple(book.all()))
        book.end("a", "one", Outcome(State.DONE, 5))
        book.give("a", attrs.evolve(order, command_id="two"), 2.0)
        self.journal.note_orders()
        self.assertEqual(self.database.load().orders, tuple(book.all()))
        book.drop("a")
        self.journal.note("a")
        names = [each.order.command_id for each in self.database.load().orders]
        self.assertEqual(names, ["one"])

    def test_one_at_a_time(self) -> None:
        """
        While one write is under way changes gather for the next, in one piece.
        """
        self.worker.held = True
        for node_id in ("a", "b", "c", "d"):
            self.register(node_id)
        self.assertEqual(len(self.worker.waiting), 1)
        self.worker.step()
        self.assertEqual(self.saved(), ["a"])
        self.assertEqual(len(self.worker.waiting), 1)
        self.worker.step()
        self.assertEqual(self.saved(), ["a", "b", "c", "d"])
        self.assertEqual(self.worker.waiting, [])

    def test_failing_disk(self) -> None:
        """
        A write that fails is tried again until it succeeds; it is said once.
        """
        broken = self.patch(self.database, "save", _no_space)
        self.register("a")
        self.register("b")
        self.assertTrue(self.journal.failing)
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        broken.restore()
        self.clock.advance(RETRY_SECONDS)
        self.assertFalse(self.journal.failing)
        self.assertEqual(self.saved(), ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        Closing writes what is left, ends with the database closed, and leaves no timer.
        """
        self.worker.held = True
        self.register("a")
        self.register("b")
        seen: list[list[str]] = []
        closing = self.journal.close()
        self.worker.step()
        self.assertNoResult(closing)
        self.worker.step()
        seen.append(self.saved())
        self.worker.step()
        self.successResultOf(closing)
        self.assertEqual(seen, [["a", "b"]])
        self.assertRaises(sqlite3.ProgrammingError, self.database._load)

    def test_close_while_failing(self) -> None:
        """
        Closing with a broken disk ends all the same, without a timer.
        """
        self.patch(self.database, "save", _no_space)
        self.register("a")
        self.successResultOf(self.journal.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])


def _no_space(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")

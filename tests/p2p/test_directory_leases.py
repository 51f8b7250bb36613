"""
Tests for whom :mod:`eliop2p.p2p.directory` lets read the store.
"""

from eliop2p.p2p.entry import (
    LATE_GRACE,
    LEASE_GRACE,
    LEASE_SECONDS,
)
from eliop2p.wire.events import Locate, Verdict
from tests.p2p.directory_case import ONE, DirectoryCase
from tests.p2p.directory_machine import BAD, GOOD, chunk_id


class LeaseTests(DirectoryCase):
    """
    Tests for who may read the store.
    """

    def test_expired_lease(self) -> None:
        """
        A lease ends when its reader does not ask again, not when it does.
        """
        self.ask("a")
        self.now = LEASE_SECONDS - 1
        self.assertEqual(self.ask("a").verdict, Verdict.LEASE)
        self.now += LEASE_SECONDS - 1
        self.assertEqual(self.names(self.ask("b")), ["a"])
        self.now += LEASE_SECONDS
        self.assertEqual(self.ask("c").verdict, Verdict.LEASE)

    def test_rejected_reader(self) -> None:
        """
        An asker that the reader failed waits until the lease is no longer fresh.
        """
        self.ask("a")
        self.now = LEASE_GRACE / 2
        self.assertEqual(self.ask("b", "a").verdict, Verdict.WAIT)
        self.now = LEASE_GRACE
        self.assertEqual(self.ask("b", "a").verdict, Verdict.LEASE)
        self.assertEqual(self.names(self.ask("c", "a")), ["b"])

    def test_late_home(self) -> None:
        """
        A reader that is a better home may have failed the asker only as such: it keeps
        its lease for longer.
        """
        self.directory.leased(ONE, "home", self.now)
        request = Locate(3, ONE, 0, True, ("home",))

        def ask(node_id: str) -> Verdict:
            return self.directory.locate(
                node_id, request, self.alive, self.now, ("home",)
            ).verdict

        self.now = LATE_GRACE - 0.1
        self.assertEqual(ask("a"), Verdict.WAIT)
        self.now = LATE_GRACE
        self.assertEqual(ask("a"), Verdict.LEASE)

    def test_reader_asks_again(self) -> None:
        """
        The reader is not sent to those that wait for it.
        """
        self.ask("a")
        self.ask("b", filled=5)
        self.assertEqual(self.ask("a").verdict, Verdict.LEASE)
        self.directory.have("c", ONE, GOOD)
        self.assertEqual(self.names(self.ask("a")), ["c"])
        self.assertEqual(self.directory.reader(ONE), "")

    def test_reader_gives_up(self) -> None:
        """
        A reader that can no longer read loses its lease by asking.
        """
        self.ask("a")
        self.assertEqual(self.names(self.ask("a", can_read=False)), [])
        self.assertEqual(self.ask("b").verdict, Verdict.LEASE)

    def test_ahead(self) -> None:
        """
        An asker is sent to a receiver that joined later when that is known to be ahead.
        """
        self.ask("reader")
        self.ask("early")
        self.ask("late", filled=9)
        self.assertIn("late", self.names(self.ask("early", "reader", filled=3)))
        self.assertNotIn("late", self.names(self.ask("early", filled=9)))

    def test_conflict(self) -> None:
        """
        Who contradicts what is known of the digest is not listed, and is counted.
        """
        self.assertTrue(self.directory.have("a", ONE, GOOD))
        self.assertFalse(self.directory.have("b", ONE, BAD))
        self.assertEqual(self.directory.holders(ONE), ("a",))
        self.assertFalse(self.directory.have("a", ONE, BAD))
        self.assertEqual(self.directory.conflicts, 2)
        self.assertEqual(len(self.directory), 0)

    def test_reader_is_believed(self) -> None:
        """
        What the reader of the store says stands against what was said before it, and
        against what is said after.
        """
        self.ask("reader")
        self.directory.have("liar", ONE, BAD)
        self.assertTrue(self.directory.have("reader", ONE, GOOD))
        self.assertEqual(self.directory.holders(ONE), ("reader",))
        self.assertFalse(self.directory.have("liar", ONE, BAD))
        self.assertEqual(self.ask("x").digest, GOOD)

    def test_leased_elsewhere(self) -> None:
        """
        Another home's lease is respected, and does not undo a live one.
        """
        self.directory.leased(ONE, "a", self.now)
        self.assertEqual(self.names(self.ask("b")), ["a"])
        self.directory.leased(ONE, "c", self.now)
        self.assertEqual(self.directory.reader(ONE), "a")
        self.now += LEASE_SECONDS
        self.directory.leased(ONE, "c", self.now)
        self.assertEqual(self.directory.reader(ONE), "c")

    def test_interrupted(self) -> None:
        """
        A node that breaks off stops receiving and reading; what it holds stays listed.
        """
        other = chunk_id(2)
        self.directory.have("a", other, GOOD)
        self.ask("a")
        self.ask("b")
        self.directory.interrupted("a")
        self.assertEqual(self.directory.receivers(ONE), ("b",))
        self.assertEqual(self.directory.holders(other), ("a",))
        self.assertEqual(self.ask("c").verdict, Verdict.LEASE)

    def test_lost(self) -> None:
        """
        A node that left is nowhere, and what only it had is forgotten.
        """
        for number in range(1000):
            self.directory.have("a", chunk_id(number), GOOD)
        self.directory.have("b", chunk_id(5), GOOD)
        self.ask("a", chunk=chunk_id(2000))
        self.directory.lost("a")
        self.assertEqual(self.directory.receivers(chunk_id(2000)), ())
        for number in range(1000):
            holders = ("b",) if number == 5 else ()
            self.assertEqual(self.directory.holders(chunk_id(number)), holders)
        self.assertEqual(len(self.directory), 1)
        self.directory.have("a", chunk_id(6), GOOD)
        self.assertEqual(self.directory.holders(chunk_id(7)), ())

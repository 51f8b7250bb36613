"""
Tests for :mod:`eliop2p.model.tally`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.tally import Tally, TallyBook


class TallyBookTests(SynchronousTestCase):
    """
    What nodes have told of their work.
    """

    def setUp(self) -> None:
        """
        Open a book of two nodes.
        """
        self.book = TallyBook(60.0, 30.0)
        self.members = {"a": None, "b": None}

    def test_sums(self) -> None:
        """
        What nodes served and read is summed up, since their starts and of late.
        """
        for now in (0.0, 10.0, 20.0):
            self.book.note("a", Tally(100 + int(now), 10 * int(now), int(now)), now)
        self.book.note("b", Tally(5, 1000, 500), 20.0)
        found = self.book.read(self.members, 20.0)
        self.assertEqual(found.total, Tally(120, 1200, 520))
        self.assertEqual(found.recent, Tally(20, 200, 20))
        self.assertEqual((len(found.nodes), found.members), (2, 2))

    def test_window(self) -> None:
        """
        What is older than the window is not recent.
        """
        for now in range(0, 200, 10):
            self.book.note("a", Tally(now, 5 * now, now), float(now))
        found = self.book.read(self.members, 190.0)
        self.assertEqual(found.recent, Tally(60, 300, 60))

    def test_restart(self) -> None:
        """
        A node that has started anew counts from nothing, not below it.
        """
        self.book.note("a", Tally(1000, 5000, 700), 0.0)
        self.book.note("a", Tally(3, 50, 7), 10.0)
        self.assertEqual(self.book.read(self.members, 10.0).recent, Tally(3, 50, 7))

    def test_silent(self) -> None:
        """
        A node that tells nothing for a while is not covered, and one that is no member
        any more is forgotten.
        """
        self.book.note("a", Tally(1, 1, 1), 0.0)
        self.book.note("b", Tally(1, 1, 1), 25.0)
        found = self.book.read(self.members, 31.0)
        self.assertEqual([node.node_id for node in found.nodes], ["b"])
        self.assertEqual(self.book.read({"a": None}, 31.0).nodes, ())
        self.assertEqual(self.book.read(self.members, 31.0).nodes, ())

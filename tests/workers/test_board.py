"""
Tests for :mod:`eliop2p.workers.board` and :mod:`eliop2p.workers.lease`.
"""

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.workers.board import NOTES, Board, Note, Totals, make_board
from eliop2p.workers.lease import Lease, decode_lease
from eliop2p.workers.messages import MAX_MESSAGE

_TIMES = st.floats(allow_nan=False)
_BYTES = st.binary(max_size=100)


def name_of(number: int) -> bytes:
    """
    Make the id of a request.
    """
    return b"%016x" % number


class BoardTests(SynchronousTestCase):
    """
    Both views of a board.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.node, descriptor = make_board()
        self.node.set_bounds((0.1, 1.0))
        self.worker = Board(descriptor)
        os.close(descriptor)

    def test_shared(self) -> None:
        """
        What one side writes the other reads.
        """
        self.node.good[7] = 99
        self.worker.busy[3] = 1
        self.assertEqual(self.worker.good[7], 99)
        self.assertEqual(self.node.busy[3], 1)
        self.assertEqual(self.worker.bounds, (0.1, 1.0))

    def test_counts(self) -> None:
        """
        Answers are counted in all, by how long they took, and by their places.
        """
        self.assertEqual(self.node.totals(), Totals(0, 0, 0.0, (0, 0, 0)))
        for bucket, seconds in ((0, 0.05), (2, 2.0), (2, 3.0)):
            self.worker.count(5, bucket, 100)
            self.worker.note(1, name_of(1), 0.0, seconds)
        self.assertEqual(self.node.totals(), Totals(3, 300, 5.05, (1, 0, 2)))
        self.assertEqual((self.node.used[5], self.node.used[4]), (3, 0))

    def test_notes(self) -> None:
        """
        The last answers are told, those that nobody has read in time excepted.
        """
        for number in range(3):
            self.worker.note(number, name_of(number), 10.0 + number, 0.5)
        expected = [Note(n, name_of(n), 10.0 + n, 0.5) for n in range(3)]
        self.assertEqual(list(self.node.notes(0)), expected)
        self.assertEqual(list(self.node.notes(2)), expected[2:])
        self.assertEqual(self.node.noted(), 3)
        for number in range(3, 5 * NOTES):
            self.worker.note(number, name_of(number), 0.0, 0.0)
        numbers = [note.lease for note in self.node.notes(3)]
        self.assertEqual(numbers, list(range(5 * NOTES - NOTES // 2, 5 * NOTES)))


class LeaseTests(SynchronousTestCase):
    """
    How answers go over the channel.
    """

    @given(_BYTES, _TIMES, _TIMES, st.tuples(_BYTES, _BYTES, _BYTES, _BYTES), _BYTES)
    def test_round_trip(
        self,
        raw: bytes,
        since: float,
        until: float,
        head: tuple[bytes, bytes, bytes, bytes],
        body: bytes,
    ) -> None:
        """
        What was written is read again.
        """
        read = decode_lease(Lease(raw, since, until, head, body).encode())
        self.assertEqual((read.raw, read.since, read.until), (raw, since, until))
        self.assertEqual((read.head, read.body), (head, body))

    @given(st.binary(max_size=200))
    def test_anything_else(self, data: bytes) -> None:
        """
        Bytes are a lease or refused.
        """
        try:
            read = decode_lease(data)
        except RemoteProtocolError:
            return
        self.assertEqual(len(read.encode()), len(data))

    def test_largest(self) -> None:
        """
        The largest answer that is lent fits into a message.
        """
        head = (bytes(4096), b"", b"", b"")
        lease = Lease(bytes(4096), 0.0, 1.0, head, bytes(65536))
        self.assertLess(len(lease.encode()) + 100, MAX_MESSAGE)

    def test_date(self) -> None:
        """
        The head of an answer has the date of its second, if it has one.
        """
        dated = Lease(b"", 0.0, 1.0, (b"Date: ", b"then", b"\r\nId: ", b"\r\n"), b"")
        dated.write(1_000_000_000.5)
        date = b"Sun, 09 Sep 2001 01:46:40 GMT"
        self.assertEqual(dated.opening, b"Date: " + date + b"\r\nId: ")
        self.assertEqual(dated.expires, 1_000_000_001.0)
        undated = Lease(b"", 0.0, 1.0, (b"Id: ", b"", b"", b"\r\n"), b"")
        undated.write(1_000_000_000.5)
        self.assertEqual(undated.opening, b"Id: ")

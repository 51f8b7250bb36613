"""
Tests for :mod:`eliop2p.workers.lending` and :mod:`eliop2p.workers.desk`.
"""

import os
import random
import socket
from typing import cast

from twisted.internet.interfaces import (
    IReactorFDSet,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.model.chunk import ChunkId, ObjectId
from eliop2p.workers import lending as lending_module
from eliop2p.workers.board import ANSWERS, Board, make_board
from eliop2p.workers.desk import Desk, LentConnection
from eliop2p.workers.lease import Lease
from eliop2p.workers.lending import Basis, Borrower, Lending
from eliop2p.workers.messages import Kind, Message
from tests.workers.rigs import QuietReactor

REQUEST = b"GET /key HTTP/1.1\r\n\r\n"
HEAD = (b"HTTP/1.1 200 OK\r\nDate: ", b"then", b"\r\nId: ", b"\r\n\r\n")
RECORD = ObjectId(bytes(32))
OTHER = ObjectId(bytes([1]) * 32)


def lease(raw: bytes = REQUEST, body: bytes = b"body", until: float = 100.0) -> Lease:
    """
    Make an answer to a request.
    """
    return Lease(raw, 0.0, until, HEAD, body)


def basis(record_id: ObjectId = RECORD) -> Basis:
    """
    Make what it rests on.
    """
    return Basis(record_id, b"belief", ChunkId(bytes(32)), None)


class Pair:
    """
    What a node has lent a worker, and that worker, without a channel between them:
    messages wait until they are delivered.
    """

    def __init__(self, case: SynchronousTestCase) -> None:
        self.clock = Clock()
        self.reactor = QuietReactor()
        node, descriptor = make_board()
        self.board = Board(descriptor)
        os.close(descriptor)
        node.set_bounds((0.1, 1.0))
        self.full = False
        self.waiting: list[tuple[Message, tuple[int, ...]]] = []
        self.lending = Lending(node, self._offer, self._send)
        self.desk = Desk(
            self.board,
            cast("IReactorFDSet", self.reactor),
            self.clock,
            rng=random.Random(5),
            back=self.lending.back,
            gone=self.lending.gone,
        )
        self.told: list[tuple[str, bytes]] = []
        self.given = 0
        self.client, self.ours = socket.socketpair()
        case.addCleanup(self.client.close)
        case.addCleanup(self.ours.close)
        case.addCleanup(self._close)
        self.client.setblocking(False)

    def _close(self) -> None:
        for number in list(self.desk._connections):
            self.desk.recall(number)

    def _offer(self, message: Message, descriptors: tuple[int, ...]) -> bool:
        if not self.full:
            self.waiting.append((message, descriptors))
        return not self.full

    def _send(self, message: Message) -> None:
        self.waiting.append((message, ()))

    def deliver(self) -> None:
        """
        Let the worker hear what it was sent.
        """
        waiting, self.waiting = self.waiting, []
        for message, descriptors in waiting:
            if message.kind is Kind.LEND:
                own = os.dup(descriptors[0])
                self.desk.lend(message.ticket, message.first, own)
            elif message.kind is Kind.TEACH:
                self.desk.teach(message.ticket, message.first, message.data)
            elif message.kind is Kind.FORGET:
                self.desk.forget(message.ticket)
            elif message.kind is Kind.RECALL:
                self.desk.recall(message.ticket)

    def lend(self) -> int:
        """
        Lend the connection.
        """
        borrower = Borrower(
            lambda data: self.told.append(("back", data)),
            lambda: self.told.append(("gone", b"")),
            lambda: self.told.append(("broken", b"")),
            lambda: self.given,
        )
        number = self.lending.lend(self.ours.fileno(), borrower)
        assert number is not None
        self.deliver()
        return number

    @property
    def lent(self) -> LentConnection:
        """
        The connection as the worker has it.
        """
        (lent,) = self.desk._connections.values()
        return lent

    def ask(self, raw: bytes = REQUEST) -> bytes:
        """
        Send a request, and give what comes back at once.
        """
        self.client.sendall(raw)
        self.lent.doRead()
        try:
            return self.client.recv(1 << 20)
        except BlockingIOError:
            return b""


class LendingTests(SynchronousTestCase):
    """
    A node, a worker, and a connection.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        self.pair = Pair(self)
        self.lending, self.told = self.pair.lending, self.pair.told

    def teach(self, made: Lease | None = None, on: Basis | None = None) -> None:
        """
        Lend an answer.
        """
        self.lending.teach(made or lease(), on or basis())
        self.pair.deliver()

    def test_interfaces(self) -> None:
        """
        A lent connection is what the reactor expects of something to watch.
        """
        self.pair.lend()
        verifyObject(IReadDescriptor, self.pair.lent)
        verifyObject(IWriteDescriptor, self.pair.lent)

    def test_answers(self) -> None:
        """
        A request whose answer was lent is answered with the date of the moment and an
        id of its own, and counted.
        """
        self.teach()
        self.pair.lend()
        first, second = self.pair.ask(), self.pair.ask()
        date = b"Thu, 01 Jan 1970 00:00:00 GMT"
        for answer in (first, second):
            self.assertTrue(answer.startswith(HEAD[0] + date + HEAD[2]))
            self.assertTrue(answer.endswith(b"\r\n\r\nbody"))
        self.assertNotEqual(first, second)
        used = self.lending.collect()
        self.assertEqual((used.totals.hits, used.totals.sent), (2, 8))
        self.assertEqual(used.bases, [(basis(), 2)])
        names = [note.name for _, note in used.notes]
        self.assertTrue(all(name in first + second for name in names))
        self.assertEqual(len(set(names)), 2)
        again = self.lending.collect()
        self.assertEqual((again.bases, again.notes), ([], []))
        self.assertEqual(again.before, again.totals)

    def test_unknown(self) -> None:
        """
        With anything else the connection goes back, and the bytes with it.
        """
        self.teach()
        for raw in (REQUEST + REQUEST, REQUEST[:-1], b"?"):
            self.pair.lend()
            self.assertEqual(self.pair.ask(raw), b"")
            self.assertEqual(self.told.pop(), ("back", raw))
            self.assertEqual(self.lending.connections, 0)
            self.assertEqual(self.pair.desk._connections, {})

    def test_revoked(self) -> None:
        """
        An answer is not given from the moment on in which it is revoked, though the
        worker has not heard of that; those to other objects are.
        """
        self.teach()
        self.teach(lease(b"other"), basis(OTHER))
        self.pair.lend()
        self.assertIn(b"body", self.pair.ask())
        self.lending.revoke(RECORD)
        self.assertFalse(self.lending.knows(REQUEST))
        self.assertIn(b"body", self.pair.ask(b"other"))
        self.assertEqual(self.pair.ask(), b"")
        self.assertEqual(self.told, [("back", REQUEST)])

    def test_revoked_before_it_was_heard(self) -> None:
        """
        An answer that is revoked while it is on its way is never given.
        """
        self.lending.teach(lease(), basis())
        self.lending.revoke(RECORD)
        self.pair.lend()
        self.assertEqual(self.pair.ask(), b"")
        self.assertEqual(self.told, [("back", REQUEST)])

    def test_place_used_again(self) -> None:
        """
        An answer whose place has been given to another is not taken for that.
        """
        self.lending.teach(lease(), basis())
        self.pair.deliver()
        self.lending.revoke(RECORD)
        self.lending.collect()
        self.lending.teach(lease(b"other", b"changed"), basis(OTHER))
        late = self.pair.waiting.pop(0)
        self.assertEqual(late[0].kind, Kind.FORGET)
        self.pair.lend()
        self.assertIn(b"changed", self.pair.ask(b"other"))
        self.assertEqual(self.pair.ask(), b"")
        self.assertEqual(self.told, [("back", REQUEST)])

    def test_time(self) -> None:
        """
        An answer is given as long as it counts and no longer; then it can be lent anew.
        """
        self.teach(lease(until=10.0))
        self.pair.lend()
        self.pair.clock.advance(9.9)
        self.assertIn(b"00:00:09", self.pair.ask())
        self.pair.clock.advance(0.1)
        self.assertEqual(self.pair.ask(), b"")
        self.assertEqual(self.told, [("back", REQUEST)])
        self.assertFalse(self.lending.knows(REQUEST))
        self.teach(lease(until=20.0))
        self.pair.lend()
        self.assertIn(b"00:00:10", self.pair.ask())

    def test_slow_client(self) -> None:
        """
        A client that does not take an answer at once gets it in the end, and its next
        request is read only then.
        """
        body = random.Random(1).randbytes(3_000_000)
        self.teach(lease(body=body))
        self.pair.lend()
        got = self.pair.ask()
        lent = self.pair.lent
        self.assertIn(lent, self.pair.reactor.writers)
        self.assertEqual(self.pair.desk.group.size, 0)
        self.assertEqual(self.lending.collect().totals.hits, 0)
        while lent in self.pair.reactor.writers:
            lent.doWrite()
            got += self.pair.client.recv(1 << 20)
        self.assertEqual(got[-len(body) :], body)
        self.assertEqual(self.pair.desk.group.size, 1)
        self.assertEqual(self.lending.collect().totals.hits, 1)

    def test_client_gone(self) -> None:
        """
        The node hears of a client that has gone, whatever the worker was doing.
        """
        self.teach(lease(body=bytes(3_000_000)))
        self.pair.lend()
        self.pair.ask()
        self.pair.client.close()
        self.pair.lent.doWrite()
        self.assertEqual(self.told, [("gone", b"")])
        self.assertEqual(self.pair.desk._connections, {})
        self.assertEqual(self.pair.reactor.writers, set())

    def test_client_gone_idle(self) -> None:
        """
        The same goes for a client that was asking for nothing.
        """
        self.pair.lend()
        self.pair.client.close()
        self.pair.lent.doRead()
        self.assertEqual(self.told, [("gone", b"")])
        self.assertEqual(self.lending.connections, 0)

    def test_recalled(self) -> None:
        """
        The node can end a connection; nobody is told of that.
        """
        number = self.pair.lend()
        self.lending.recall(number)
        self.pair.deliver()
        self.lending.recall(number)
        self.lending.back(number, b"late")
        self.assertEqual(self.told, [])
        self.assertEqual(self.pair.desk._connections, {})

    def test_death(self) -> None:
        """
        When the worker dies its connections go back as they were, but for those on
        which an answer may have been begun.
        """
        self.teach(lease(body=bytes(3_000_000)))
        self.pair.lend()
        self.lending.died()
        self.assertEqual(self.told.pop(), ("back", b""))
        self.pair._close()
        self.pair.lend()
        self.pair.ask()
        self.lending.died()
        self.assertEqual(self.told, [("broken", b"")])

    def test_death_after_an_answer(self) -> None:
        """
        A connection goes back when the worker dies between giving an answer and saying
        that it has, and does not when it dies with the next request in its hands.
        """
        self.teach()
        for asked, missing, told in (
            (False, 0, ("back", b"")),
            (False, 1, ("broken", b"")),
            (True, 0, ("broken", b"")),
        ):
            self.pair.lend()
            lent = self.pair.lent
            given = len(self.pair.ask() + self.pair.ask())
            self.pair.board.busy[lent._place] = 1 if asked else 1 + lent._due
            self.pair.given = given - missing
            self.lending.died()
            self.assertEqual(self.pair.told.pop(), told)
            self.pair._close()

    def test_full_channel(self) -> None:
        """
        When the worker does not take any more nothing is lent, and that is known.
        """
        self.pair.full = True
        self.lending.teach(lease(), basis())
        self.assertFalse(self.lending.knows(REQUEST))
        borrower = Borrower(self.fail, self.fail, self.fail, self.fail)
        self.assertIsNone(self.lending.lend(self.pair.ours.fileno(), borrower))
        self.assertEqual(self.lending.connections, 0)
        self.pair.full = False
        self.teach()
        self.pair.lend()
        self.assertIn(b"body", self.pair.ask())

    def test_bounds(self) -> None:
        """
        No more answers are lent than there are places and bytes for; then all begin
        anew.
        """
        for number in range(ANSWERS + 1):
            self.teach(lease(b"%d" % number))
        self.assertEqual(self.pair.desk._answers, {})
        self.lending.collect()
        self.teach(lease(b"again"))
        self.assertEqual(list(self.pair.desk._answers), [b"again"])
        self.patch(lending_module, "MAX_BYTES", 100_000)
        for number in range(4):
            self.teach(lease(b"large %d" % number, bytes(30_000)))
        known = [self.lending.knows(b"large %d" % number) for number in range(4)]
        self.assertEqual(known, [False, False, False, True])
        self.assertEqual(
            self.lending._bytes, len(lease(b"large 3", bytes(30_000)).encode())
        )

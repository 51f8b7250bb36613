"""
Tests for :mod:`eliop2p.storage.pool`, through the origin that uses it.
"""

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost

from eliop2p.base.errors import OriginUnavailable
from eliop2p.http1.message import RequestHead
from tests.storage.doubles import GET, PUT, Asked, Source, Wire
from tests.storage.origin_case import (
    EMPTY,
    HEAD,
    NOT_MODIFIED,
    OK,
    READ_TIMEOUT,
    OriginTestCase,
)


class PoolTests(OriginTestCase):
    """
    Connections are kept, bounded, and never used after a doubt.
    """

    def finish(self, asked: Asked, text: bytes = EMPTY) -> None:
        """
        Answer a request.
        """
        self.wire().say(text)
        asked.read()

    def test_reuse(self) -> None:
        """
        A connection is used again after a clean end.
        """
        for _ in range(3):
            self.finish(self.ask(), OK + b"hello")
        self.assertEqual(len(self.network.wires), 1)
        self.assertEqual((self.origin.requests, self.origin.connections_open), (3, 1))
        self.assert_quiet()

    def test_bodyless_answer_frees_at_once(self) -> None:
        """
        An answer without a body gives its connection back before anybody reads it.
        """
        first = self.ask()
        self.wire().say(NOT_MODIFIED)
        second = self.ask()
        self.assertEqual(len(self.network.wires), 1)
        first.answer.abort()
        self.finish(second)
        self.assert_quiet()

    def test_complete_answer_frees_at_once(self) -> None:
        """
        A body that came whole with its head occupies no connection.
        """
        first = self.ask()
        self.wire().say(OK + b"hello")
        self.assertFalse(self.wire().paused)
        self.finish(self.ask())
        self.assertEqual(len(self.network.wires), 1)
        self.assertEqual(first.read().data, b"hello")

    def test_last_in_first_out(self) -> None:
        """
        The connection that was used last is used next, so that others can grow old.
        """
        first, second = self.ask(), self.ask()
        self.wire(0).say(EMPTY)
        self.clock.advance(20)
        self.wire(1).say(EMPTY)
        self.assertEqual(len(first.answers + second.answers), 2)
        self.clock.advance(11)
        self.turn()
        self.assertEqual([wire.open for wire in self.network.wires], [False, True])
        self.finish(self.ask())
        self.assertEqual(len(self.network.wires), 2)
        self.assert_quiet()

    def test_no_reuse(self) -> None:
        """
        A connection is closed when either side said so, or when bytes are left over.
        """
        closing = GET.adding((b"Connection", b"close"))
        for head, text in (
            (GET, EMPTY.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n")),
            (closing, EMPTY),
            (GET, EMPTY.replace(b"HTTP/1.1", b"HTTP/1.0")),
            (GET, EMPTY + b"x"),
            (GET, NOT_MODIFIED + b"x"),
            (GET, OK + b"hello!"),
            (HEAD, OK + b"hello"),
        ):
            asked = self.ask(head)
            count = len(self.network.wires)
            self.finish(asked, text)
            self.turn()
            self.assertFalse(self.wire().open, text)
            self.assertEqual(len(self.network.wires), count)
        self.assert_quiet()

    def test_unsolicited(self) -> None:
        """
        An idle connection on which something comes is closed and not used.
        """
        self.finish(self.ask())
        self.wire().say(b"HTTP/1.1 408 Timeout\r\n\r\n")
        asked = self.ask()
        self.assertEqual(len(self.network.wires), 2)
        self.finish(asked)
        self.turn()
        self.assertFalse(self.wire(0).open)
        self.assert_quiet()

    def test_closed_while_idle(self) -> None:
        """
        A connection that the store closed while it was idle is forgotten.
        """
        self.finish(self.ask())
        self.wire().hang_up()
        self.assertEqual(self.origin.connections_open, 0)
        self.finish(self.ask())
        self.assertEqual(len(self.network.wires), 2)

    def test_retry_once(self) -> None:
        """
        A GET or HEAD whose kept connection dies unanswered is sent once more, on a
        fresh connection.
        """
        for head in (GET, HEAD):
            self.finish(self.ask(head))
            asked = self.ask(head)
            count = len(self.network.wires)
            self.wire().sent()
            self.wire().hang_up(ConnectionLost())
            self.assertEqual(len(self.network.wires), count + 1)
            self.assertEqual(self.wire().sent(), head.serialize())
            self.finish(asked)
        self.wire().hang_up()
        self.assert_quiet()

    def test_retry_only_once(self) -> None:
        """
        The second attempt is the last.
        """
        self.finish(self.ask())
        asked = self.ask()
        self.wire().hang_up()
        self.wire().hang_up()
        self.assertIsInstance(asked.errors[0], OriginUnavailable)
        self.assertEqual(len(self.network.wires), 2)
        self.assert_quiet()

    def test_no_retry(self) -> None:
        """
        Nothing is sent twice once a byte has come, with a body, with another method,
        or after a timeout.
        """
        delete = RequestHead(b"DELETE", b"/b/k", GET.headers)
        for head, body, said in (
            (GET, None, b"H"),
            (GET, None, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (GET, Source(), b""),
            (PUT, Source(), b""),
            (delete, None, b""),
        ):
            self.finish(self.ask())
            count = len(self.network.wires)
            asked = self.ask(head, body)
            self.wire().say(said)
            self.wire().hang_up()
            self.assertIsInstance(asked.errors[0], OriginUnavailable)
            self.assertEqual(len(self.network.wires), count)
        self.finish(self.ask())
        count = len(self.network.wires)
        asked = self.ask()
        self.clock.advance(READ_TIMEOUT)
        self.assertIsInstance(asked.errors[0], OriginUnavailable)
        self.assertEqual(len(self.network.wires), count)
        self.assert_quiet()

    def test_bound(self) -> None:
        """
        Requests beyond the bound wait for a connection, in order.
        """
        asked = [self.ask() for _ in range(4)]
        self.assertEqual(len(self.network.wires), 2)
        self.wire(0).say(EMPTY)
        self.assertEqual(len(asked[0].answers), 1)
        self.wire(1).say(EMPTY)
        self.wire(0).say(EMPTY)
        self.wire(1).say(EMPTY)
        self.assertEqual([len(one.answers) for one in asked], [1, 1, 1, 1])
        self.assertEqual(len(self.network.wires), 2)
        self.assert_quiet()

    def test_bound_holds_over_retries(self) -> None:
        """
        Idle connections give way, so that the bound counts them too.
        """
        first, second = self.ask(), self.ask()
        self.wire(0).say(EMPTY)
        self.wire(1).say(EMPTY)
        self.assertEqual(len(first.answers + second.answers), 2)
        again = self.ask()
        self.wire(1).hang_up()
        self.turn()
        self.assertLessEqual(self.origin.connections_open, 2)
        self.finish(again)
        self.assert_quiet()

    def test_body_holds_its_place(self) -> None:
        """
        A body that is not read to its end keeps its connection until it is aborted.
        """
        held = [self.ask(), self.ask()]
        self.wire(0).say(OK)
        self.wire(1).say(OK)
        waiting = self.ask()
        self.assertEqual(len(self.network.wires), 2)
        held[0].answer.abort()
        self.assertEqual(len(self.network.wires), 3)
        self.finish(waiting)
        held[1].answer.abort()
        self.turn()
        self.assert_quiet()

    def test_cancel_waiting(self) -> None:
        """
        A request that waits for a connection can be cancelled and leaks nothing.
        """
        held = [self.ask(), self.ask()]
        waiting = self.ask()
        waiting.deferred.cancel()
        self.assertIsInstance(waiting.errors[0], CancelledError)
        for index in range(2):
            self.wire(index).say(EMPTY)
        self.assertEqual([len(one.answers) for one in held], [1, 1])
        self.assert_quiet()

    def test_cancel_connecting(self) -> None:
        """
        A request that waits for the connection to be made can be cancelled; one that
        is made all the same is closed.
        """
        self.network.hanging = True
        asked = self.ask()
        asked.deferred.cancel()
        self.assertIsInstance(asked.errors[0], CancelledError)
        self.network.make(self.network.factories[0])
        self.turn()
        self.assertFalse(self.wire().open)
        self.assert_quiet()

    def test_cancel_asked(self) -> None:
        """
        A request that waits for its answer can be cancelled; its connection is closed.
        """
        asked = self.ask(PUT, source := Source())
        asked.deferred.cancel()
        self.assertIsInstance(asked.errors[0], CancelledError)
        self.assertEqual(source.calls, ["start", "stop"])
        self.turn()
        self.assertFalse(self.wire().open)
        self.assert_quiet()

    def test_close(self) -> None:
        """
        Closing waits for idle connections, and closes the others after their use.
        """
        idle, busy = self.ask(), self.ask()
        self.wire(0).say(EMPTY)
        closed = self.origin.close()
        self.assertNoResult(closed)
        self.turn()
        self.successResultOf(closed)
        self.assertEqual([wire.open for wire in self.network.wires], [False, True])
        self.wire(1).say(EMPTY)
        self.turn()
        self.assertFalse(self.wire(1).open)
        self.assertEqual(len(idle.answers + busy.answers), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_does_not_linger(self) -> None:
        """
        An idle connection whose other end does not take leave is closed all the same.
        """
        self.finish(self.ask())
        self.patch(Wire, "loseConnection", lambda wire: None)
        closed = self.origin.close()
        self.clock.pump([1, 1, 0])
        self.successResultOf(closed)
        self.assertEqual(self.origin.connections_open, 0)

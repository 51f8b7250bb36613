"""
Tests for :mod:`eliop2p.proxy.connection`.
"""

from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.proxy.connection import (
    IDLE_SECONDS,
    LINGER_SECONDS,
    STALL_SECONDS,
)
from eliop2p.proxy.exchange import Exchange
from tests.proxy.connection_case import CLOSE, KEEP, ConnectionCase
from tests.proxy.wires import ByHand, Upload, connect, make_factory
from tests.proxy.wires import request as head_of


class OrderTests(ConnectionCase):
    """
    Several requests on one connection.
    """

    def test_keep_alive(self) -> None:
        """
        A connection is used for request after request.
        """
        for number in range(3):
            self.wire.say(head_of(b"/%d" % number))
            self.answers.answer(b"body %d" % number)
            said = self.wire.heard()
            self.assertTrue(said.startswith(b"HTTP/1.1 200 "))
            self.assertTrue(said.endswith(b"\r\n\r\nbody %d" % number))
            self.assertNotIn(b"Connection", said)
        self.assertFalse(self.wire.closed)

    def test_pipelined(self) -> None:
        """
        Requests that come at once are answered one after the other, in their order.
        """
        self.wire.say(b"".join(head_of(b"/%d" % number) for number in range(3)))
        for number in range(3):
            self.assertEqual(len(self.answers.exchanges), number + 1)
            self.answers.answer(b"%d" % number)
        self.assertEqual(self.answers.targets, [b"/0", b"/1", b"/2"])
        said = self.wire.heard()
        self.assertEqual(
            [part[:1] for part in said.split(b"\r\n\r\n")[1:]], [b"0", b"1", b"2"]
        )

    def test_any_segments(self) -> None:
        """
        It does not matter how requests and bodies are cut into reads.
        """
        put = head_of(b"/p", (b"Content-Length", b"5"), method=b"PUT") + b"01234"
        said = put + head_of(b"/g") + put
        for size in (1, 2, 3, 7, 50):
            answers = ByHand()
            wire = connect(self.clock, make_factory(self.clock, answers))
            wire.say(*(said[at : at + size] for at in range(0, len(said), size)))
            for number in range(3):
                body = answers.exchanges[number].body
                if body is not None:
                    upload = Upload(body)
                    upload.start()
                    self.assertEqual(
                        (upload.data, upload.ended), (b"01234", "finished")
                    )
                answers.answer(b"x")
            self.assertEqual(answers.targets, [b"/p", b"/g", b"/p"])

    def test_close(self) -> None:
        """
        A client that wants the connection closed is told so, and nothing it sent
        afterwards is looked at.
        """
        self.wire.say(head_of(b"/0", CLOSE) + head_of(b"/1"))
        self.answers.answer(b"x")
        self.assertIn(b"\r\nConnection: close\r\n", self.wire.heard())
        self.assertTrue(self.wire.closed)
        self.assertEqual(self.answers.targets, [b"/0"])

    def test_close_answered_at_once(self) -> None:
        """
        The same holds when answers do not take any time.
        """
        asked: list[bytes] = []

        def answer(exchange: Exchange) -> Deferred[None]:
            asked.append(exchange.head.target)
            return succeed(None)

        wire = connect(self.clock, make_factory(self.clock, answer))
        wire.say(head_of(b"/0") + head_of(b"/1", CLOSE) + head_of(b"/2"))
        self.assertEqual(asked, [b"/0", b"/1"])
        self.assertTrue(wire.closed)

    def test_http_1_0(self) -> None:
        """
        A client that speaks HTTP/1.0 gets one answer, unless it asks for more.
        """
        self.wire.say(head_of(b"/0", version=b"1.0"))
        self.answers.answer(b"x")
        self.assertIn(b"\r\nConnection: close\r\n", self.wire.heard())
        self.assertTrue(self.wire.closed)

    def test_http_1_0_keep_alive(self) -> None:
        """
        One that asks is told that the connection stays.
        """
        for number in range(2):
            self.wire.say(head_of(b"/%d" % number, KEEP, version=b"1.0"))
            self.answers.answer(b"x")
            self.assertIn(b"\r\nConnection: keep-alive\r\n", self.wire.heard())
        self.assertFalse(self.wire.closed)

    def test_flood(self) -> None:
        """
        A client that sends request after request without reading answers is not read
        beyond a bound.
        """
        self.wire.say(*([head_of(b"/x") * 10] * 1000))
        self.assertTrue(self.wire.paused)
        self.assertGreater(self.wire.unread, 100_000)
        while self.wire.unread or self.answers.exchanges[-1].status == 0:
            self.answers.answer()
        self.assertEqual(len(self.answers.exchanges), 10_000)


class RefusalTests(ConnectionCase):
    """
    What is not a request.
    """

    def test_malformed(self) -> None:
        """
        It gets a 400 in S3's form, one line in the log, and an end of the connection.
        """
        for said in (
            b"hello\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET /\n",
            head_of(b"/", (b"Content-Length", b"1"), (b"Content-Length", b"2")),
            head_of(
                b"/", (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")
            ),
            head_of(b"/", (b"Transfer-Encoding", b"chunked"), method=b"PUT")
            + b"zz\r\n",
        ):
            with capturedLogs() as events:
                wire = connect(self.clock, self.factory)
                wire.say(said)
                wire.say(head_of(b"/next"))
            answer = wire.heard()
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), said)
            self.assertIn(b"<Code>InvalidRequest</Code>", answer)
            self.assertIn(b"\r\nConnection: close\r\n", answer)
            self.assertTrue(wire.half_closed)
            self.assertEqual(len(events), 1)
            self.pass_time(LINGER_SECONDS + 3)
            self.assertTrue(wire.gone)
        self.assertEqual(self.answers.exchanges, [])

    def test_too_long(self) -> None:
        """
        A head that is too long gets a 431 and an endless request line a 414, before
        the end of either has come.
        """
        piece = b"X-%d: " + b"x" * 1000 + b"\r\n"
        self.wire.say(head_of(b"/")[:-2], *(piece % number for number in range(70)))
        self.assertEqual(self.status(), 431)
        wire = connect(self.clock, self.factory)
        wire.say(b"GET /" + b"x" * 70_000)
        self.assertEqual(self.status(wire), 414)

    def test_behind_a_request(self) -> None:
        """
        What is wrong behind a request that is being answered does it no harm.
        """
        self.wire.say(head_of(b"/0") + b"nonsense\r\n\r\n")
        self.answers.answer(b"x")
        said = self.wire.heard()
        self.assertTrue(said.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"\r\n\r\nxHTTP/1.1 400 ", said)

    def test_broken_upload(self) -> None:
        """
        A body whose framing breaks off in the middle fails towards the store, and ends
        the connection.
        """
        chunked = (b"Transfer-Encoding", b"chunked")
        self.wire.say(head_of(b"/", chunked, method=b"PUT") + b"3\r\nabc\r\n")
        upload = Upload(self.answers.exchanges[0].body)
        upload.start()
        self.wire.say(b"nonsense\r\n")
        self.clock.advance(0)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(upload.ended, "failed")
        self.assertEqual(self.answers.cancelled, 1)


class TimeTests(ConnectionCase):
    """
    Connections on which nothing moves.
    """

    def test_idle(self) -> None:
        """
        A connection without a request is closed after a while.
        """
        self.pass_time(IDLE_SECONDS - 1)
        self.wire.say(head_of(b"/"))
        self.answers.answer(b"x")
        self.pass_time(IDLE_SECONDS - 1)
        self.assertFalse(self.wire.closed)
        self.pass_time(3)
        self.assertTrue(self.wire.closed)
        self.assertFalse(self.wire.aborted)

    def test_slow_client_of_a_whole_answer(self) -> None:
        """
        A client that still takes an answer which has left the node gets all of it,
        however long it takes.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/"))
        self.answers.answer(bytes(50_000))
        self.pass_time(2 * IDLE_SECONDS)
        wire.take(100_000)
        self.assertFalse(wire.aborted)
        self.assertTrue(wire.heard().endswith(bytes(50_000)))

    def test_slow_head(self) -> None:
        """
        A head that comes byte by byte must be there within the same time.
        """
        for byte in head_of(b"/")[:-1]:
            if not self.wire.gone:
                self.wire.say(bytes((byte,)))
                self.pass_time(10)
        self.assertTrue(self.wire.gone)
        self.assertLess(self.clock.seconds(), 1000)
        self.assertEqual(self.answers.exchanges, [])

    def test_slow_store(self) -> None:
        """
        A client may have to wait for its answer longer than that.
        """
        self.wire.say(head_of(b"/"))
        self.pass_time(2 * IDLE_SECONDS)
        self.assertFalse(self.wire.gone)
        self.answers.answer(b"x")
        self.assertEqual(self.status(), 200)

    def test_stalled_client(self) -> None:
        """
        A client that takes nothing of its answer is cut, one that takes a little is
        not.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/"))
        self.answers.answer(bytes(10_000_000))
        for _ in range(5):
            self.pass_time(STALL_SECONDS - 10)
            wire.take(128 * 1024)
        self.assertFalse(wire.gone)
        self.pass_time(STALL_SECONDS + 5)
        self.assertTrue(wire.aborted)

    def test_gone(self) -> None:
        """
        What was being done for a client that goes away is given up.
        """
        self.wire.say(head_of(b"/"))
        self.wire.hang_up()
        self.assertEqual(self.answers.cancelled, 1)
        self.pass_time(2 * STALL_SECONDS)

    def test_gone_while_taking(self) -> None:
        """
        So it is when the client was taking the answer.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/"))
        self.answers.answer(bytes(10_000_000))
        wire.hang_up()
        self.assertLess(len(wire.heard()), 1_000_000)
        self.assertEqual(self.answers.cancelled, 0)

    def test_failure(self) -> None:
        """
        An answer that cannot be completed breaks the connection, so that it does not
        pass for complete; only what is not foreseen is logged.
        """
        for error, logged in ((ChunkUnavailable("none"), 0), (KeyError("bug"), 1)):
            wire = connect(self.clock, self.factory)
            wire.say(head_of(b"/"))
            self.answers.fail(error)
            self.assertTrue(wire.aborted)
            self.assertFalse(wire.closed)
            self.assertEqual(len(self.flushLoggedErrors(KeyError)), logged)

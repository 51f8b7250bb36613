"""
Tests for uploads over a client's connection, and for interim answers.
"""

import gc

from eliop2p.http1.message import ResponseHead
from eliop2p.proxy.connection import (
    LINGER_SECONDS,
)
from eliop2p.proxy.request_body import MAX_AHEAD
from tests.proxy.connection_case import ConnectionCase
from tests.proxy.wires import PLENTY, Upload, Wire, connect
from tests.proxy.wires import request as head_of


class UploadTests(ConnectionCase):
    """
    Bodies on their way from the client.
    """

    def put(self, length: int, wire: Wire | None = None) -> Upload:
        """
        Begin an upload.
        """
        announced = (b"Content-Length", b"%d" % length)
        (wire or self.wire).say(head_of(b"/", announced, method=b"PUT"))
        return Upload(self.answers.exchanges[-1].body)

    def test_as_it_came(self) -> None:
        """
        A chunked body keeps its chunks, their extensions and its trailers, byte for
        byte, and what follows is the next request.
        """
        body = (
            b"5;sig=ab\r\nhello\r\n0a\r\n0123456789\r\n000\r\nX-Sum: 1\r\nY: 2\r\n\r\n"
        )
        chunked = (b"Transfer-Encoding", b"chunked")
        said = head_of(b"/0", chunked, method=b"PUT") + body + head_of(b"/1")
        self.wire.say(*(said[at : at + 10] for at in range(0, len(said), 10)))
        upload = Upload(self.answers.exchanges[0].body)
        upload.start()
        self.assertEqual((upload.data, upload.ended), (body, "finished"))
        self.answers.answer()
        self.assertEqual(self.answers.targets, [b"/0", b"/1"])

    def test_not_before_the_store(self) -> None:
        """
        No more than a bound is read of a body before the store takes it.
        """
        upload = self.put(1_000_000)
        self.wire.say(*([bytes(10_000)] * 100))
        self.assertTrue(self.wire.paused)
        self.assertGreaterEqual(self.wire.unread, 1_000_000 - MAX_AHEAD - 10_000)
        upload.start()
        self.assertEqual((len(upload.data), upload.ended), (1_000_000, "finished"))

    def test_slow_store(self) -> None:
        """
        While the store takes nothing of a body, nothing is read of it.
        """
        upload = self.put(1_000_000)
        upload.start()
        self.wire.say(bytes(10_000))
        upload.source.pause()
        self.wire.say(*([bytes(10_000)] * 99))
        self.assertEqual(len(upload.data), 10_000)
        self.assertEqual(self.wire.unread, 990_000)
        upload.source.resume()
        self.assertEqual((len(upload.data), upload.ended), (1_000_000, "finished"))

    def test_gone(self) -> None:
        """
        The store hears of a client that goes away in the middle.
        """
        upload = self.put(100)
        upload.start()
        self.wire.say(b"12345")
        self.wire.hang_up()
        self.assertEqual((upload.data, upload.ended), (b"12345", "failed"))
        self.assertEqual(self.answers.cancelled, 1)

    def test_refused(self) -> None:
        """
        A client whose upload is answered before it is complete gets the answer, and is
        read, into nothing, for a moment, so that it can take it.
        """
        upload = self.put(1_000_000)
        upload.start()
        self.wire.say(bytes(10_000))
        upload.source.stop()
        self.answers.answer(b"no", status=403)
        self.assertTrue(self.wire.heard().endswith(b"\r\n\r\nno"))
        self.assertTrue(self.wire.half_closed)
        self.wire.say(*([bytes(10_000)] * 50))
        self.assertEqual(self.wire.unread, 0)
        self.assertEqual(len(upload.data), 10_000)
        self.assertFalse(self.wire.closed or self.wire.aborted)
        self.wire.hang_up()

    def test_refused_without_end(self) -> None:
        """
        The moment ends, however much the client still sends.
        """
        upload = self.put(PLENTY)
        upload.start()
        upload.source.stop()
        self.answers.answer(status=403)
        for _ in range(int(LINGER_SECONDS) + 3):
            self.wire.say(bytes(1000))
            self.pass_time(1)
        self.assertTrue(self.wire.gone)

    def test_refused_and_completed(self) -> None:
        """
        A client that completes its upload before the answer goes on as ever.
        """
        upload = self.put(10)
        upload.start()
        upload.source.stop()
        self.wire.say(bytes(10) + head_of(b"/next"))
        self.answers.answer(status=403)
        self.assertEqual(self.answers.targets, [b"/", b"/next"])

    def test_empty(self) -> None:
        """
        A body of no bytes ends as soon as it begins.
        """
        upload = self.put(0)
        upload.start()
        self.assertEqual((upload.data, upload.ended), (b"", "finished"))


class InterimTests(ConnectionCase):
    """
    Answers before the answer.
    """

    CONTINUE = ResponseHead(100, b"Continue")

    def test_in_order(self) -> None:
        """
        They reach the client before the final answer.
        """
        self.wire.say(head_of(b"/", method=b"PUT"))
        exchange = self.answers.exchanges[0]
        exchange.interim(self.CONTINUE)
        self.assertEqual(self.wire.heard(), b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.interim(ResponseHead(103, b"Early"))
        self.answers.answer(b"x")
        said = self.wire.heard()
        self.assertTrue(said.startswith(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 "))

    def test_slow_client(self) -> None:
        """
        They wait for a client that takes nothing, and the answer waits for them.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/"))
        for _ in range(3):
            self.answers.exchanges[0].interim(self.CONTINUE)
        self.answers.answer(b"x")
        self.assertEqual(wire.heard().count(b"100 Continue"), 1)
        wire.take(1000)
        said = wire.heard()
        self.assertEqual(said.count(b"100 Continue"), 2)
        self.assertTrue(said.endswith(b"\r\n\r\nx"))

    def test_gone(self) -> None:
        """
        A client that goes away meanwhile is no error.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/"))
        for _ in range(2):
            self.answers.exchanges[0].interim(self.CONTINUE)
        wire.hang_up()
        self.assertEqual(self.answers.cancelled, 1)
        self.answers.exchanges.clear()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

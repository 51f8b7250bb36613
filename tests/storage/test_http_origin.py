"""
Tests for :mod:`eliop2p.storage.http_origin` over an in-memory network.
"""

from twisted.internet.error import ConnectionLost, DNSLookupError
from zope.interface.verify import verifyObject

from eliop2p.base.errors import OriginUnavailable, WrongAnswer
from eliop2p.interfaces import IOrigin, IOriginResponse
from tests.storage.doubles import GET
from tests.storage.origin_case import (
    CHUNKED,
    EMPTY,
    HEAD,
    OK,
    READ_TIMEOUT,
    OriginTestCase,
)


class ExchangeTests(OriginTestCase):
    """
    Requests and answers pass as they are.
    """

    def test_interfaces(self) -> None:
        """
        Origin and answer provide their interfaces.
        """
        verifyObject(IOrigin, self.origin)
        asked = self.ask()
        self.wire().say(EMPTY)
        verifyObject(IOriginResponse, asked.answer)

    def test_names(self) -> None:
        """
        The name is scheme, host and port, however the endpoint was written.
        """
        for endpoint, name, call in (
            ("http://Store", b"http://store:80", ("store", 80, 5.0, False)),
            (
                "https://s3.x.com/",
                b"https://s3.x.com:443",
                ("s3.x.com", 443, 5.0, True),
            ),
            ("http://[::1]:9000", b"http://[::1]:9000", ("::1", 9000, 5.0, False)),
        ):
            self.origin = self.make(endpoint)
            self.assertEqual(self.origin.name, name)
            self.ask()
            self.assertEqual(self.network.calls[-1], call)

    def test_bad_endpoints(self) -> None:
        """
        What is no plain endpoint is refused.
        """
        for endpoint in (
            "store:9000",
            "ftp://store",
            "http://",
            "http://store/bucket",
            "http://store?x",
            "http://u:p@store",
            "http://store:port",
        ):
            with self.assertRaises(ValueError, msg=endpoint):
                self.make(endpoint)

    def test_verbatim(self) -> None:
        """
        The head is sent byte for byte, and the answer's head comes as it was sent.
        """
        asked = self.ask()
        self.assertEqual(self.wire().sent(), GET.serialize())
        self.wire().say(
            b"HTTP/1.1 200 Fine\r\nx-AMZ-Meta-a:  B \r\nContent-Length: 0\r\n\r\n"
        )
        head = asked.answer.head
        self.assertEqual((head.status, head.reason), (200, b"Fine"))
        self.assertEqual(head.headers[0], (b"x-AMZ-Meta-a", b"B"))
        self.assertEqual(asked.read().ends, [None])
        self.assertEqual(self.origin.requests, 1)

    def test_head_in_pieces(self) -> None:
        """
        A head and a body that come byte by byte are put together.
        """
        asked = self.ask()
        stream = OK + b"hello"
        self.wire().say(*(stream[at : at + 1] for at in range(len(stream))))
        receiver = asked.read()
        self.assertEqual((receiver.data, receiver.ends), (b"hello", [None]))
        self.assertEqual(self.origin.bytes_in, 5)

    def test_chunked_verbatim(self) -> None:
        """
        A chunked body keeps its framing, extensions and trailers.
        """
        asked = self.ask()
        body = b"5;a=b\r\nhello\r\n0\r\nx-amz-checksum-crc32: AA\r\n\r\n"
        self.wire().say(CHUNKED + body[:9], body[9:])
        receiver = asked.read()
        self.assertEqual((receiver.data, receiver.ends), (body, [None]))
        self.assert_quiet()

    def test_until_close(self) -> None:
        """
        A body without framing ends with an orderly close only.
        """
        for reason, good in ((None, True), (ConnectionLost(), False)):
            asked = self.ask()
            self.wire().say(b"HTTP/1.1 200 OK\r\n\r\nhello")
            receiver = asked.read()
            self.assertEqual(receiver.ends, [])
            self.wire().hang_up(reason)
            self.assertEqual(receiver.data, b"hello")
            self.assertEqual(receiver.ends == [None], good)
        self.assert_quiet()

    def test_no_answer_to_head(self) -> None:
        """
        The answer to a HEAD has no body, whatever its length says.
        """
        asked = self.ask(HEAD)
        self.wire().say(OK)
        self.assertEqual(asked.read().ends, [None])
        self.ask()
        self.assertEqual(len(self.network.wires), 1)

    def test_interim(self) -> None:
        """
        1xx answers are handed on; the final one follows, even in the same read.
        """
        asked = self.ask()
        self.wire().say(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
            + OK
        )
        self.assertEqual([head.status for head in asked.interims], [100, 103])
        self.assertEqual(asked.answer.head.status, 200)

    def test_endless_interim(self) -> None:
        """
        A store that never comes to the point is given up, as one that switches the
        protocol.
        """
        for text in (
            b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ):
            asked = self.ask()
            self.wire().say(text)
            self.assertIsInstance(asked.errors[0], WrongAnswer)
        self.assert_quiet()

    def test_not_http(self) -> None:
        """
        An answer that is not HTTP, or whose framing is doubtful, is a wrong one.
        """
        for text in (
            b"SSH-2.0-x\r\n",
            OK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ):
            asked = self.ask()
            self.wire().say(text)
            self.assertIsInstance(asked.errors[0], WrongAnswer)
            self.turn()
            self.assertFalse(self.wire().open)
        self.assert_quiet()


class FailureTests(OriginTestCase):
    """
    A broken answer never looks complete, and nothing hangs.
    """

    def test_truncated(self) -> None:
        """
        A body that is shorter than its length fails, after the bytes that came.
        """
        for head, part in ((OK, b"hel"), (CHUNKED, b"5\r\nhello\r\n0\r\n")):
            asked = self.ask()
            self.wire().say(head + part)
            receiver = asked.read()
            self.wire().hang_up()
            self.assertEqual(receiver.data, part)
            (error,) = receiver.ends
            self.assertIsInstance(error, OriginUnavailable)
        self.assert_quiet()

    def test_truncated_before_delivery(self) -> None:
        """
        A connection that breaks before the body is asked for gives what it had, then
        fails.
        """
        asked = self.ask()
        self.wire().say(OK + b"hel")
        self.wire().hang_up()
        receiver = asked.read()
        self.assertEqual(receiver.data, b"hel")
        self.assertIsInstance(receiver.ends[0], OriginUnavailable)

    def test_broken_chunks(self) -> None:
        """
        A broken chunk framing fails the body as a wrong answer.
        """
        for parts in ((CHUNKED + b"zz\r\n",), (CHUNKED, b"5\r\nhello!\r\n")):
            asked = self.ask()
            self.wire().say(*parts)
            self.assertIsInstance(asked.read().ends[0], WrongAnswer)
        self.assert_quiet()

    def test_refused(self) -> None:
        """
        A connection that cannot be made is told with host and port, and frees its
        place.
        """
        self.network.error = DNSLookupError("no such name")
        for _ in range(5):
            (error,) = self.ask().errors
            self.assertIsInstance(error, OriginUnavailable)
            self.assertIn("store:9000", str(error))
        self.assert_quiet()

    def test_closed_without_answer(self) -> None:
        """
        A fresh connection that closes without an answer, or within its head, is not
        tried again.
        """
        for text in (b"", b"HTTP/1.1 20"):
            asked = self.ask()
            count = len(self.network.wires)
            self.wire().say(text)
            self.wire().hang_up()
            self.assertIsInstance(asked.errors[0], OriginUnavailable)
            self.assertEqual(len(self.network.wires), count)
        self.assert_quiet()

    def test_silent_store(self) -> None:
        """
        A store that does not answer in time is unavailable.
        """
        asked = self.ask()
        self.clock.advance(READ_TIMEOUT - 1)
        self.assertEqual(asked.errors, [])
        self.clock.advance(1)
        self.assertIsInstance(asked.errors[0], OriginUnavailable)
        self.turn()
        self.assertFalse(self.wire().open)
        self.assert_quiet()

    def test_slow_store(self) -> None:
        """
        A store that sends a byte now and then is not given up, one that stops is.
        """
        asked = self.ask()
        self.wire().say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        receiver = asked.read()
        for _ in range(20):
            self.clock.advance(READ_TIMEOUT - 1)
            self.wire().say(b"x")
        self.assertEqual(receiver.ends, [])
        self.clock.advance(READ_TIMEOUT)
        self.assertIsInstance(receiver.ends[0], OriginUnavailable)
        self.assert_quiet()

    def test_paused_body_is_not_late(self) -> None:
        """
        The time in which nobody wants bytes does not count against the store.
        """
        asked = self.ask()
        self.wire().say(OK + b"he")
        self.clock.advance(READ_TIMEOUT * 3)
        receiver = asked.read()
        asked.answer.pause()
        self.clock.advance(READ_TIMEOUT * 3)
        asked.answer.resume()
        self.clock.advance(READ_TIMEOUT - 1)
        self.wire().say(b"llo")
        self.assertEqual((receiver.data, receiver.ends), (b"hello", [None]))
        self.assert_quiet()

"""
Tests for :mod:`eliop2p.control.site`.
"""

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.answers import MAX_BODY
from tests.control.support import Server

TOKEN = b"Authorization: Bearer s3cret\r\n"
BODY = b'{"node_id":"a","host":"h","port":1}'


class SiteTests(SynchronousTestCase):
    """
    What the site promises of bodies that arrive.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.server = Server(token="s3cret")
        self.channel = self.server.site.buildProtocol(IPv4Address("TCP", "peer", 1))
        assert self.channel is not None
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> bytes:
        """
        Deliver bytes and give all that was answered so far.
        """
        assert self.channel is not None
        for piece in pieces:
            self.channel.dataReceived(piece)
        answer: bytes = self.transport.value()
        return answer

    def post(self, *headers: bytes) -> bytes:
        """
        Send the head of a registration.
        """
        head = b"POST /api/v1/nodes HTTP/1.1\r\nHost: c\r\n"
        return self.send(head + b"".join(headers) + b"\r\n")

    def held(self) -> int:
        """
        Tell how much of the body the server keeps.
        """
        assert self.channel is not None
        content = self.channel._channel.requests[-1].content
        return len(content.getvalue())

    def test_body(self) -> None:
        """
        A body that fits is taken, in whatever pieces it comes.
        """
        self.post(TOKEN, b"Content-Length: %d\r\n" % len(BODY))
        for byte in BODY:
            answer = self.send(bytes([byte]))
        self.assertIn(b"200 OK", answer)
        self.assertEqual(len(self.server.registry), 1)

    def test_declared_too_long(self) -> None:
        """
        A body that is declared too long is refused before any of it has come, and
        nobody is asked to send it.
        """
        answer = self.post(
            TOKEN,
            b"Expect: 100-continue\r\n",
            b"Content-Length: %d\r\n" % (MAX_BODY + 1),
        )
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "))
        self.assertNotIn(b"100 Continue", answer)
        self.assertIn(b"Connection: close", answer)
        self.assertIn(b'"remedy":"send a body of up to 2097152 bytes"', answer)
        self.assertEqual(self.server.metrics.refused["too_large"], 1)
        self.assertEqual(self.server.metrics.requests[413], 1)

    def test_chunked_too_long(self) -> None:
        """
        A body without a length is refused once it is too long, and nothing more of it
        is kept.
        """
        self.post(TOKEN, b"Transfer-Encoding: chunked\r\n")
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        self.assertEqual(self.send(*[piece] * (MAX_BODY // 0x10000)), b"")
        self.assertEqual(self.held(), MAX_BODY)
        answer = self.send(piece)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "))
        self.assertEqual(self.held(), 0)
        self.assertEqual(self.send(piece, piece), answer)
        self.assertEqual(self.held(), 0)
        self.assertFalse(self.transport.disconnecting)

    def test_endless(self) -> None:
        """
        A sender that never ends loses the connection.
        """
        self.post(TOKEN, b"Content-Length: %d\r\n" % 10**12)
        for _ in range(2 * MAX_BODY // 0x10000 + 1):
            self.send(bytes(0x10000))
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.held(), 0)

    def test_refused_body_ends(self) -> None:
        """
        When the refused body has ended the connection is closed, and what follows on
        it is not looked at.
        """
        answer = self.post(TOKEN, b"Content-Length: %d\r\n" % (MAX_BODY + 1))
        rest = self.send(bytes(MAX_BODY + 1), b"GET /health HTTP/1.1\r\n\r\n")
        self.assertEqual(rest, answer)
        self.assertTrue(self.transport.disconnecting)

    def test_untrusted(self) -> None:
        """
        Of a body that comes without the token nothing is kept.
        """
        self.post(b"Content-Length: %d\r\n" % MAX_BODY)
        self.send(bytes(MAX_BODY - 1))
        self.assertEqual(self.held(), 0)
        self.assertIn(b" 401 ", self.send(b"x"))

    def test_no_traceback(self) -> None:
        """
        A fault of the server tells the client nothing of its inside.
        """
        del self.server.resource._answers["health"]
        answer = self.send(b"GET /health HTTP/1.1\r\nHost: c\r\n\r\n")
        self.assertIn(b" 500 ", answer)
        self.assertNotIn(b"KeyError", answer)
        self.assertNotIn(b"Traceback", answer)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_idle(self) -> None:
        """
        A connection that stands still is closed.
        """
        self.post(TOKEN, b"Content-Length: 5\r\n")
        self.server.clock.advance(61)
        self.assertTrue(self.transport.disconnecting)
        self.transport.loseConnection()
        self.server.clock.advance(60)

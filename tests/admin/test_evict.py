"""
Tests for :mod:`eliop2p.admin.evict` and :mod:`eliop2p.admin.bounded`.
"""

import json

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel

from eliop2p.admin.bounded import MAX_BODY
from eliop2p.admin.evict import Evicted
from eliop2p.admin.server import admin_site
from eliop2p.admin.status import NodeStatus
from eliop2p.base.metrics import Metrics

TOKEN = b"0123456789abcdef"
JSON = "Content-Type: application/json; charset=utf-8"
WHAT = b'{"bucket": "models", "prefix": "llama/"}'


def no_status() -> NodeStatus:
    """
    Nobody asks.
    """
    raise NotImplementedError


class EvictTests(SynchronousTestCase):
    """
    ``POST /api/v1/evict``.
    """

    def setUp(self) -> None:
        """
        Make a site.
        """
        self.asked: list[tuple[bytes, bytes]] = []
        self.done: Deferred[Evicted] = Deferred()

    def evict(self, bucket: bytes, prefix: bytes) -> "Deferred[Evicted]":
        """
        Note what is to be evicted.
        """
        self.asked.append((bucket, prefix))
        return self.done

    def connect(self, token: bytes = b"") -> tuple[HTTPChannel, StringTransport]:
        """
        Connect to the site.
        """
        site = admin_site(Metrics(), no_status, token, Clock(), evict=self.evict)
        site.startFactory()
        self.addCleanup(site.stopFactory)
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def post(
        self, body: bytes, *headers: str, token: bytes = b"", method: str = "POST"
    ) -> StringTransport:
        """
        Send a request.
        """
        protocol, transport = self.connect(token)
        head = [
            f"{method} /api/v1/evict HTTP/1.0",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        protocol.dataReceived("\r\n".join([*head, "", ""]).encode() + body)
        return transport

    def answer(self, transport: StringTransport) -> tuple[int, dict[str, object]]:
        """
        Read an answer.
        """
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: application/json\r\n", head + b"\r\n")
        return int(head.split()[1]), json.loads(body)

    def test_done(self) -> None:
        """
        The bucket and the prefix are handed on, and what was dropped is answered when
        it has been.
        """
        transport = self.post(WHAT, JSON)
        self.assertEqual(self.asked, [(b"models", b"llama/")])
        self.assertEqual(transport.value(), b"")
        self.done.callback(Evicted(2, 5, 300))
        code, body = self.answer(transport)
        self.assertEqual(code, 200)
        self.assertEqual(body, {"objects": 2, "chunks": 5, "bytes": 300})

    def test_whole_bucket(self) -> None:
        """
        An empty prefix stands for the whole bucket, and keys are UTF-8.
        """
        self.post(b'{"bucket": "b", "prefix": ""}', JSON)
        self.post('{"bucket": "b", "prefix": "ü"}'.encode(), JSON)
        self.assertEqual(self.asked, [(b"b", b""), (b"b", "ü".encode())])

    def test_wrong_bodies(self) -> None:
        """
        What is no such request is refused with a reason, and nothing is dropped.
        """
        for body in (
            b"",
            b"{",
            b"[" * 5000,
            b"\xff",
            b"null",
            b'"b"',
            b"{}",
            b'{"bucket": "b"}',
            b'{"bucket": "b", "prefix": 1}',
            b'{"bucket": "b", "prefix": null}',
            b'{"bucket": "", "prefix": "x"}',
            b'{"bucket": "b/c", "prefix": "x"}',
            b'{"bucket": "b", "prefix": "x", "all": true}',
            b'{"bucket": "b", "prefix": "\\udcff"}',
        ):
            code, answer = self.answer(self.post(body, JSON))
            self.assertEqual((code, list(answer)), (400, ["error"]), body)
        self.assertEqual(self.asked, [])

    def test_not_json(self) -> None:
        """
        A request that a web page of somebody else's could send is refused.
        """
        for header in ("Content-Type: text/plain", "X-Nothing: 1"):
            code, _ = self.answer(self.post(WHAT, header))
            self.assertEqual(code, 415)
        form = "Content-Type: application/x-www-form-urlencoded"
        self.assertEqual(self.answer(self.post(b"bucket=b&prefix=", form))[0], 415)
        self.assertEqual(self.asked, [])

    def test_too_long(self) -> None:
        """
        A body that is too long is refused and not held.
        """
        code, _ = self.answer(self.post(WHAT + b" " * MAX_BODY, JSON))
        self.assertEqual(code, 413)
        self.assertEqual(self.asked, [])

    def test_endless(self) -> None:
        """
        A body without end costs its sender the connection.
        """
        protocol, transport = self.connect()
        head = f"POST /api/v1/evict HTTP/1.1\r\nHost: n\r\n{JSON}\r\n"
        protocol.dataReceived(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        while not transport.disconnecting and sent < 100:
            protocol.dataReceived(b"1000\r\n" + bytes(4096) + b"\r\n")
            sent += 1
        self.assertLess(sent, 100)
        self.assertEqual(self.asked, [])

    def test_method(self) -> None:
        """
        Only POST evicts.
        """
        for method in ("GET", "PUT", "DELETE"):
            self.assertEqual(self.answer(self.post(WHAT, JSON, method=method))[0], 405)
        self.assertEqual(self.asked, [])

    def test_token(self) -> None:
        """
        Where there is a token, nothing is dropped without it.
        """
        refused = self.post(WHAT, JSON, token=TOKEN)
        self.assertIn(b" 401 ", refused.value().partition(b"\r\n")[0])
        wrong = self.post(WHAT, JSON, "Authorization: Bearer wrong", token=TOKEN)
        self.assertIn(b" 403 ", wrong.value().partition(b"\r\n")[0])
        self.assertEqual(self.asked, [])
        right = f"Authorization: Bearer {TOKEN.decode()}"
        self.post(WHAT, JSON, right, token=TOKEN)
        self.assertEqual(len(self.asked), 1)

    def test_failed(self) -> None:
        """
        A failure is logged, and the operator is told where.
        """
        transport = self.post(WHAT, JSON)
        self.done.errback(Failure(OSError("boom")))
        self.assertEqual(self.answer(transport)[0], 500)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_gone(self) -> None:
        """
        An operator who goes away disturbs nothing.
        """
        protocol, _ = self.connect()
        head = f"POST /api/v1/evict HTTP/1.0\r\nContent-Length: {len(WHAT)}\r\n{JSON}"
        protocol.dataReceived(f"{head}\r\n\r\n".encode() + WHAT)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.done.callback(Evicted(0, 0, 0))

"""
Tests for :mod:`eliop2p.admin.calls`.
"""

import json

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from eliop2p.admin.bounded import BoundedRequest
from eliop2p.admin.calls import CallPage
from eliop2p.base.errors import ControlPlaneError

JSON = "Content-Type: application/json\r\n"


class CallTests(SynchronousTestCase):
    """
    What a page that makes calls promises.
    """

    def call(self, asked: dict[str, object]) -> Deferred[dict[str, object]]:
        """
        Do as the test says.
        """
        match asked:
            case {"wrong": text}:
                raise ValueError(text)
            case {"lost": text}:
                return fail(ControlPlaneError(text))
            case {"broken": text}:
                return fail(ZeroDivisionError(text))
        return succeed({"got": asked})

    def ask(
        self, body: str, method: str = "POST", head: str = JSON
    ) -> tuple[int, object]:
        """
        Make a request.
        """
        site = Site(CallPage(self.call), requestFactory=BoundedRequest)
        channel = site.buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        channel.makeConnection(transport)
        length = f"Content-Length: {len(body)}\r\n"
        channel.dataReceived(
            f"{method} / HTTP/1.0\r\n{head}{length}\r\n{body}".encode()
        )
        top, _, answer = transport.value().partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(answer)

    def test_answers(self) -> None:
        """
        An object is answered with another, and what is wrong with its status.
        """
        self.assertEqual(self.ask('{"a": 1}'), (200, {"got": {"a": 1}}))
        self.assertEqual(self.ask('{"wrong": "x"}'), (400, {"error": "x"}))
        self.assertEqual(self.ask('{"lost": "y"}'), (502, {"error": "y"}))
        for body in ("", "[]", "{", "[" * 5000):
            self.assertEqual(self.ask(body)[0], 400, body[:10])
        self.assertEqual(self.ask("", "GET")[0], 405)
        self.assertEqual(self.ask("{}", head="")[0], 415)

    def test_broken(self) -> None:
        """
        What goes wrong here is told to the log and not to the operator.
        """
        with capturedLogs() as events:
            status, answer = self.ask('{"broken": "secret"}')
        self.assertEqual(
            (status, answer), (500, {"error": "failed; see the node's log"})
        )
        self.assertEqual(len(events), 1)
        self.flushLoggedErrors(ZeroDivisionError)

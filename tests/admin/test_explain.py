"""
Tests for :mod:`eliop2p.admin.explain`.
"""

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin.server import admin_site
from eliop2p.admin.status import NodeStatus
from eliop2p.base.metrics import Metrics
from eliop2p.model.trail import (
    Arrival,
    ChunkTrail,
    Intake,
    RequestTrail,
    Step,
)
from eliop2p.model.trails import Trails


def no_status() -> NodeStatus:
    """
    Fail: nobody asks for it here.
    """
    raise AssertionError


def sent(index: int, source: str, *steps: Step, joined: bool = False) -> ChunkTrail:
    """
    Make the trail of a chunk.
    """
    arrival = Arrival() if steps else None
    for step in steps:
        assert arrival is not None
        arrival.note(step)
    return ChunkTrail(index, 100, source, joined=joined, waited=0.25, arrival=arrival)


ASKED = Step("home", "", "holders", "gpu-2, gpu-3", 0, 0.001)
BROKE = Step("peer", "gpu-2", "it broke off", "holds it", 40, 0.1, Intake(0, 7))
GAVE = Step("peer", "gpu-3", "done", "holds it", 60, 0.1)
READ = Step("origin", "", "done", "its home gave this node the lease", 100, 0.2)


class PagesTests(SynchronousTestCase):
    """
    What operators are told of requests.
    """

    def setUp(self) -> None:
        """
        Answer a request.
        """
        self.trails = Trails(100, 1 << 20)
        self.trail = RequestTrail("id1", b"GET", b"/b/k", 1000.0)
        self.trails.begin(self.trail)

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
        """
        Ask for a page.
        """
        site = admin_site(Metrics(), no_status, b"", Clock(), trails=self.trails)
        site.startFactory()
        self.addCleanup(site.stopFactory)
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def end(self) -> None:
        """
        End the request.
        """
        self.trail.status, self.trail.seconds, self.trail.first = 200, 1.5, 0.5
        self.trails.end(self.trail)

    def test_chunks(self) -> None:
        """
        Each chunk says where it came from, who gave it, and why.
        """
        for chunk in (
            sent(0, "memory"),
            sent(1, "peer", ASKED, BROKE, GAVE),
            sent(2, "origin", ASKED, READ, joined=True),
        ):
            self.trail.add(chunk)
        self.trail.ask(200, 0.01)
        self.end()
        code, answer = self.ask("/api/v1/explain/id1")
        self.assertEqual(code, 200)
        memory, peer, origin = answer["chunks"]
        self.assertEqual(memory["reason"], "this node held it in its memory tier")
        self.assertEqual((peer["source"], peer["peer"]), ("peer", "gpu-3"))
        self.assertEqual(peer["reason"], "gpu-3 holds it")
        self.assertEqual(peer["retries"], 1)
        self.assertEqual([each["bytes"] for each in peer["steps"]], [0, 40, 60])
        self.assertEqual([each["discarded"] for each in peer["steps"]], [0, 7, 0])
        self.assertEqual(origin["source"], "joined origin")
        self.assertIn("lease", origin["reason"])
        self.assertEqual(answer["sources"], {"memory": 100, "peer": 100, "origin": 100})
        self.assertEqual(answer["auth"], "granted")

    def test_refused(self) -> None:
        """
        What the store said of the client is told in a word.
        """
        for status, word in ((403, "refused"), (0, "unreachable"), (206, "granted")):
            self.trail.asked = [(status, 0.1, "")]
            self.assertEqual(self.ask("/api/v1/explain/id1")[1]["auth"], word)

    def test_running(self) -> None:
        """
        A request under way is there, without an end.
        """
        _, answer = self.ask("/api/v1/requests")
        (found,) = answer["requests"]
        self.assertTrue(found["running"])
        self.assertIsNone(found["seconds"])

    def test_limit(self) -> None:
        """
        As many requests as asked for are listed; a limit that is none is refused.
        """
        self.end()
        for number in range(5):
            self.trails.end(RequestTrail(f"x{number}", b"GET", b"/", 0.0))
        _, answer = self.ask("/api/v1/requests?limit=2")
        names = [each["request_id"] for each in answer["requests"]]
        self.assertEqual(names, ["x4", "x3"])
        for limit in ("0", "-1", "x", "1001", "%FF", "9" * 5000):
            code, answer = self.ask(f"/api/v1/requests?limit={limit}")
            self.assertEqual(code, 400)
            self.assertIn("1000", answer["error"])

    def test_unknown(self) -> None:
        """
        A request that is not kept is not found, and the answer says what an id is.
        """
        for path in ("id2", "", "id1/more", "%2e%2e"):
            code, answer = self.ask(f"/api/v1/explain/{path}")
            self.assertEqual(code, 404, path)
            self.assertIn("X-Elio-Request-Id", answer["error"])

    def test_off(self) -> None:
        """
        A node that notes nothing says which key is why.
        """
        self.trails = Trails(0, 0)
        _, answer = self.ask("/api/v1/explain/id1")
        self.assertIn("explain_requests", answer["error"])

    def test_methods(self) -> None:
        """
        Nothing can be changed here.
        """
        for path in ("/api/v1/requests", "/api/v1/explain/id1"):
            self.assertEqual(self.ask(path, "DELETE")[0], 405)

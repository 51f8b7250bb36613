"""
Tests for :mod:`eliop2p.admin`.
"""

import json
import random

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin.server import admin_site
from eliop2p.admin.service import AdminServer
from eliop2p.admin.status import ControlStatus, NodeStatus
from eliop2p.base.errors import StartError
from eliop2p.base.metrics import Metrics
from eliop2p.cli.status import parse_status
from eliop2p.interfaces import CacheUsage
from eliop2p.model.peer import PeerInfo
from eliop2p.testing.simnet import SimNetwork

TOKEN = b"0123456789abcdef"
STATUS = NodeStatus(
    node_id="n1",
    version="1.2.3",
    uptime=5.5,
    ready=True,
    members=(PeerInfo("n1", "10.0.0.1", 9000, 8080, "rack"),),
    control_plane=ControlStatus("http://c:8081", "registered"),
    tiers={"memory": CacheUsage(1, 2, 3)},
    served={"memory": 7, "origin": 8},
    origin_bytes=9,
)


class SiteTests(SynchronousTestCase):
    """
    What operators are answered.
    """

    def setUp(self) -> None:
        """
        Describe a healthy node.
        """
        self.status = STATUS
        self.metrics = Metrics()
        self.clock = Clock()

    def ask(self, path: str, token: bytes = b"", *headers: str) -> tuple[int, bytes]:
        """
        GET a page.

        Args:
            path: Of the page.
            token: What the node asks for.
            headers: Of the request.

        Returns:
            Status and body.
        """
        data = self.say(
            "\r\n".join([f"GET {path} HTTP/1.0", *headers, "", ""]).encode(), token
        )
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def say(self, data: bytes, token: bytes = b"") -> bytes:
        """
        Send bytes to the site and give what comes back.
        """
        site = admin_site(self.metrics, lambda: self.status, token, self.clock)
        site.startFactory()
        self.addCleanup(site.stopFactory)
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
        written: bytes = transport.value()
        return written

    def test_alive(self) -> None:
        """
        A node that answers lives, ready or not.
        """
        self.status = attrs.evolve(STATUS, ready=False)
        self.assertEqual(self.ask("/healthz"), (200, b"ok\n"))

    def test_ready(self) -> None:
        """
        A node is not ready before it has found what an earlier run left.
        """
        self.assertEqual(self.ask("/readyz"), (200, b"ready\n"))
        self.status = attrs.evolve(STATUS, ready=False)
        code, body = self.ask("/readyz")
        self.assertEqual(code, 503)
        self.assertTrue(body.startswith(b"starting"))

    def test_metrics(self) -> None:
        """
        The metrics are there as they are at that moment.
        """
        self.metrics.served_bytes.labels("peer").inc(5)
        code, body = self.ask("/metrics")
        self.assertEqual(code, 200)
        self.assertIn(b'eliop2p_served_bytes_total{source="peer"} 5.0\n', body)

    def test_status(self) -> None:
        """
        The status is what ``eliop2p status`` understands, field by field.
        """
        code, body = self.ask("/api/v1/status")
        self.assertEqual(code, 200)
        answer = json.loads(body)
        self.assertEqual(set(answer), {each.name for each in attrs.fields(NodeStatus)})
        parsed = parse_status(body)
        self.assertEqual(parsed.node_id, "n1")
        self.assertEqual(parsed.served, STATUS.served)
        self.assertEqual(parsed.control_plane, "registered http://c:8081")
        self.assertEqual(
            (parsed.tiers[0].name, parsed.tiers[0].capacity), ("memory", 2)
        )
        self.assertEqual(parsed.members[0].zone, "rack")

    def test_token(self) -> None:
        """
        Where there is a token, the API wants it, whatever the path; probes and metrics
        do not.
        """
        for path in ("/api", "/api/", "/api/v1/status", "/api/nothing"):
            code, _ = self.ask(path, TOKEN)
            self.assertEqual(code, 404 if path == "/api" else 401, path)
            code, _ = self.ask(path, TOKEN, "Authorization: Bearer wrong")
            self.assertEqual(code, 404 if path == "/api" else 403, path)
        right = f"Authorization: Bearer {TOKEN.decode()}"
        self.assertEqual(self.ask("/api/v1/status", TOKEN, right)[0], 200)
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(self.ask(path, TOKEN)[0], 200)

    def test_token_never_shown(self) -> None:
        """
        No refusal repeats the token, or what was given instead.
        """
        for header in ("Authorization: Bearer wrong", "X-Nothing: 1"):
            _, body = self.ask("/api/v1/status", TOKEN, header)
            self.assertNotIn(TOKEN, body)
            self.assertNotIn(b"wrong", body)

    def test_odd_tokens(self) -> None:
        """
        A token of bytes that are no text is refused like any other.
        """
        answer = self.say(
            b"GET /api/v1/status HTTP/1.0\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
            TOKEN,
        )
        self.assertTrue(answer.startswith(b"HTTP/1.0 403 "), answer)

    def test_nothing_there(self) -> None:
        """
        Other paths are not found, other methods not allowed.
        """
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/nothing")[0], 404)
        for method in (b"POST", b"PUT", b"X\xff"):
            answer = self.say(method + b" /metrics HTTP/1.0\r\n\r\n")
            self.assertIn(answer[:13], {b"HTTP/1.0 405 ", b"HTTP/1.1 400 "}, method)

    def test_head(self) -> None:
        """
        HEAD tells the length of the page and holds none of it.
        """
        answer = self.say(b"HEAD /healthz HTTP/1.0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertIn(b"Content-Length: 3\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))


class ServiceTests(SynchronousTestCase):
    """
    The port itself.
    """

    def setUp(self) -> None:
        """
        Make a machine.
        """
        self.clock = Clock()
        self.host = SimNetwork(self.clock, random.Random(1)).host("10.0.0.1")

    def server(self) -> AdminServer:
        """
        Make a service on the machine.
        """
        site = admin_site(Metrics(), lambda: STATUS, b"", self.clock)
        return AdminServer(site, self.host, "10.0.0.1", 8082)

    def test_life(self) -> None:
        """
        The port is open while the service runs, and can be had again afterwards.
        """
        for _ in range(2):
            server = self.server()
            server.startService()
            self.assertRaises(CannotListenError, self.host.listen, "", 8082, Factory())
            self.successResultOf(server.stopService())

    def test_taken(self) -> None:
        """
        A port that somebody else has is told with the setting that chooses another.
        """
        self.server().startService()
        other = self.server()
        error = self.assertRaises(StartError, other.startService)
        self.assertIn("[admin] listen_port", str(error))
        # Stopping what never started does no harm.
        self.successResultOf(other.stopService())

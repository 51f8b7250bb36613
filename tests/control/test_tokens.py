"""
Tests for :mod:`eliop2p.control.tokens`.
"""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.secret import Secret
from eliop2p.control.routes import ROUTES
from eliop2p.control.tokens import Role, read_token
from tests.control.server_case import Reply, ask, register
from tests.control.support import Server, node

JOIN, ADMIN = "join-s3cret", "admin-s3cret@1970-01-02T00:00:00Z"
POLICY = {"min_replicas": 1, "max_replicas": 2}
DAY = 86400.0


class TokenTests(SynchronousTestCase):
    """
    What the two tokens promise.
    """

    def setUp(self) -> None:
        """
        Start with both; the operators' holds for a day.
        """
        self.server = Server(JOIN, ADMIN)
        self.events = self.enterContext(capturedLogs())

    def ask(self, token: str, method: str, path: str, body: object = None) -> Reply:
        """
        Make a request with a token.
        """
        headers = {"Authorization": f"Bearer {token}"}
        return ask(self.server, method, f"/api/v1/{path}", body, headers)

    def test_roles(self) -> None:
        """
        Nodes may not change the policy; operators may do everything.
        """
        refused = self.ask(JOIN, "PUT", "replication", POLICY)
        self.assertEqual(refused.status, 403)
        self.assertIn(b"admin_token", refused.body)
        self.assertEqual(self.server.metrics.refused["not_operator"], 1)
        for token in (JOIN, ADMIN):
            self.assertEqual(self.ask(token, "GET", "replication").status, 200)
            self.assertEqual(self.ask(token, "GET", "nodes").status, 200)
        self.assertEqual(self.ask(ADMIN, "PUT", "replication", POLICY).status, 200)

    def test_expired(self) -> None:
        """
        A token is refused from its moment on, with a remedy, and counted.
        """
        self.server.clock.advance(DAY - 1)
        self.assertEqual(self.ask(ADMIN, "GET", "nodes").status, 200)
        self.server.clock.advance(1)
        refused = self.ask(ADMIN, "GET", "nodes")
        self.assertEqual(refused.status, 401)
        self.assertIn("invalid_token", refused.headers["www-authenticate"])
        self.assertEqual(self.server.metrics.refused["expired_token"], 1)

    def test_whole(self) -> None:
        """
        The moment is a part of the token: another one is another token.
        """
        other = ADMIN.replace("1970", "2970")
        self.assertEqual(self.ask(other, "GET", "nodes").status, 403)

    def test_at_sign(self) -> None:
        """
        An at sign before anything but a moment has no meaning.
        """
        token = read_token(Secret("a@b"))
        assert token is not None
        self.assertIsNone(token.expires)

    def test_operators_only(self) -> None:
        """
        Without a token of nodes, the operators' still guards what is theirs.
        """
        self.server = Server("", ADMIN)
        self.assertEqual(register(self.server).status, 200)
        self.assertEqual(
            ask(self.server, "PUT", "/api/v1/replication", POLICY).status, 401
        )
        self.assertEqual(self.ask(ADMIN, "PUT", "replication", POLICY).status, 200)

    def test_shared(self) -> None:
        """
        Without a token of operators, that of nodes opens everything.
        """
        self.server = Server(JOIN)
        self.assertEqual(self.ask(JOIN, "PUT", "replication", POLICY).status, 200)

    def test_nowhere(self) -> None:
        """
        No token, right or wrong, is in an answer, a log event or the metrics.
        """
        seen = b""
        for token in (JOIN, ADMIN, "guessed-t0ken"):
            for route in ROUTES:
                path = "/".join(route.path[2:]) or "nodes"
                path = path.replace("{id}", "node-1").replace("{command}", "c")
                seen += self.ask(token, route.method, path, {}).body
        self.ask(JOIN, "POST", "nodes", {"node_id": node().node_id})
        seen += ask(self.server, "GET", "/metrics").body
        told = seen.decode() + repr(self.events) + repr(self.server.resource.__dict__)
        for secret in (JOIN, ADMIN, "guessed-t0ken"):
            self.assertNotIn(secret, told)

    def test_open(self) -> None:
        """
        What is open to anybody changes nothing.
        """
        routes = [route for route in ROUTES if route.role is Role.ANYBODY]
        self.assertEqual({route.method for route in routes}, {"GET"})

"""
Tests for who may ask the control plane.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.routes import ROUTES, Route
from eliop2p.control.tokens import Role
from tests.control.server_case import NODES, ask
from tests.control.support import Server


class TokenTests(SynchronousTestCase):
    """
    What the token promises.
    """

    def setUp(self) -> None:
        """
        Start with a token.
        """
        self.server = Server(token="s3cret")

    def status(self, route: Route, authorization: str | None = None) -> int:
        """
        Make a route's request, with an Authorization or without.
        """
        headers = None if authorization is None else {"Authorization": authorization}
        path = "/" + "/".join(route.path)
        path = path.replace("{id}", "node-1").replace("{command}", "c-1")
        return ask(self.server, route.method, path, {}, headers).status

    def test_guarded(self) -> None:
        """
        Every path of the API asks for the token: without it 401, with another 403.
        """
        guarded = [route for route in ROUTES if route.role is not Role.ANYBODY]
        api = [route for route in ROUTES if route.path[0] == "api"]
        self.assertEqual({"openapi"}, {r.name for r in api} - {r.name for r in guarded})
        for route in guarded:
            self.assertEqual(self.status(route), 401, route)
            for wrong in (
                "Bearer other",
                "Bearer s3cre",
                "Bearer ",
                "Basic s3cret",
                "",
            ):
                self.assertEqual(self.status(route, wrong), 403, (route, wrong))
            self.assertIn(self.status(route, "Bearer s3cret"), (200, 400, 404), route)
        self.assertEqual(self.server.metrics.refused["no_token"], len(guarded))
        self.assertEqual(self.server.metrics.refused["wrong_token"], 5 * len(guarded))

    def test_open(self) -> None:
        """
        Health, Prometheus' metrics and the description of the API ask for nothing.
        """
        for route in ROUTES:
            if route.role is Role.ANYBODY:
                self.assertEqual(self.status(route), 200)

    def test_not_told(self) -> None:
        """
        A refusal says how to show the token and shows neither token.
        """
        reply = ask(
            self.server, "GET", NODES, headers={"Authorization": "Bearer guess"}
        )
        self.assertIn(b"Bearer TOKEN", reply.body)
        self.assertNotIn(b"guess", reply.body)
        self.assertNotIn(b"s3cret", reply.body)
        self.assertEqual(
            ask(self.server, "GET", NODES).headers["www-authenticate"], "Bearer"
        )

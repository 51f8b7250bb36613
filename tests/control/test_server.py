"""
Tests for :mod:`eliop2p.control.server`.
"""

from urllib.parse import quote

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.answers import MAX_BODY
from eliop2p.control.messages import is_node_id
from eliop2p.control.routes import ROUTES, Route
from tests.control.server_case import NODES, Reply, ask, register
from tests.control.support import Server, chunk_id, node
from tests.control.test_messages import HEARTBEAT, json_values


class ServerTests(SynchronousTestCase):
    """
    What the API promises.
    """

    def setUp(self) -> None:
        """
        Start without a token.
        """
        self.server = Server()

    def heartbeat(self, node_id: str, version: int) -> Reply:
        """
        Beat.
        """
        path = f"{NODES}/{quote(node_id, safe='')}/heartbeat"
        return ask(
            self.server, "PUT", path, HEARTBEAT | {"membership_version": version}
        )

    def test_register(self) -> None:
        """
        A registration gives the whole membership with its version and is kept.
        """
        reply = register(self.server, "b")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["content-type"], "application/json")
        self.assertIn("date", reply.headers)
        reply = register(self.server, "a")
        self.assertEqual(
            reply.json(),
            {
                "version": 3,
                "adjusts": True,
                "nodes": [attrs.asdict(node("a")), attrs.asdict(node("b"))],
            },
        )
        self.assertEqual(len(self.server.database.load().nodes), 2)

    def test_heartbeat(self) -> None:
        """
        A heartbeat with the current version gets no nodes, one with a known version
        what has changed since, one with another all.
        """
        register(self.server)
        told = self.heartbeat("node-1", 2).json()
        self.assertEqual(told, {"version": 2, "adjusts": True})
        told = self.heartbeat("node-1", 1).json()
        self.assertEqual((told["since"], told["gone"]), (1, []))
        self.assertEqual(told["changed"], [attrs.asdict(node())])
        told = self.heartbeat("node-1", 3).json()
        self.assertEqual(told["nodes"], [attrs.asdict(node())])
        self.assertEqual(self.server.metrics.heartbeats, 3)

    def test_unknown_node(self) -> None:
        """
        Whatever only a registered node may do is answered 404 with the remedy.
        """
        for reply in (
            self.heartbeat("ghost", 1),
            ask(self.server, "DELETE", f"{NODES}/ghost"),
            ask(self.server, "PUT", f"{NODES}/ghost/chunks", {"held": []}),
        ):
            self.assertEqual((reply.status, reply.field), (404, "node_id"))
        self.assertEqual(self.server.metrics.refused["unknown_node"], 3)

    def test_leave(self) -> None:
        """
        A node that leaves is gone from the list and from the database.
        """
        register(self.server)
        reply = ask(self.server, "DELETE", f"{NODES}/node-1")
        self.assertEqual(reply.json(), {"version": 3})
        self.assertEqual(ask(self.server, "GET", NODES).json()["nodes"], [])
        self.assertEqual(self.server.database.load().nodes, ())

    def test_locations(self) -> None:
        """
        Reported chunks are found until they are reported gone.
        """
        register(self.server)
        one, two = chunk_id(1).hex(), chunk_id(2).hex()
        path = f"{NODES}/node-1/chunks"
        reply = ask(self.server, "PUT", path, {"held": [one, two]})
        self.assertEqual(reply.json(), {"locations": 2, "ignored": 0})
        ask(self.server, "PUT", path, {"gone": [one]})
        found = ask(
            self.server, "POST", "/api/v1/chunks/locations", {"chunk_ids": [one, two]}
        )
        self.assertEqual(
            found.json()["locations"],
            {
                one: {"holders": 0, "nodes": []},
                two: {"holders": 1, "nodes": ["node-1"]},
            },
        )

    def test_odd_names(self) -> None:
        """
        A node may have any printable name: slashes, spaces, percent signs, other
        scripts.
        """
        for node_id in ("a/b", "a b", "100%", "%2F", "köln", "节点", "?x=1#y", "..."):
            register(self.server, node_id)
            self.assertEqual(self.heartbeat(node_id, 0).status, 200, node_id)
            path = f"{NODES}/{quote(node_id, safe='')}"
            self.assertEqual(ask(self.server, "DELETE", path).status, 200, node_id)

    def test_impossible_names(self) -> None:
        """
        A path whose node cannot exist is refused as such.
        """
        for segment in ("%FF", "%00", "", "x" * 256):
            reply = ask(self.server, "DELETE", f"{NODES}/{segment}")
            self.assertEqual((reply.status, reply.field), (400, "node_id"), segment)

    def test_full(self) -> None:
        """
        One node too many is refused, and those that are there go on.
        """
        self.server = Server(max_nodes=1)
        register(self.server, "a")
        reply = register(self.server, "b")
        self.assertEqual((reply.status, reply.field), (503, "node_id"))
        self.assertEqual(register(self.server, "a").status, 200)

    def test_unknown_path(self) -> None:
        """
        A path that leads nowhere is answered 404 in JSON.
        """
        for path in ("/", "/api", "/api/v1/nodes/", "/api/v1/nodes/a/b/c", "/health/"):
            reply = ask(self.server, "GET", path)
            self.assertIn(reply.status, (404, 405), path)
            self.assertIn(reply.field, ("path", "method"))

    def test_wrong_method(self) -> None:
        """
        A method that the path does not know is answered 405 with those it knows.
        """
        reply = ask(self.server, "PATCH", NODES)
        self.assertEqual(reply.status, 405)
        self.assertEqual(reply.headers["allow"], "GET, HEAD, POST")
        self.assertEqual(
            ask(self.server, "GET", f"{NODES}/a").headers["allow"], "DELETE"
        )
        self.assertEqual(ask(self.server, "BREW", "/health").status, 405)

    def test_head(self) -> None:
        """
        HEAD gives the head of GET.
        """
        got = ask(self.server, "GET", "/health")
        head = ask(self.server, "HEAD", "/health")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["content-length"], str(len(got.body)))

    def test_health(self) -> None:
        """
        Health tells whether the database can be written.
        """
        self.assertEqual(
            ask(self.server, "GET", "/health").body, b'{"database":"ok","status":"ok"}'
        )
        self.server.journal.failing = True
        reply = ask(self.server, "GET", "/health")
        self.assertEqual((reply.status, reply.json()["database"]), (200, "failing"))

    def test_counts(self) -> None:
        """
        Nodes, chunks, heartbeats, answers and refusals are counted, in JSON and for
        Prometheus.
        """
        register(self.server)
        self.heartbeat("node-1", 2)
        ask(
            self.server,
            "PUT",
            f"{NODES}/node-1/chunks",
            {"held": [chunk_id(1).hex()]},
        )
        ask(self.server, "POST", NODES, b"no JSON")
        counts = ask(self.server, "GET", "/api/v1/metrics").json()
        self.assertEqual(counts["requests"], {"200": 3, "400": 1})
        reply = ask(self.server, "GET", "/metrics")
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        lines = reply.body.decode().splitlines()
        for line in (
            "eliop2p_control_nodes 1.0",
            "eliop2p_control_chunks 1.0",
            "eliop2p_control_heartbeats_total 1.0",
            'eliop2p_control_requests_total{code="200"} 4.0',
            'eliop2p_control_refused_total{reason="bad_message"} 1.0',
        ):
            self.assertIn(line, lines)

    def test_body_bound(self) -> None:
        """
        A body of 2 MiB is read, one byte more is not.
        """
        fits = b" " * (MAX_BODY - 2) + b"{}"
        self.assertEqual(ask(self.server, "POST", NODES, fits).field, "node_id")
        self.assertEqual(ask(self.server, "POST", NODES, fits + b" ").status, 413)

    @settings(deadline=None)
    @given(
        route=st.sampled_from(ROUTES),
        body=st.binary() | json_values,
        node_id=st.sampled_from(["node-1", "ghost", "a/b"]),
    )
    def test_any_body(self, route: Route, body: object, node_id: str) -> None:
        """
        No body whatever makes the server fail.
        """
        server = Server()
        register(server)
        path = "/" + "/".join(route.path).replace("{id}", quote(node_id, safe=""))
        reply = ask(server, route.method, path, body)
        self.assertLess(reply.status, 500)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(deadline=None)
    @given(
        fields=st.dictionaries(
            st.sampled_from([*attrs.asdict(node()), *HEARTBEAT, "held", "chunk_ids"]),
            json_values,
        ),
        route=st.sampled_from(ROUTES),
    )
    def test_any_fields(self, fields: dict[str, object], route: Route) -> None:
        """
        No value of a known field makes the server fail.
        """
        server = Server()
        register(server)
        path = "/" + "/".join(route.path)
        path = path.replace("{id}", "node-1").replace("{command}", "c-1")
        base = attrs.asdict(node()) | HEARTBEAT | {"held": [], "chunk_ids": []}
        self.assertLess(ask(server, route.method, path, base | fields).status, 500)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(deadline=None)
    @given(
        method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"]),
        segments=st.lists(st.binary(max_size=8), max_size=6),
    )
    def test_any_path(self, method: str, segments: list[bytes]) -> None:
        """
        No path whatever makes the server fail.
        """
        path = "/api/v1/nodes/" + "/".join(quote(part, safe="") for part in segments)
        self.assertLess(ask(Server(), method, path).status, 500)
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(text=st.text())
    def test_names_in_paths(self, text: str) -> None:
        """
        A name that registers is a name that can beat.
        """
        if is_node_id(text):
            server = Server()
            self.assertEqual(register(server, text).status, 200)
            path = f"{NODES}/{quote(text, safe='')}/heartbeat"
            self.assertEqual(ask(server, "PUT", path, HEARTBEAT).status, 200)

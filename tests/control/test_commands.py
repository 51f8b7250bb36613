"""
Tests for the commands and the policy in the control plane's API.
"""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.openapi import describe_api
from eliop2p.control.orders import (
    ChunkRef,
    Kind,
    Order,
    OrderBook,
    OrderConflict,
    OrdersFull,
    Outcome,
    State,
    UnknownOrder,
)
from eliop2p.control.policy import Policy, Rule, wanted_replicas
from eliop2p.control.routes import ROUTES
from tests.control.server_case import Reply, ask, register
from tests.control.support import Server, chunk_id

COMMANDS = "/api/v1/nodes/node-1/commands"
CHUNK = {"chunk_id": chunk_id(1).hex(), "length": 5}
COMMAND = {"id": "c-1", "kind": "replicate", "chunks": [CHUNK]}


def order(name: str = "c-1", length: int = 5) -> Order:
    """
    Make a command.
    """
    return Order(name, Kind.REPLICATE, (ChunkRef(chunk_id(1), length),))


class OrderBookTests(SynchronousTestCase):
    """
    What is promised of commands.
    """

    def test_idempotent(self) -> None:
        """
        A command given twice is one; another one of its name is refused.
        """
        book = OrderBook()
        first = book.give("n", order(), 1.0)
        self.assertIs(book.give("n", order(), 2.0), first)
        self.assertEqual(book.count("n"), 1)
        self.assertRaises(OrderConflict, book.give, "n", order(length=6), 3.0)
        done = book.end("n", "c-1", Outcome(State.DONE, 5))
        self.assertIs(book.give("n", order(), 4.0), done)
        self.assertEqual(book.count("n"), 0)

    def test_first_word(self) -> None:
        """
        What a node says first of a command stands.
        """
        book = OrderBook()
        book.give("n", order(), 1.0)
        book.end("n", "c-1", Outcome(State.DONE, 5))
        book.end("n", "c-1", Outcome(State.FAILED))
        found = book.find("n", "c-1")
        assert found is not None
        self.assertEqual(found.outcome, Outcome(State.DONE, 5))

    def test_failed(self) -> None:
        """
        A command that has failed may be given again.
        """
        book = OrderBook()
        book.give("n", order(), 1.0)
        book.end("n", "c-1", Outcome(State.FAILED, 0, "no room"))
        book.give("n", order(), 2.0)
        self.assertEqual(book.waiting("n"), (order(),))
        self.assertEqual(len(list(book.all())), 1)

    def test_bounds(self) -> None:
        """
        So many may wait for a node, and so many that have ended are remembered.
        """
        book = OrderBook(max_waiting=3, max_ended=2)
        for name in "abc":
            book.give("n", order(name), 1.0)
        self.assertRaises(OrdersFull, book.give, "n", order("d"), 1.0)
        book.give("other", order("d"), 1.0)
        for name in "abc":
            book.end("n", name, Outcome(State.DONE))
        self.assertEqual(
            [standing.order.command_id for standing in book.all()], ["b", "c", "d"]
        )
        self.assertRaises(UnknownOrder, book.end, "n", "a", Outcome(State.DONE))
        book.drop("other")
        self.assertEqual(book.count("other"), 0)


class CommandTests(SynchronousTestCase):
    """
    What the API promises of commands and policy.
    """

    def setUp(self) -> None:
        """
        Register a node.
        """
        self.server = Server()
        register(self.server)

    def put(self, policy: object) -> Reply:
        """
        Send a policy.
        """
        return ask(self.server, "PUT", "/api/v1/replication", policy)

    def test_life(self) -> None:
        """
        A command is announced with the heartbeat, handed out until it is acknowledged,
        shown afterwards, and counted.
        """
        self.assertEqual(ask(self.server, "POST", COMMANDS, COMMAND).status, 202)
        self.assertEqual(register(self.server).json()["commands"], 1)
        told = ask(self.server, "GET", COMMANDS).json()
        self.assertEqual(told, {"commands": [COMMAND]})
        done = {"state": "done", "bytes": 5}
        self.assertEqual(
            ask(self.server, "PUT", f"{COMMANDS}/c-1", done).json()["state"], "done"
        )
        self.assertEqual(ask(self.server, "GET", COMMANDS).json(), {"commands": []})
        self.assertNotIn("commands", register(self.server).json())
        shown = ask(self.server, "GET", "/api/v1/commands").json()["commands"]
        assert isinstance(shown, list)
        self.assertEqual((shown[0]["node_id"], shown[0]["bytes"]), ("node-1", 5))
        counts = self.server.metrics.commands
        self.assertEqual(counts, {"given": 1, "done": 1, "failed": 0})

    def test_refusals(self) -> None:
        """
        A command for nobody, about nothing, of another name's or unknown is refused.
        """
        ghost = ask(self.server, "POST", "/api/v1/nodes/ghost/commands", COMMAND)
        self.assertEqual((ghost.status, ghost.field), (404, "node_id"))
        for wrong, field in (
            (COMMAND | {"chunks": []}, "chunks"),
            (COMMAND | {"kind": "format"}, "kind"),
            (COMMAND | {"kind": "migrate"}, "to"),
            (COMMAND | {"id": "../x"}, "id"),
            (COMMAND | {"chunks": [CHUNK | {"length": 0}]}, "chunks[0].length"),
        ):
            reply = ask(self.server, "POST", COMMANDS, wrong)
            self.assertEqual((reply.status, reply.field), (400, field))
        ask(self.server, "POST", COMMANDS, COMMAND)
        other = COMMAND | {"kind": "evict"}
        self.assertEqual(ask(self.server, "POST", COMMANDS, other).status, 409)
        reply = ask(self.server, "PUT", f"{COMMANDS}/c-2", {"state": "done"})
        self.assertEqual((reply.status, reply.field), (404, "id"))
        reply = ask(self.server, "PUT", f"{COMMANDS}/c-1", {"state": "waiting"})
        self.assertEqual((reply.status, reply.field), (400, "state"))

    def test_policy(self) -> None:
        """
        A policy is checked, versioned, and survives a restart.
        """
        rule = {"prefix": "s3://b/p", "replicas": 3, "pinned": True}
        policy = {"min_replicas": 2, "max_replicas": 4, "rules": [rule]}
        self.assertEqual(self.put(policy).json()["version"], 1)
        self.assertEqual(self.put(policy | {"version": 1}).json()["version"], 2)
        stale = self.put(policy | {"version": 1})
        self.assertEqual((stale.status, stale.field), (409, "version"))
        for wrong, field in (
            (policy | {"max_replicas": 1}, "max_replicas"),
            (policy | {"rules": [rule, rule]}, "rules[1].prefix"),
            (policy | {"rules": [rule | {"prefix": "b/p"}]}, "rules[0].prefix"),
            (policy | {"rules": [rule | {"replicas": 65}]}, "rules[0].replicas"),
            (policy | {"rules": [rule | {"pinned": 1}]}, "rules[0].pinned"),
        ):
            reply = self.put(wrong)
            self.assertEqual((reply.status, reply.field), (400, field))
        saved = self.server.database.load().policy
        self.assertEqual(saved, Policy(2, 4, (Rule("s3://b/p", 3, pinned=True),), 2))

    def test_waiting(self) -> None:
        """
        A question that nobody waits for any more is forgotten.
        """
        version = self.server.registry.version
        self.assertEqual(self.server.metrics.waiting(), 0)
        reply = ask(self.server, "GET", f"/api/v1/membership?version={version}")
        self.assertEqual(reply.json(), {"version": version})
        for wrong in ("version=x", "wait=61", "version=1&version=2", "version=-1"):
            reply = ask(self.server, "GET", f"/api/v1/membership?{wrong}")
            self.assertEqual(reply.status, 400)

    def test_openapi(self) -> None:
        """
        The served document describes every route and no other.
        """
        document = ask(self.server, "GET", "/api/v1/openapi.json").json()
        self.assertEqual(document, json.loads(json.dumps(describe_api(ROUTES))))
        paths = document["paths"]
        assert isinstance(paths, dict)
        titles = {
            f"{method.upper()} {path}" for path in paths for method in paths[path]
        }
        self.assertEqual(titles, {route.title for route in ROUTES})


class PolicyTests(SynchronousTestCase):
    """
    What is promised of the number of replicas.
    """

    RULES = (Rule("s3://b/", 4), Rule("s3://b/deep/", 2, pinned=True))

    def test_longest(self) -> None:
        """
        The longest prefix that covers an object holds.
        """
        policy = Policy(1, 5, self.RULES)
        self.assertEqual(policy.rule_for(b"b", b"k"), self.RULES[0])
        self.assertEqual(policy.rule_for(b"b", b"deep/k"), self.RULES[1])
        self.assertIsNone(policy.rule_for(b"c", b"deep/k"))

    def test_heat(self) -> None:
        """
        Cold chunks have the minimum, hot ones the maximum, pinned ones their own.
        """
        policy = Policy(1, 5, self.RULES)
        for heat, wanted in ((0.0, 1), (9.9, 1), (55.0, 3), (101.0, 5), (1e9, 5)):
            self.assertEqual(wanted_replicas(policy, None, heat), wanted)
        self.assertEqual(wanted_replicas(policy, self.RULES[0], 1000.0), 4)
        for heat in (0.0, 1000.0):
            self.assertEqual(wanted_replicas(policy, self.RULES[1], heat), 2)

    @given(
        st.integers(1, 8), st.integers(0, 8), st.lists(st.floats(0, 1000), max_size=9)
    )
    def test_monotonous(self, low: int, more: int, heats: list[float]) -> None:
        """
        More heat never means fewer replicas, and the bounds hold.
        """
        policy = Policy(low, low + more)
        counts = [wanted_replicas(policy, None, heat) for heat in sorted(heats)]
        self.assertEqual(counts, sorted(counts))
        for count in counts:
            self.assertTrue(low <= count <= low + more)

    def test_rules(self) -> None:
        """
        A rule replaces the one for its prefix, and can be taken out.
        """
        policy = Policy(1, 5, self.RULES)
        changed = policy.with_rule(Rule("s3://b/", 7))
        self.assertEqual(len(changed.rules), 2)
        self.assertEqual(changed.rule_for(b"b", b"k"), Rule("s3://b/", 7))
        self.assertEqual(changed.without("s3://b/").rules, self.RULES[1:])

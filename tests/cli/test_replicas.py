"""
Tests for :mod:`eliop2p.cli.replicas`.
"""

import json
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.capture import run_cli
from tests.cli.test_evict import AdminServer

PREFIX = "s3://models/llama/"
RULE = {"prefix": PREFIX, "replicas": 3, "pinned": True}
POLICY = {"min_replicas": 1, "max_replicas": 5, "rules": [RULE], "version": 4}
OBJECTS = {
    "found": 3,
    "objects": [
        {
            "bucket": "models",
            "key": "llama/a",
            "etag": '"e"',
            "size": 3 << 20,
            "chunks": 3,
            "held": 3,
            "replicas": 1,
            "nodes": {"node-1": 3, "node-2": 2},
        }
    ],
}


class ReplicasTests(SynchronousTestCase):
    """
    ``eliop2p pin``, ``unpin``, ``replicas`` and ``objects``.
    """

    def serve(self, answer: object) -> AdminServer:
        """
        Answer the next request.
        """
        server = AdminServer(json.dumps(answer).encode(), 200)
        thread = Thread(target=server.handle_request)
        server.timeout = 10
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        return server

    def ask(self, answer: object, *arguments: str) -> tuple[object, str]:
        """
        Run a command against a server, and give what it asked and what it printed.
        """
        server = self.serve(answer)
        ran = run_cli(*arguments, "--admin", server.url)
        self.assertEqual(ran.code, 0, ran.errors)
        return server.seen[0][3], ran.output

    def test_rules(self) -> None:
        """
        Each command asks for what it says, and shows what holds then.
        """
        asked, shown = self.ask(POLICY, "pin", PREFIX, "--replicas", "3")
        self.assertEqual(asked, {"set": RULE})
        self.assertIn(f"{PREFIX}: pinned 3", shown)
        self.assertIn("1 when cold to 5 when hot", shown)
        asked, _ = self.ask(POLICY, "unpin", PREFIX)
        self.assertEqual(asked, {"remove": PREFIX})
        asked, _ = self.ask(POLICY, "replicas", "4", PREFIX)
        rule = {"prefix": PREFIX, "replicas": 4, "pinned": False}
        self.assertEqual(asked, {"set": rule})
        asked, shown = self.ask(POLICY, "replicas", "--json")
        self.assertEqual(asked, {})
        self.assertEqual(json.loads(shown), POLICY)

    def test_objects(self) -> None:
        """
        Who holds all of an object is named, who holds a part with how much.
        """
        asked, shown = self.ask(OBJECTS, "objects", PREFIX)
        self.assertEqual(asked, {"prefix": PREFIX})
        self.assertIn("s3://models/llama/a: 3.0 MiB, 3 of 3 chunks held", shown)
        self.assertIn("node-1, node-2 (2/3)", shown)
        self.assertIn("and 2 more", shown)

    def test_usage(self) -> None:
        """
        Half of what is needed is a usage error.
        """
        self.assertEqual(run_cli("replicas", "4").code, 64)
        self.assertEqual(run_cli("pin", PREFIX, "--replicas", "65").code, 64)

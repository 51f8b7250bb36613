"""
Tests for what operators look at: ``peers``, ``top``, ``explain``, ``completion``.
"""

import json

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin.explain import explanation, summary
from eliop2p.model.trail import RequestTrail
from tests.admin.test_explain import ASKED, GAVE, sent
from tests.cli.admin_double import answering
from tests.cli.capture import run_cli

PEERS = {
    "node_id": "n1",
    "members": [
        {"node_id": name, "host": "h", "port": 9000, "zone": "rack-7"}
        for name in ("n1", "n2", "n3", "n4")
    ],
    "peers": [
        {
            "node_id": name,
            "rate": 1 << 20,
            "latency": 0.0015,
            "failures": failures,
            "in_flight": 2,
            "offences": 0,
            "banned_for": banned,
        }
        for name, failures, banned in (("n2", 1.0, 0.0), ("n3", 0.0, 90.0))
    ],
}
TRAIL = RequestTrail("id1", b"GET", b"/b/\x1b[31mkey", 1000.0)
TRAIL.seconds = 1.5
TRAIL.add(sent(0, "peer", ASKED, GAVE))
STATUS = {
    "node_id": "n1",
    "uptime": 5.0,
    "served": {"memory": 1 << 20, "origin": 1 << 20},
    "origin_bytes": 1 << 20,
}


class PeersTests(SynchronousTestCase):
    """
    ``eliop2p peers``.
    """

    def test_table(self) -> None:
        """
        Each member has its line, in words when something is wrong with it.
        """
        with answering({"/api/v1/peers": PEERS}) as url:
            ran = run_cli("peers", "--admin", url)
        self.assertEqual(ran.code, 0)
        lines = ran.output.splitlines()
        for line, end in zip(
            lines[1:],
            ("this node", "failed lately", "not asked for 1 min 30 s", "not asked yet"),
            strict=True,
        ):
            self.assertTrue(line.rstrip().endswith(end), line)
        self.assertIn("1.0 MiB/s", lines[2])

    def test_json(self) -> None:
        """
        Scripts get the node's own answer.
        """
        with answering({"/api/v1/peers": PEERS}) as url:
            ran = run_cli("peers", "--json", "--admin", url)
        self.assertEqual(json.loads(ran.output), PEERS)


class TopTests(SynchronousTestCase):
    """
    ``eliop2p top``.
    """

    def test_looks(self) -> None:
        """
        It looks as often as it is told to, and shows shares and requests.
        """
        pages = {
            "/api/v1/status": STATUS,
            "/api/v1/requests": {"requests": [summary(TRAIL)]},
        }
        with answering(pages) as url:
            few = ("--interval", "0.2", "--count", "2", "--admin", url)
            ran = run_cli("top", *few)
            lines = run_cli("top", "--json", *few).output.splitlines()
        self.assertEqual(ran.code, 0)
        self.assertIn("50.0 %", ran.output)
        self.assertIn("id1", ran.output)
        self.assertNotIn("\x1b[31mkey", ran.output)
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(lines[0])["rates"]["memory"], 0.0)


class ExplainTests(SynchronousTestCase):
    """
    ``eliop2p explain``.
    """

    def test_table(self) -> None:
        """
        Each chunk has its line, with the node that gave it; steps are shown on demand.
        """
        pages: dict[str, object] = {"/api/v1/explain/id1": explanation(TRAIL)}
        with answering(pages) as url:
            short = run_cli("explain", "id1", "--admin", url)
            whole = run_cli("explain", "id1", "--steps", "--admin", url)
        self.assertIn("peer gpu-3", short.output)
        self.assertNotIn("\x1b[31m", short.output)
        self.assertNotIn("gpu-2", short.output)
        self.assertIn("gpu-2, gpu-3", whole.output)

    def test_no_name(self) -> None:
        """
        What cannot be a request's name is refused before anybody is asked.
        """
        for name in ("../status", "", "a b", "x" * 65):
            self.assertEqual(run_cli("explain", name).code, 64)


class TroubleTests(SynchronousTestCase):
    """
    What goes wrong.
    """

    COMMANDS = (["peers"], ["top", "--count", "1"], ["explain", "id1"])

    def test_something_else(self) -> None:
        """
        Whatever is no answer of a node is called that, without a traceback.
        """
        others: list[object] = [b"<html>", [], {"node_id": 1}, {"requests": 1}, None]
        for page in others:
            pages: dict[str, object] = {
                f"/api/v1/{name}": page
                for name in ("peers", "status", "requests", "explain/id1")
            }
            with answering(pages) as url:
                for command in self.COMMANDS:
                    ran = run_cli(*command, "--admin", url)
                    self.assertEqual((ran.code, ran.output), (1, ""), (command, page))
                    self.assertIn(url, ran.errors)

    def test_nobody(self) -> None:
        """
        Where nobody listens, the address and what to check are named.
        """
        with answering({}) as url:
            pass
        for command in self.COMMANDS:
            ran = run_cli(*command, "--admin", url)
            self.assertEqual(ran.code, 1)
            self.assertIn(url, ran.errors)
            self.assertIn("check that the node runs", ran.errors)

    def test_mistyped(self) -> None:
        """
        The nearest command or option is suggested.
        """
        for command, meant in (
            (["pers"], "peers"),
            (["stauts"], "status"),
            (["explain", "id1", "--step"], "--steps"),
            (["peers", "--jsn"], "--json"),
        ):
            ran = run_cli(*command)
            self.assertEqual(ran.code, 64)
            self.assertIn(meant, ran.errors)


class CompletionTests(SynchronousTestCase):
    """
    ``eliop2p completion``.
    """

    def test_shells(self) -> None:
        """
        Each shell gets a script that asks this program.
        """
        for shell in ("bash", "zsh", "fish"):
            ran = run_cli("completion", shell)
            self.assertEqual(ran.code, 0)
            self.assertIn("_ELIOP2P_COMPLETE", ran.output)
        self.assertEqual(run_cli("completion", "tcsh").code, 64)

"""
Tests for :mod:`eliop2p.cli.status`.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cli.show import readable_bytes, readable_seconds
from eliop2p.cli.status import parse_status
from tests.cli.capture import run_cli

ANSWER = {
    "node_id": "gpu-7",
    "version": "0.1.0",
    "uptime": 90061.5,
    "members": [
        {"node_id": "gpu-7", "host": "10.0.0.7", "port": 9000, "zone": "[rack]"},
        {"node_id": "gpu-8", "host": "10.0.0.8", "port": 9000, "zone": ""},
    ],
    "control_plane": {"state": "registered", "endpoint": "http://c:8081"},
    "tiers": {
        "memory": {"used": 1 << 20, "capacity": 1 << 32, "chunks": 3, "degraded": ""},
        "disk": {"used": 0, "capacity": 10, "chunks": 0, "degraded": "disk is full"},
    },
    "served": {"memory": 5, "disk": 0, "peer": 3 << 30, "origin": 0, "relay": 0},
    "ready": True,
}


class _Answers(BaseHTTPRequestHandler):
    """
    Answers as the server was told to.
    """

    server: "AdminServer"

    def do_GET(self) -> None:
        """
        Note the request and answer it.
        """
        self.server.seen.append((self.path, self.headers["Authorization"] or ""))
        self.send_response(self.server.code)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """
        Say nothing.
        """


class AdminServer(HTTPServer):
    """
    Stands for the admin server of a node.
    """

    def __init__(self, body: bytes, code: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.body = body
        self.code = code
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """
        Where it is.
        """
        return f"http://127.0.0.1:{self.server_port}"


class StatusTests(SynchronousTestCase):
    """
    ``eliop2p status``.
    """

    def serve(self, body: bytes, code: int = 200) -> AdminServer:
        """
        Answer the next request.
        """
        server = AdminServer(body, code)
        thread = Thread(target=server.handle_request)
        server.timeout = 10
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        return server

    def test_table(self) -> None:
        """
        The node, its cache, what it served and its cluster are told readably.
        """
        server = self.serve(json.dumps(ANSWER).encode())
        ran = run_cli("status", "--admin", server.url)
        self.assertEqual((ran.code, ran.errors), (0, ""))
        for part in (
            *("gpu-7", "1 d 1 h", "registered http://c:8081", "1.0 MiB of 4.0 GiB"),
            *("disk is full", "3.0 GiB", "10.0.0.8:9000", "[rack]"),
        ):
            self.assertIn(part, ran.output)
        self.assertEqual(server.seen, [("/api/v1/status", "")])

    def test_json(self) -> None:
        """
        Programs get the node's own answer.
        """
        server = self.serve(json.dumps(ANSWER).encode())
        ran = run_cli("status", "--admin", server.url, "--json")
        self.assertEqual(json.loads(ran.output), ANSWER)

    def test_token(self) -> None:
        """
        The token in a file is shown to the node, and only to it.
        """
        path = Path(self.mktemp())
        path.write_text("hunter2\n")
        path.chmod(0o600)
        server = self.serve(json.dumps(ANSWER).encode())
        ran = run_cli("status", "--admin", server.url, "--token-file", str(path))
        self.assertEqual(server.seen, [("/api/v1/status", "Bearer hunter2")])
        self.assertNotIn("hunter2", ran.output)

    def test_proxy_of_environment(self) -> None:
        """
        An HTTP proxy in the environment is for the store and is not asked.
        """
        old = os.environ.get("http_proxy")
        os.environ["http_proxy"] = "http://127.0.0.1:1"
        restore = os.environ.__setitem__ if old else os.environ.pop
        self.addCleanup(restore, "http_proxy", old or "")
        server = self.serve(json.dumps(ANSWER).encode())
        self.assertEqual(run_cli("status", "--admin", server.url).code, 0)

    def test_unreachable(self) -> None:
        """
        A node that does not answer gets one line with the address and what to check.
        """
        server = AdminServer(b"", 200)
        server.server_close()
        ran = run_cli("status", "--admin", server.url)
        self.assertEqual(ran.code, 1)
        (line,) = ran.errors.splitlines()
        self.assertIn(server.url, line)
        self.assertIn("check that the node runs", line)

    def test_refused(self) -> None:
        """
        A node that wants a token says so.
        """
        server = self.serve(b"", 401)
        ran = run_cli("status", "--admin", server.url)
        self.assertEqual(ran.code, 1)
        self.assertIn("answered 401; give --token-file", ran.errors)

    def test_something_else(self) -> None:
        """
        An answer that is not a node's is told so, without a traceback.
        """
        for body in (
            b"<html>",
            b"[]",
            b"{}",
            b"\xff",
            b'{"control_plane": 1}',
            b"null",
        ):
            server = self.serve(body)
            ran = run_cli("status", "--admin", server.url)
            self.assertEqual(ran.code, 1)
            self.assertIn("answered something else", ran.errors)

    def test_wrong_address(self) -> None:
        """
        An address that is none is a usage error.
        """
        for url in ("nonsense", "file:///etc/passwd", "http://h/path"):
            self.assertEqual(run_cli("status", "--admin", url).code, 64)

    def test_terminal_is_safe(self) -> None:
        """
        What other nodes call themselves cannot command the terminal.
        """
        answer = ANSWER | {"node_id": "\x1b[31mred\n"}
        status = parse_status(json.dumps(answer).encode())
        self.assertEqual(status.node_id, "[31mred")


class ReadableTests(SynchronousTestCase):
    """
    Numbers for people.
    """

    def test_bytes(self) -> None:
        """
        Sizes have the unit that suits them.
        """
        for count, text in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (8 << 20, "8.0 MiB"),
            (3 << 60, "3072.0 PiB"),
        ):
            self.assertEqual(readable_bytes(count), text)

    def test_seconds(self) -> None:
        """
        Durations have their two largest units.
        """
        for seconds, text in (
            (0.5, "0 s"),
            (61, "1 min 1 s"),
            (3601, "1 h 0 min"),
            (90061, "1 d 1 h"),
        ):
            self.assertEqual(readable_seconds(seconds), text)

"""
Tests for :mod:`eliop2p.cli.evict`.
"""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.capture import run_cli

DONE = {"objects": 2, "chunks": 5, "bytes": 3 << 20}


class _Answers(BaseHTTPRequestHandler):
    """
    Answers as the server was told to.
    """

    server: "AdminServer"

    def do_POST(self) -> None:
        """
        Note the request and answer it.
        """
        length = int(self.headers["Content-Length"])
        self.server.seen.append(
            (
                self.path,
                self.headers["Content-Type"],
                self.headers["Authorization"] or "",
                json.loads(self.rfile.read(length)),
            )
        )
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
        self.seen: list[tuple[str, str, str, object]] = []

    @property
    def url(self) -> str:
        """
        Where it is.
        """
        return f"http://127.0.0.1:{self.server_port}"


class EvictTests(SynchronousTestCase):
    """
    ``eliop2p evict``.
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

    def test_done(self) -> None:
        """
        The bucket and the prefix are sent, and what was dropped is told.
        """
        for location, prefix in (
            ("s3://models/llama/", "llama/"),
            ("oss://models/a//b", "a//b"),
            ("s3://models", ""),
            ("s3://models/", ""),
        ):
            server = self.serve(json.dumps(DONE).encode())
            ran = run_cli("evict", location, "--admin", server.url)
            self.assertEqual((ran.code, ran.errors), (0, ""))
            self.assertEqual(ran.output, "dropped 2 objects: 5 chunks, 3.0 MiB\n")
            body = {"bucket": "models", "prefix": prefix}
            asked = ("/api/v1/evict", "application/json", "", body)
            self.assertEqual(server.seen, [asked])

    def test_json(self) -> None:
        """
        Programs get the node's own answer.
        """
        server = self.serve(json.dumps(DONE).encode())
        ran = run_cli("evict", "s3://b/k", "--admin", server.url, "--json")
        self.assertEqual(json.loads(ran.output), DONE)

    def test_token(self) -> None:
        """
        The token in a file is shown to the node, and only to it.
        """
        path = Path(self.mktemp())
        path.write_text("hunter2\n")
        path.chmod(0o600)
        server = self.serve(json.dumps(DONE).encode())
        arguments = ("--admin", server.url, "--token-file", str(path))
        ran = run_cli("evict", "s3://b/k", *arguments)
        self.assertEqual(server.seen[0][2], "Bearer hunter2")
        self.assertNotIn("hunter2", ran.output + ran.errors)

    def test_no_location(self) -> None:
        """
        What names no bucket is a usage error, and no node is asked.
        """
        for location in ("models/llama", "s3://", "s3:///k", "http://h/b"):
            ran = run_cli("evict", location, "--admin", "http://127.0.0.1:1")
            self.assertEqual(ran.code, 64)
            self.assertIn("s3://bucket/prefix", ran.errors)

    def test_refused(self) -> None:
        """
        The node's own reason is told, without what could command the terminal.
        """
        server = self.serve(b'{"error": "no\\u001b[31m such"}', 400)
        ran = run_cli("evict", "s3://b/k", "--admin", server.url)
        self.assertEqual(ran.code, 1)
        self.assertIn("answered 400: no[31m such", ran.errors)
        server = self.serve(b"<html>", 500)
        ran = run_cli("evict", "s3://b/k", "--admin", server.url)
        self.assertEqual(ran.errors, f"Error: {server.url} answered 500\n")

    def test_something_else(self) -> None:
        """
        An answer that is not a node's is told so, without a traceback.
        """
        for body in (b"<html>", b"[]", b"{}", b"\xff", b'{"objects": {}}', b"null"):
            server = self.serve(body)
            ran = run_cli("evict", "s3://b/k", "--admin", server.url)
            self.assertEqual(ran.code, 1)
            self.assertIn("answered something else", ran.errors)

"""
A store without checks, and a client that keeps its connection, for tests of workers.
"""

import hashlib
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.functional.one_node import OneNode


class Store(ThreadingHTTPServer):
    """
    A store of objects that can be written.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.objects: dict[str, bytes] = {}
        self.reads = 0


class StoreHandler(BaseHTTPRequestHandler):
    """
    What that takes of HTTP.
    """

    protocol_version = "HTTP/1.1"
    server: Store

    def log_message(self, *_: object) -> None:
        """
        Say nothing.
        """

    def do_PUT(self) -> None:
        """
        Keep an object.
        """
        length = int(self.headers["Content-Length"])
        self.server.objects[self.path] = self.rfile.read(length)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """
        Give it, unless the node has it.
        """
        self.server.reads += 1
        data = self.server.objects[self.path]
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        same = self.headers["If-None-Match"] == etag
        self.send_response(304 if same else 200)
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
        if not same:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not same:
            self.wfile.write(data)


class EndedError(Exception):
    """
    A connection has ended before the answer was whole.
    """


class Client:
    """
    Asks for objects on one connection.
    """

    def __init__(self, node: OneNode) -> None:
        self.socket = socket.create_connection(("127.0.0.1", node.ports.proxy), 20)
        self.head = b""

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> bytes:
        """
        Send a request, and give the body of its answer.
        """
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n"
        self.socket.sendall(head.encode() + body)
        return self.read()

    def read(self) -> bytes:
        """
        Read an answer.
        """
        got = b""
        while b"\r\n\r\n" not in got:
            piece = self.socket.recv(65536)
            if not piece:
                raise EndedError
            got += piece
        self.head, _, got = got.partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 200"), self.head
        length = int(self.header("content-length"))
        while len(got) < length:
            piece = self.socket.recv(65536)
            if not piece:
                raise EndedError
            got += piece
        assert len(got) == length
        return got

    def header(self, name: str) -> str:
        """
        Give a field of the last answer.
        """
        lines = self.head.decode().split("\r\n")[1:]
        fields = dict(line.split(": ", 1) for line in lines)
        (value,) = [v for k, v in fields.items() if k.lower() == name]
        return value

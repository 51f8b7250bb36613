"""
A store of one's own on loopback that sends slowly, and knows what it was asked for.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs

from eliop2p.model.ranges import Interval, parse_range

_PIECE = 64 * 1024


@attrs.define(eq=False)
class SlowStore:
    """
    Objects by path, and requests for their bytes.

    Attributes:
        port: Where it listens.
        objects: What it holds.
        pause: Seconds between two pieces of 64 KiB.
        asked: The path and the range of every answer with bytes.
    """

    port: int = 0
    objects: dict[str, bytes] = attrs.field(factory=dict)
    pause: float = 0.0
    asked: list[tuple[str, Interval]] = attrs.field(factory=list)


def _handler(store: SlowStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = store.objects[self.path]
            etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
            if self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.send_header("ETag", etag)
                self.end_headers()
                return
            asked = self.headers.get("Range")
            spec = parse_range(asked.encode()) if asked else None
            part = spec.resolve(len(data)) if spec else Interval(0, len(data))
            assert part is not None
            self.send_response(206 if spec else 200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(part.length))
            if spec:
                last = part.stop - 1
                value = f"bytes {part.start}-{last}/{len(data)}"
                self.send_header("Content-Range", value)
            self.end_headers()
            store.asked.append((self.path, part))
            self._send(memoryview(data)[part.start : part.stop])

        def _send(self, data: memoryview) -> None:
            pause = threading.Event()
            try:
                while data:
                    self.wfile.write(data[:_PIECE])
                    data = data[_PIECE:]
                    pause.wait(store.pause)
            except OSError:
                self.close_connection = True  # The node was killed.

        def log_message(self, *_: object) -> None:
            """
            Say nothing.
            """

    return Handler


@contextmanager
def slow_store() -> Iterator[SlowStore]:
    """
    Run a store.
    """
    store = SlowStore()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store))
    server.daemon_threads = True
    store.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""
Traces of a real node, taken by a collector of our own over HTTP.
"""

import gzip
import signal
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.functional.one_node import OBJECT, OneNode, fetch, make_node, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SIZE = 20 * 1024 * 1024
STOPPED = (0, -signal.SIGTERM)


@attrs.define(eq=False)
class Collector:
    """
    Takes OTLP.

    Attributes:
        port: Where it listens.
        spans: What it was sent.
        services: The names that the senders gave themselves.
        paths: Where it was sent to.
    """

    port: int = 0
    spans: list[Span] = attrs.Factory(list)
    services: set[str] = attrs.Factory(set)
    paths: set[str] = attrs.Factory(set)

    def take(self, path: str, data: bytes) -> None:
        """
        Read what was sent.
        """
        self.paths.add(path)
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            for pair in resource.resource.attributes:
                if pair.key == "service.instance.id":
                    self.services.add(pair.value.string_value)
            for scope in resource.scope_spans:
                self.spans += scope.spans


@pytest.fixture
def collector() -> Iterator[Collector]:
    """
    Run a collector.
    """
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                data = gzip.decompress(data)
            made.take(self.path, data)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Prepare a node in front of an object.
    """
    made = make_node(tmp_path, bytes(SIZE))
    yield made
    made.close()


def read(node: OneNode) -> str:
    """
    Read the object as part of a trace.

    Returns:
        What the request is called.
    """
    request = urllib.request.Request(
        f"{node.url}/{OBJECT}",
        headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
    )
    with urllib.request.urlopen(request) as answer:
        assert len(answer.read()) == SIZE
        name: str = answer.headers["X-Elio-Request-Id"]
        return name


class TestTracing:
    """
    ``[tracing]``.
    """

    def test_sent(self, node: OneNode, collector: Collector) -> None:
        """
        A request of a client that is traced is a tree of spans at the collector, in the
        client's trace; what is left is sent when the node stops.
        """
        node.configure(
            general={"data_dir": "data", "node_id": "gpu-1"},
            tracing={"endpoint": f"http://127.0.0.1:{collector.port}"},
        )
        node.start()
        name = read(node)
        assert node.end() in STOPPED
        assert collector.paths == {"/v1/traces"}
        assert collector.services == {"gpu-1"}
        assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
        (root,) = [s for s in collector.spans if s.parent_span_id.hex() == PARENT]
        attributes = {pair.key: pair.value for pair in root.attributes}
        assert attributes["eliop2p.request_id"].string_value == name
        assert attributes["http.response.body.size"].int_value == SIZE
        names = [span.name for span in collector.spans]
        assert names.count("chunk") == 3
        assert names.count("read store") == 3
        ids = {span.span_id for span in collector.spans}
        others = [span for span in collector.spans if span is not root]
        assert all(span.parent_span_id in ids for span in others)

    def test_no_collector(self, node: OneNode) -> None:
        """
        Where no collector answers, clients notice nothing, the log says so, and the
        node stops as fast as it otherwise does.
        """
        node.configure(tracing={"endpoint": "http://127.0.0.1:9"})
        node.start()
        for _ in range(3):
            read(node)
        assert fetch(f"{node.admin}/readyz")[0] == 200
        assert node.end() in STOPPED
        assert "Tracing:" in node.output

    def test_in_time(self, node: OneNode, collector: Collector) -> None:
        """
        Spans do not wait for the node to stop.
        """
        url = f"http://127.0.0.1:{collector.port}"
        node.configure(tracing={"endpoint": url})
        node.start()
        read(node)
        until(lambda: bool(collector.spans), "spans have come")

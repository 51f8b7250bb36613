"""
Tests for :mod:`eliop2p.tracing`, with the SDK's own exporter in memory.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from twisted.trial.unittest import SynchronousTestCase

import eliop2p
from eliop2p.base.config_kinds import Endpoint
from eliop2p.base.config_sections import TracingConfig
from eliop2p.base.errors import StartError
from eliop2p.model.trails import Trails
from eliop2p.parts import trace_requests
from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.workers import ImmediateWorker
from eliop2p.tracing import Tracing

PATH = b"/bucket/key"
CHUNK = 64 * 1024
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def traceparent(*, sampled: bool) -> tuple[bytes, bytes]:
    """
    Say that a request belongs to a trace, as the example of W3C's text does.
    """
    return b"traceparent", f"00-{TRACE}-{PARENT}-0{int(sampled)}".encode()


def of(span: ReadableSpan, name: str) -> Any:
    """
    Give an attribute of a span.
    """
    assert span.attributes is not None
    return span.attributes[name]


def times(span: ReadableSpan) -> tuple[int, int]:
    """
    Tell when a span began and ended, in nanoseconds since the epoch.
    """
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


class TracingTests(SynchronousTestCase):
    """
    Two nodes, the second of which is traced.
    """

    ratio = 1.0

    def setUp(self) -> None:
        """
        Start them, and let the first read an object.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        self.cluster = Cluster(directory, Plan(nodes=2))
        self.cluster.store.put(PATH, bytes(3 * CHUNK))
        self.cluster.start()
        self.addCleanup(self.cluster.stop)
        first, self.traced = self.cluster.members
        self.cluster.wait(self.cluster.get(first, PATH))
        self.exporter = InMemorySpanExporter()
        self.tracing = Tracing(
            "gpu-2",
            self.ratio,
            lambda: SimpleSpanProcessor(self.exporter),
            ImmediateWorker(),
        )
        self.tracing.startService()
        self.traced.running.trails.watcher = self.tracing.ended

    def tearDown(self) -> None:
        """
        End tracing.
        """
        self.successResultOf(self.tracing.stopService())

    def read(self, *headers: tuple[bytes, bytes], path: bytes = PATH) -> Answer:
        """
        Read through the traced node.
        """
        return self.cluster.wait(self.cluster.get(self.traced, path, *headers))

    def spans(self) -> list[ReadableSpan]:
        """
        Give the spans that were exported, by the time at which they began.
        """
        found: Sequence[ReadableSpan] = self.exporter.get_finished_spans()
        return sorted(found, key=lambda span: (span.start_time or 0, span.name))

    def root(self) -> ReadableSpan:
        """
        Give the span of the request.
        """
        (root,) = [span for span in self.spans() if span.kind is SpanKind.SERVER]
        return root

    def test_tree(self) -> None:
        """
        A request is a span in the client's trace; below it are the question to the
        store and the chunks, and below these who was asked and who gave the bytes.
        """
        answer = self.read(traceparent(sampled=True))
        spans = self.spans()
        assert all(f"{span.context.trace_id:032x}" == TRACE for span in spans)
        root = self.root()
        assert root.parent is not None
        self.assertEqual(f"{root.parent.span_id:016x}", PARENT)
        by_id = {span.context.span_id: span for span in spans}
        tree = sorted(
            (by_id[span.parent.span_id].name, span.name)
            for span in spans
            if span is not root and span.parent is not None
        )
        below = {
            "GET object": {"ask store", "chunk"},
            "chunk": {name for _, name in tree},
        }
        assert all(name in below[parent] for parent, name in tree)
        self.assertEqual(tree.count(("GET object", "chunk")), 3)
        self.assertEqual(tree.count(("GET object", "ask store")), 1)
        given = [span for span in spans if span.name == "receive from peer"]
        self.assertEqual(sum(of(span, "eliop2p.bytes") for span in given), 3 * CHUNK)
        self.assertEqual({of(span, "eliop2p.peer") for span in given}, {"node-0"})
        name = answer.header(b"x-elio-request-id").decode()
        self.assertEqual(of(root, "eliop2p.request_id"), name)
        self.assertEqual(of(root, "http.response.status_code"), 200)

    def test_times(self) -> None:
        """
        What is below another span lies within its time, which is the cluster's.
        """
        before = self.cluster.clock.seconds()
        self.read(traceparent(sampled=True))
        after = self.cluster.clock.seconds()
        by_id = {span.context.span_id: span for span in self.spans()}
        slack = 2000  # Nanoseconds: what is lost between seconds and these.
        for span in by_id.values():
            began, ended = times(span)
            self.assertGreaterEqual(began + slack, int(before * 1e9))
            self.assertLessEqual(ended, int(after * 1e9) + slack)
            self.assertLessEqual(began, ended)
            above = by_id.get(span.parent.span_id) if span.parent else None
            if above is not None and above.name == "chunk":
                self.assertGreaterEqual(began + slack, times(above)[0])

    def test_without_a_trace(self) -> None:
        """
        A request without a trace, or with what is none, begins one of its own.
        """
        self.read()
        self.read((b"traceparent", b"00-00-00-zz"), (b"tracestate", b"\\xff=;;"))
        roots = [span for span in self.spans() if span.kind is SpanKind.SERVER]
        self.assertEqual([span.parent for span in roots], [None, None])
        self.assertEqual(len({span.context.trace_id for span in roots}), 2)

    def test_hit(self) -> None:
        """
        What memory gives has chunks and nobody below them, each time.
        """
        self.read()
        for _ in range(4):
            self.exporter.clear()
            self.read()
        chunks = [span for span in self.spans() if span.name == "chunk"]
        sources = [of(span, "eliop2p.chunk.source") for span in chunks]
        self.assertEqual(sources, ["memory"] * 3)
        self.assertEqual(len(self.spans()), 5)

    def test_error(self) -> None:
        """
        A request that fails is marked as failed; one for what is not there is not.
        """
        self.read(path=b"/bucket/nothing")
        self.assertTrue(self.root().status.is_unset)
        self.exporter.clear()
        self.cluster.stop_store()
        self.read()
        self.assertFalse(self.root().status.is_ok)
        self.assertIn("503", self.root().status.description or "")

    def test_not_sampled(self) -> None:
        """
        What the client does not want to be recorded is not.
        """
        self.read(traceparent(sampled=False))
        self.assertEqual(self.spans(), [])


class RatioTests(TracingTests):
    """
    The same of nodes that trace next to nothing of their own accord.
    """

    ratio = 1e-9

    def test_without_a_trace(self) -> None:
        """
        Requests of clients that have not decided are left out.
        """
        self.read()
        self.assertEqual(self.spans(), [])

    def test_hit(self) -> None:
        """
        Those of clients that have are not.
        """
        self.read(traceparent(sampled=True))
        self.assertNotEqual(self.spans(), [])

    def test_error(self) -> None:
        """
        Failures are no exception.
        """
        self.read(path=b"/bucket/nothing")
        self.assertEqual(self.spans(), [])


class ConfiguredTests(SynchronousTestCase):
    """
    Whether anything is traced.
    """

    def test_off(self) -> None:
        """
        Nothing is, and nothing is imported, unless a collector is configured.
        """
        trails = Trails(10, 1000)
        config = TracingConfig(endpoint=None, sample_ratio=1.0)
        self.assertIsNone(trace_requests(config, "a", trails, ImmediateWorker()))
        self.assertIsNone(trails.watcher)

    def test_not_installed(self) -> None:
        """
        Without the package a node that is to trace does not start, and says what to
        install.
        """
        hidden = [
            name
            for name in sys.modules
            if name.partition(".")[0] == "opentelemetry" or name == "eliop2p.tracing"
        ]
        absent = dict.fromkeys(hidden)
        del absent["eliop2p.tracing"]
        patched = mock.patch.dict(sys.modules, absent)
        patched.start()
        self.addCleanup(patched.stop)
        del sys.modules["eliop2p.tracing"]
        module = vars(eliop2p).pop("tracing")
        self.addCleanup(setattr, eliop2p, "tracing", module)
        config = TracingConfig(endpoint=Endpoint("http", "c", 4318), sample_ratio=1.0)
        with self.assertRaises(StartError) as caught:
            trace_requests(config, "a", Trails(10, 1000), ImmediateWorker())
        self.assertIn("pip install 'eliop2p[otel]'", str(caught.exception))

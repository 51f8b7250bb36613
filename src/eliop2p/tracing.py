"""
Traces for OpenTelemetry. To be imported only where they are wanted: its package comes
with ``eliop2p[otel]``.
"""

import logging
from collections.abc import Callable

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from eliop2p import __version__
from eliop2p.base.config_kinds import Endpoint
from eliop2p.interfaces import IWorker
from eliop2p.model.spans import Span, name_of, span_of
from eliop2p.model.trail import RequestTrail

FLUSH_SECONDS = 3.0
"""
How long the last spans may take to reach the collector when a node stops.
"""

_log = Logger()
_propagator = TraceContextTextMapPropagator()


class _Logged(logging.Handler):
    """
    Passes what the SDK complains of on to the log of the node.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Log a complaint.
        """
        _log.warn("Tracing: {text}", text=record.getMessage())


def to_collector(endpoint: Endpoint) -> Callable[[], SpanProcessor]:
    """
    Send spans to a collector, in batches.

    Args:
        endpoint: The collector; it takes OTLP over HTTP.
    """
    url = f"{endpoint.url}/v1/traces"

    def make() -> SpanProcessor:
        exporter = OTLPSpanExporter(endpoint=url, timeout=FLUSH_SECONDS)
        return BatchSpanProcessor(exporter)

    return make


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


class Tracing(Service):
    """
    Turns trails into spans. What becomes of them is the business of the SDK, in a
    thread of its own.

    Args:
        node_id: This node, which spans are said to be of.
        ratio: Part of the requests that are traced, of those whose client has not
            decided.
        make_processor: Makes what takes the spans.
        worker: Where the end is waited for.
    """

    name = "tracing"

    def __init__(
        self,
        node_id: str,
        ratio: float,
        make_processor: Callable[[], SpanProcessor],
        worker: IWorker,
    ) -> None:
        self._node_id = node_id
        self._sampler = ParentBased(TraceIdRatioBased(ratio))
        self._make_processor = make_processor
        self._worker = worker
        self._provider: TracerProvider | None = None
        self._handler = _Logged(logging.WARNING)

    def startService(self) -> None:
        """
        Begin. Not before: processors begin threads, which a daemon would lose.
        """
        super().startService()
        about = {
            "service.name": "eliop2p",
            "service.version": __version__,
            "service.instance.id": self._node_id,
        }
        self._provider = TracerProvider(
            self._sampler, Resource.create(about), shutdown_on_exit=False
        )
        self._provider.add_span_processor(self._make_processor())
        logging.getLogger("opentelemetry").addHandler(self._handler)

    def stopService(self) -> "Deferred[object]":
        """
        Send what is left.
        """
        super().stopService()
        provider, self._provider = self._provider, None
        assert provider is not None

        def end() -> None:
            provider.force_flush(int(FLUSH_SECONDS * 1000))
            provider.shutdown()

        def unhook(result: object) -> object:
            logging.getLogger("opentelemetry").removeHandler(self._handler)
            return result

        return self._worker.run(end).addBoth(unhook)

    def ended(self, trail: RequestTrail) -> None:
        """
        Make spans of a request, if it is one of those that are traced.
        """
        if self._provider is None:
            return
        tracer = self._provider.get_tracer("eliop2p", __version__)
        began = _nanoseconds(trail.started)
        kind = api.SpanKind.SERVER
        root = tracer.start_span(
            name_of(trail), _context(trail), kind, start_time=began
        )
        if root.is_recording():
            _fill(tracer, root, span_of(trail))


def _fill(tracer: api.Tracer, made: api.Span, span: Span) -> None:
    made.set_attributes(span.attributes)
    if span.error:
        made.set_status(api.StatusCode.ERROR, span.error)
    context = api.set_span_in_context(made, Context())
    for child in span.children:
        kind = api.SpanKind.CLIENT if child.calls else api.SpanKind.INTERNAL
        began = _nanoseconds(child.began)
        each = tracer.start_span(child.name, context, kind, start_time=began)
        _fill(tracer, each, child)
    made.end(_nanoseconds(span.ended))


def _context(trail: RequestTrail) -> Context:
    """
    Take over the client's trace (W3C, Trace Context, sections 3.2 and 3.3); what is
    none begins a new one.
    """
    parent, state = (value.decode("latin-1") for value in trail.context)
    carrier = {"traceparent": parent, "tracestate": state}
    return _propagator.extract(carrier, Context())

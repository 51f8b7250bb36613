"""
What tracing adds to a request, in processor time of the reactor's thread and of the
SDK's own.

``python -m benchmarks.trace_cost`` prints it for a request of three chunks out of
memory that is recorded, one that is left out by ``sample_ratio``, and one whose client
does not want it.
"""

import time

from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eliop2p.model.trail import ChunkTrail, RequestTrail
from eliop2p.testing.workers import ImmediateWorker
from eliop2p.tracing import Tracing

REQUESTS = 3000
UNWANTED = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
CASES = (
    ("recorded", 1.0, b""),
    ("left out", 1e-9, b""),
    ("unwanted", 1.0, UNWANTED),
)


def _trail(number: int, traceparent: bytes) -> RequestTrail:
    made = RequestTrail(f"{number:016x}", b"GET", b"/bucket/key", float(number))
    made.seconds, made.status, made.context = 0.01, 200, (traceparent, b"")
    made.ask(304, 0.001)
    for index in range(3):
        sent = (index, 1 << 23, "memory")
        made.add(ChunkTrail(*sent, joined=False, waited=0.0, arrival=None))
    return made


def cost(ratio: float, traceparent: bytes) -> float:
    """
    Measure.

    Returns:
        Microseconds per request.
    """
    trails = [_trail(number, traceparent) for number in range(REQUESTS)]
    tracing = Tracing(
        "node",
        ratio,
        lambda: BatchSpanProcessor(InMemorySpanExporter()),
        ImmediateWorker(),
    )
    tracing.startService()
    began = time.process_time()
    for trail in trails:
        tracing.ended(trail)
    took = time.process_time() - began
    tracing.stopService()
    return took / REQUESTS * 1e6


def main() -> None:
    """
    Print the table.
    """
    for name, ratio, traceparent in CASES:
        best = min(cost(ratio, traceparent) for _ in range(3))
        print(f"{name:10} {best:6.0f} us")


if __name__ == "__main__":
    main()

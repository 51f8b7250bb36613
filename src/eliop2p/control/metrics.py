"""
What the control plane counts.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from eliop2p.control.registry import Registry

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

REFUSALS = (
    *("not_found", "bad_method"),
    *("no_token", "wrong_token", "expired_token", "not_operator"),
    *("too_large", "bad_message", "unknown_node", "unknown_command"),
    *("conflict", "full"),
)
"""
Why a request may be refused.
"""


class ControlMetrics(Collector):
    """
    Counts of one control plane; nothing of them is shared with the rest of the process.

    Args:
        registry: Whose nodes and chunks are shown.

    Attributes:
        heartbeats: Signs of life taken.
        waiting: Tells how many requests wait for a change.
        commands: Commands by what became of them.
        requests: Answers by status.
        refused: Refusals by reason, one of :data:`REFUSALS`.
    """

    def __init__(self, registry: Registry) -> None:
        self.heartbeats = 0
        self.waiting: Callable[[], int] = lambda: 0
        self.commands: Counter[str] = Counter({"given": 0, "done": 0, "failed": 0})
        self.requests: Counter[int] = Counter()
        self.refused: Counter[str] = Counter(dict.fromkeys(REFUSALS, 0))
        self._registry = registry
        self._prometheus = CollectorRegistry(auto_describe=False)
        self._prometheus.register(self)

    def collect(self) -> Iterator[Metric]:
        """
        Give every metric with its samples, as prometheus_client asks for them.
        """
        registry = self._registry
        yield GaugeMetricFamily(
            "eliop2p_control_nodes", "Live nodes.", value=len(registry)
        )
        yield GaugeMetricFamily(
            "eliop2p_control_chunks",
            "Chunks with a known holder.",
            value=registry.locations.chunks,
        )
        yield CounterMetricFamily(
            "eliop2p_control_heartbeats", "Heartbeats taken.", value=self.heartbeats
        )
        yield GaugeMetricFamily(
            "eliop2p_control_waiting",
            "Requests that wait for the membership to change.",
            value=self.waiting(),
        )
        commands = CounterMetricFamily(
            "eliop2p_control_commands",
            "Commands given, carried out and failed.",
            labels=("state",),
        )
        for state, count in sorted(self.commands.items()):
            commands.add_metric((state,), count)
        yield commands
        requests = CounterMetricFamily(
            "eliop2p_control_requests", "Requests by status.", labels=("code",)
        )
        for code, count in sorted(self.requests.items()):
            requests.add_metric((str(code),), count)
        yield requests
        refused = CounterMetricFamily(
            "eliop2p_control_refused", "Refused requests by reason.", labels=("reason",)
        )
        for reason, count in sorted(self.refused.items()):
            refused.add_metric((reason,), count)
        yield refused

    def to_json(self) -> dict[str, object]:
        """
        Give the counts by name.
        """
        return {
            "nodes": len(self._registry),
            "membership_version": self._registry.version,
            "chunks": self._registry.locations.chunks,
            "locations": self._registry.locations.pairs,
            "heartbeats": self.heartbeats,
            "waiting": self.waiting(),
            "commands": dict(self.commands),
            "requests": {str(code): count for code, count in self.requests.items()},
            "refused": dict(self.refused),
        }

    def render(self) -> bytes:
        """
        Write all metrics in Prometheus' text format, see :data:`CONTENT_TYPE`.
        """
        return generate_latest(self._prometheus)

"""
What a node counts and measures, and how Prometheus is told.
"""

from collections.abc import Callable, Iterator, Mapping

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""
The media type of what :meth:`Metrics.render` gives.
"""

SOURCES = ("memory", "disk", "peer", "origin", "relay")
"""
Where served bytes come from.
"""

OUTCOMES = ("granted", "refused", "unreachable", "trusted", "stale")
"""
What the store says when asked whether a client may read.
"""

FORBIDDEN = ("off", "host", "address")
"""
Why the node does not connect to what a client names.
"""

DIRECTIONS = ("up", "down")
"""
The directions of a tunnel.
"""

INTEGRITY_OUTCOMES = ("verified", "failed", "unoffered")
"""
What comes of holding an object against the store's own checksum of it.
"""

_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)


@attrs.frozen
class MetricInfo:
    """
    What is known of a metric without counting anything.

    Attributes:
        name: Its name.
        kind: ``counter``, ``gauge`` or ``histogram``.
        labels: The names of its labels.
        help: What it means, in one sentence.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


TABLE: tuple[MetricInfo, ...] = (
    MetricInfo(
        "eliop2p_served_bytes_total",
        "counter",
        ("source",),
        "Body bytes sent to clients, by where they came from: memory, disk, peer, "
        "origin, or relay for answers passed through as they are.",
    ),
    MetricInfo(
        "eliop2p_requests_total",
        "counter",
        ("method", "cache", "status"),
        "Requests of clients, by method, by cache (hit, miss, partial, bypass) and by "
        "class of status (2xx, 3xx, 4xx, 5xx).",
    ),
    MetricInfo(
        "eliop2p_origin_bytes_total",
        "counter",
        (),
        "Body bytes read from the store.",
    ),
    MetricInfo(
        "eliop2p_origin_requests_total",
        "counter",
        (),
        "Requests sent to the store.",
    ),
    MetricInfo(
        "eliop2p_peer_bytes_sent_total",
        "counter",
        (),
        "Bytes sent to other nodes: chunks and messages.",
    ),
    MetricInfo(
        "eliop2p_peer_bytes_received_total",
        "counter",
        (),
        "Bytes received from other nodes: chunks and messages.",
    ),
    MetricInfo(
        "eliop2p_peer_refused_total",
        "counter",
        (),
        "Connections of nodes that could not prove the cluster secret.",
    ),
    MetricInfo(
        "eliop2p_auth_total",
        "counter",
        ("outcome",),
        "Whether clients may read: granted or refused by the store or, with auth = "
        "verify, by the node; trusted when the store's last word still counted, stale "
        "when that was because it could not be reached, unreachable when it said "
        "nothing.",
    ),
    MetricInfo(
        "eliop2p_forbidden_total",
        "counter",
        ("why",),
        "Requests for hosts that the node does not connect to, by why: off when it is "
        "no forward proxy, host when that is not a store of the node, address when the "
        "store's name leads to an internal address.",
    ),
    MetricInfo(
        "eliop2p_tunnels_total",
        "counter",
        (),
        "CONNECT tunnels that were opened.",
    ),
    MetricInfo(
        "eliop2p_tunnels",
        "gauge",
        (),
        "CONNECT tunnels open now.",
    ),
    MetricInfo(
        "eliop2p_tunnel_bytes_total",
        "counter",
        ("direction",),
        "Bytes passed through CONNECT tunnels: up to the store, down to the client.",
    ),
    MetricInfo(
        "eliop2p_integrity_total",
        "counter",
        ("outcome",),
        "Versions of objects held against the store's own checksum: verified, failed, "
        "or unoffered when the store gives none of the whole object.",
    ),
    MetricInfo(
        "eliop2p_cache_used_bytes",
        "gauge",
        ("tier",),
        "Bytes in a tier of the cache: memory or disk.",
    ),
    MetricInfo(
        "eliop2p_cache_capacity_bytes",
        "gauge",
        ("tier",),
        "Bytes that a tier may hold.",
    ),
    MetricInfo(
        "eliop2p_cache_chunks",
        "gauge",
        ("tier",),
        "Complete chunks in a tier.",
    ),
    MetricInfo(
        "eliop2p_cache_partial_chunks",
        "gauge",
        ("tier",),
        "Chunks of which a tier keeps a part.",
    ),
    MetricInfo(
        "eliop2p_cache_degraded",
        "gauge",
        ("tier",),
        "1 while a tier does not take part because it failed, or holds less than it "
        "may for want of space; else 0.",
    ),
    MetricInfo(
        "eliop2p_scrubbed_bytes_total",
        "counter",
        (),
        "Bytes of the disk tier that were verified in the background.",
    ),
    MetricInfo(
        "eliop2p_corrupt_chunks_total",
        "counter",
        ("where",),
        "Damaged chunks that were dropped, by where they were found: disk when they "
        "were opened, scrub in the background, peer when they came from other nodes.",
    ),
    MetricInfo(
        "eliop2p_chunk_opens_total",
        "counter",
        ("where",),
        "Chunks opened for requests, by where they were: memory, disk, arriving for "
        "somebody else, or to be fetched.",
    ),
    MetricInfo(
        "eliop2p_dropped_chunks_total",
        "counter",
        (),
        "Chunks that tiers let go by themselves: evicted, or found damaged.",
    ),
    MetricInfo(
        "eliop2p_uploads",
        "gauge",
        (),
        "Chunks that are being given to other nodes at this moment.",
    ),
    MetricInfo(
        "eliop2p_peer_failures_total",
        "counter",
        (),
        "Requests that other nodes did not fulfil, unless for being busy.",
    ),
    MetricInfo(
        "eliop2p_peers_banned",
        "gauge",
        (),
        "Nodes that are not asked because they gave wrong bytes.",
    ),
    MetricInfo(
        "eliop2p_leases_total",
        "counter",
        (),
        "Chunks that fell to this node to be read from the store.",
    ),
    MetricInfo(
        "eliop2p_last_resort_reads_total",
        "counter",
        (),
        "Chunks read from the store without a lease, since no other node gave them in"
        " time.",
    ),
    MetricInfo(
        "eliop2p_inflight_bytes",
        "gauge",
        (),
        "Memory held by chunks that are arriving.",
    ),
    MetricInfo(
        "eliop2p_members",
        "gauge",
        (),
        "Live nodes in the cluster as this one sees it, itself included.",
    ),
    MetricInfo(
        "eliop2p_control_plane_up",
        "gauge",
        (),
        "1 while the control plane answers, else 0.",
    ),
    MetricInfo(
        "eliop2p_errors_total",
        "counter",
        ("kind",),
        "Failures that a client, a peer or an operator may have noticed, by kind.",
    ),
    MetricInfo(
        "eliop2p_request_seconds",
        "histogram",
        (),
        "Time from the head of a request to the last byte of its answer.",
    ),
    MetricInfo(
        "eliop2p_first_byte_seconds",
        "histogram",
        (),
        "Time from the head of a request to the first byte of its answer.",
    ),
)
"""
Every metric of a node.
"""

_BY_NAME = {info.name: info for info in TABLE}


class Metrics(Collector):
    """
    All metrics of one node; nothing of them is shared with the rest of the process.

    The label values of ``method`` and ``kind`` must come from a bounded set: whoever
    counts replaces what a client made up by ``other``.
    """

    def __init__(self) -> None:
        self._direct: dict[str, Counter | Gauge | Histogram] = {}
        self._observed: dict[
            str, dict[tuple[tuple[str, str], ...], Callable[[], float]]
        ] = {}
        self.served_bytes = self._counter("eliop2p_served_bytes_total")
        self.requests = self._counter("eliop2p_requests_total")
        self.origin_bytes = self._counter("eliop2p_origin_bytes_total")
        self.origin_requests = self._counter("eliop2p_origin_requests_total")
        self.peer_bytes_sent = self._counter("eliop2p_peer_bytes_sent_total")
        self.peer_bytes_received = self._counter("eliop2p_peer_bytes_received_total")
        self.peer_refused = self._counter("eliop2p_peer_refused_total")
        self.auth = self._counter("eliop2p_auth_total")
        self.forbidden = self._counter("eliop2p_forbidden_total")
        self.tunnels_opened = self._counter("eliop2p_tunnels_total")
        self.tunnels = self._gauge("eliop2p_tunnels")
        self.tunnel_bytes = self._counter("eliop2p_tunnel_bytes_total")
        self.integrity = self._counter("eliop2p_integrity_total")
        self.cache_used_bytes = self._gauge("eliop2p_cache_used_bytes")
        self.cache_capacity_bytes = self._gauge("eliop2p_cache_capacity_bytes")
        self.cache_chunks = self._gauge("eliop2p_cache_chunks")
        self.cache_partial = self._gauge("eliop2p_cache_partial_chunks")
        self.cache_degraded = self._gauge("eliop2p_cache_degraded")
        self.scrubbed_bytes = self._counter("eliop2p_scrubbed_bytes_total")
        self.corrupt_chunks = self._counter("eliop2p_corrupt_chunks_total")
        self.chunk_opens = self._counter("eliop2p_chunk_opens_total")
        self.dropped_chunks = self._counter("eliop2p_dropped_chunks_total")
        self.uploads = self._gauge("eliop2p_uploads")
        self.peer_failures = self._counter("eliop2p_peer_failures_total")
        self.peers_banned = self._gauge("eliop2p_peers_banned")
        self.leases = self._counter("eliop2p_leases_total")
        self.last_resort_reads = self._counter("eliop2p_last_resort_reads_total")
        self.inflight_bytes = self._gauge("eliop2p_inflight_bytes")
        self.members = self._gauge("eliop2p_members")
        self.control_plane_up = self._gauge("eliop2p_control_plane_up")
        self.errors = self._counter("eliop2p_errors_total")
        self.request_seconds = self._histogram("eliop2p_request_seconds")
        self.first_byte_seconds = self._histogram("eliop2p_first_byte_seconds")
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        for source in SOURCES:
            self.served_bytes.labels(source)
        for outcome in OUTCOMES:
            self.auth.labels(outcome)
        for why in FORBIDDEN:
            self.forbidden.labels(why)
        for direction in DIRECTIONS:
            self.tunnel_bytes.labels(direction)
        for outcome in INTEGRITY_OUTCOMES:
            self.integrity.labels(outcome)

    def _counter(self, name: str) -> Counter:
        info = _BY_NAME[name]
        counter = Counter(name, info.help, info.labels, registry=None)
        self._direct[name] = counter
        return counter

    def _gauge(self, name: str) -> Gauge:
        info = _BY_NAME[name]
        gauge = Gauge(name, info.help, info.labels, registry=None)
        self._direct[name] = gauge
        return gauge

    def _histogram(self, name: str) -> Histogram:
        info = _BY_NAME[name]
        histogram = Histogram(
            name, info.help, info.labels, registry=None, buckets=_SECONDS
        )
        self._direct[name] = histogram
        return histogram

    def observe(
        self, name: str, labels: Mapping[str, str], function: Callable[[], float]
    ) -> None:
        """
        Let a counter or gauge take its value from a function when it is rendered, in
        place of what is counted under the same labels here.

        Args:
            name: A name in :data:`TABLE`.
            labels: Its labels with their values, all of them.
            function: Gives the value; for a counter it must never fall.

        Raises:
            ValueError: There is no such counter or gauge, or its labels are others.
        """
        info = _BY_NAME.get(name)
        if info is None or info.kind == "histogram":
            raise ValueError(f"{name} is not a counter or gauge of a node")
        if set(labels) != set(info.labels):
            raise ValueError(f"{name} has the labels {info.labels}, not {labels}")
        series = self._observed.setdefault(name, {})
        series[tuple(sorted(labels.items()))] = function

    def collect(self) -> Iterator[Metric]:
        """
        Give every metric with its samples, as prometheus_client asks for them.
        """
        for name, direct in self._direct.items():
            observed = self._observed.get(name, {})
            for family in direct.collect():
                family.samples = [
                    sample
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                    and tuple(sorted(sample.labels.items())) not in observed
                ]
                for labels, function in observed.items():
                    family.add_sample(name, dict(labels), function())
                yield family

    def render(self) -> bytes:
        """
        Write all metrics in Prometheus' text format, see :data:`CONTENT_TYPE`.
        """
        return generate_latest(self._registry)

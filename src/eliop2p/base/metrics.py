"""
What a node counts and measures, and how Prometheus is told.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from eliop2p.base.metric_table import TABLE
from eliop2p.base.spread import Spread

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

SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)
"""
The bounds of histograms of times.
"""

_BY_NAME = {info.name: info for info in TABLE}


class Metrics(Collector):
    """
    All metrics of one node; nothing of them is shared with the rest of the process.

    The label values of ``method`` and ``kind`` must come from a bounded set: whoever
    counts replaces what a client made up by ``other``.
    """

    def __init__(self) -> None:
        self._direct: dict[str, Counter | Gauge | Spread] = {}
        self._late: list[Callable[[], None]] = []
        self._observed: dict[
            str, dict[tuple[tuple[str, str], ...], Callable[[], float]]
        ] = {}
        self.served_bytes = self._counter("eliop2p_served_bytes_total")
        self.requests = self._counter("eliop2p_requests_total")
        self._count_origin()
        self._count_peers()
        self.auth = self._counter("eliop2p_auth_total")
        self.forbidden = self._counter("eliop2p_forbidden_total")
        self.tunnels_opened = self._counter("eliop2p_tunnels_total")
        self.tunnels = self._gauge("eliop2p_tunnels")
        self.tunnel_bytes = self._counter("eliop2p_tunnel_bytes_total")
        self._count_workers()
        self.integrity = self._counter("eliop2p_integrity_total")
        self.cache_used_bytes = self._gauge("eliop2p_cache_used_bytes")
        self.cache_capacity_bytes = self._gauge("eliop2p_cache_capacity_bytes")
        self.cache_chunks = self._gauge("eliop2p_cache_chunks")
        self.cache_partial_chunks = self._gauge("eliop2p_cache_partial_chunks")
        self.cache_degraded = self._gauge("eliop2p_cache_degraded")
        self.scrubbed_bytes = self._counter("eliop2p_scrubbed_bytes_total")
        self.corrupt_chunks = self._counter("eliop2p_corrupt_chunks_total")
        self.chunk_opens = self._counter("eliop2p_chunk_opens_total")
        self.dropped_chunks = self._counter("eliop2p_dropped_chunks_total")
        self.uploads = self._gauge("eliop2p_uploads")
        self.peer_failures = self._counter("eliop2p_peer_failures_total")
        self.hedges = self._counter("eliop2p_hedges_total")
        self.hedged_bytes = self._counter("eliop2p_hedged_bytes_total")
        self.peers_banned = self._gauge("eliop2p_peers_banned")
        self.leases = self._counter("eliop2p_leases_total")
        self.last_resort_reads = self._counter("eliop2p_last_resort_reads_total")
        self.inflight_bytes = self._gauge("eliop2p_inflight_bytes")
        self.members = self._gauge("eliop2p_members")
        self.gossip_probes = self._counter("eliop2p_gossip_probes_total")
        self.gossip_failed_probes = self._counter("eliop2p_gossip_failed_probes_total")
        self.gossip_suspicions = self._counter("eliop2p_gossip_suspicions_total")
        self.gossip_refuted = self._counter("eliop2p_gossip_refuted_total")
        self.control_plane_up = self._gauge("eliop2p_control_plane_up")
        self.adjuster = self._gauge("eliop2p_adjuster")
        self.replicas_ordered = self._counter("eliop2p_replicas_ordered_total")
        self.replicas_given_up = self._counter("eliop2p_replicas_given_up_total")
        self.replica_bytes = self._counter("eliop2p_replica_bytes_total")
        self.errors = self._counter("eliop2p_errors_total")
        self.request_seconds = self._histogram("eliop2p_request_seconds")
        self.first_byte_seconds = self._histogram("eliop2p_first_byte_seconds")
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._begin_at_zero()

    def _count_origin(self) -> None:
        self.origin_bytes = self._counter("eliop2p_origin_bytes_total")
        self.origin_requests = self._counter("eliop2p_origin_requests_total")
        self.origin_slowed = self._counter("eliop2p_origin_slowed_total")
        self.origin_budget_ratio = self._gauge("eliop2p_origin_budget_ratio")
        self.leases_put_off = self._counter("eliop2p_leases_put_off_total")

    def _count_peers(self) -> None:
        self.peer_bytes_sent = self._counter("eliop2p_peer_bytes_sent_total")
        self.peer_bytes_received = self._counter("eliop2p_peer_bytes_received_total")
        self.peer_limited_seconds = self._counter("eliop2p_peer_limited_seconds_total")
        self.peer_refused = self._counter("eliop2p_peer_refused_total")

    def _count_workers(self) -> None:
        self.workers = self._gauge("eliop2p_workers")
        self.worker_bytes = self._counter("eliop2p_worker_bytes_total")
        self.worker_requests = self._counter("eliop2p_worker_requests_total")
        self.worker_restarts = self._counter("eliop2p_worker_restarts_total")

    def _begin_at_zero(self) -> None:
        """
        Show the series whose labels are known before anything has been counted.
        """
        # Looking up a label takes longer than counting.
        self.served_from = {each: self.served_bytes.labels(each) for each in SOURCES}
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

    def _histogram(self, name: str) -> Spread:
        spread = Spread(name, _BY_NAME[name].help, SECONDS)
        self._direct[name] = spread
        return spread

    def before_reading(self, count: Callable[[], None]) -> None:
        """
        Let somebody who counts for himself, since he has no time for more, add what he
        has counted whenever somebody looks.
        """
        self._late.append(count)

    def catch_up(self) -> None:
        """
        Have everything counted. To be called before single metrics are read.
        """
        for count in self._late:
            count()

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
        self.catch_up()
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

"""
What is counted where it happens, shown as metrics.
"""

from collections.abc import Callable
from functools import partial

import attrs

from eliop2p.base.metrics import Metrics
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.service import ControlService
from eliop2p.interfaces import CacheUsage, IMembership, IOrigin
from eliop2p.net.store_budget import StoreBudget
from eliop2p.p2p.bandwidth import Bandwidth
from eliop2p.p2p.gossip_service import Gossip
from eliop2p.p2p.links import PeerLinks
from eliop2p.p2p.swarm import Swarm
from eliop2p.planes import Steered
from eliop2p.proxy.tunnel import Tunnels
from eliop2p.workers.pool import Workers


@attrs.frozen
class Counted:
    """
    The parts of a node that keep counters.
    """

    origin: IOrigin
    links: PeerLinks
    chunks: ChunkManager
    members: IMembership
    control: ControlService
    gossip: Gossip
    steered: Steered
    swarm: Swarm
    seconds: Callable[[], float]
    tunnels: Tunnels
    workers: Workers | None
    bandwidth: Bandwidth
    budget: StoreBudget


def observe_node(metrics: Metrics, node: Counted) -> None:
    """
    Let a node's metrics read its counters.
    """

    def show(name: str, value: Callable[[], float]) -> None:
        metrics.observe(f"eliop2p_{name}", {}, value)

    show("origin_bytes_total", lambda: node.origin.bytes_in)
    show("origin_requests_total", lambda: node.origin.requests)
    show("peer_bytes_sent_total", lambda: node.links.bytes_sent)
    show("peer_bytes_received_total", lambda: node.links.bytes_received)
    _observe_limits(metrics, node.bandwidth)
    show("origin_slowed_total", lambda: node.budget.slowed)
    show("origin_budget_ratio", lambda: node.budget.factor)
    show("leases_put_off_total", lambda: node.budget.put_off)
    show("peer_refused_total", lambda: node.links.refused)
    metrics.observe(
        "eliop2p_errors_total",
        {"kind": "PeerProtocol"},
        lambda: node.links.protocol_errors,
    )
    show("inflight_bytes", lambda: node.chunks.inflight)
    show("tunnels", lambda: node.tunnels.open_count)
    show("members", lambda: len(node.members.current().peers))
    show("control_plane_up", lambda: node.control.state is PlaneState.REGISTERED)
    if node.workers is not None:
        _observe_workers(metrics, node.workers)
    _observe_gossip(metrics, node.gossip)
    _observe_replication(metrics, node.steered)
    _observe_swarm(metrics, node)
    _observe_opens(metrics, node.chunks)
    for tier in node.chunks.usage():
        _observe_tier(metrics, node, tier)
    if "disk" in node.chunks.usage():
        _observe_disk(metrics, lambda: node.chunks.usage()["disk"])


def _observe_workers(metrics: Metrics, workers: Workers) -> None:
    metrics.observe("eliop2p_workers", {}, lambda: workers.ready)
    metrics.observe("eliop2p_worker_bytes_total", {}, lambda: workers.sent)
    metrics.observe("eliop2p_worker_requests_total", {}, lambda: workers.answered)
    metrics.observe("eliop2p_worker_restarts_total", {}, lambda: workers.restarts)


def _observe_limits(metrics: Metrics, bandwidth: Bandwidth) -> None:
    name = "eliop2p_peer_limited_seconds_total"
    metrics.observe(name, {"direction": "up"}, lambda: bandwidth.up.held_seconds)
    metrics.observe(name, {"direction": "down"}, lambda: bandwidth.down.held_seconds)


def _observe_gossip(metrics: Metrics, gossip: Gossip) -> None:
    def show(name: str, value: Callable[[], float]) -> None:
        metrics.observe(f"eliop2p_gossip_{name}_total", {}, value)

    show("probes", lambda: gossip.probes)
    show("failed_probes", lambda: gossip.failed)
    show("suspicions", lambda: gossip.beliefs.suspicions)
    show("refuted", lambda: gossip.beliefs.refuted)


def _observe_replication(metrics: Metrics, steered: Steered) -> None:
    def show(name: str, value: Callable[[], float]) -> None:
        metrics.observe(f"eliop2p_{name}", {}, value)

    show("adjuster", lambda: steered.adjuster.adjusts)
    show("replicas_ordered_total", lambda: steered.adjuster.ordered)
    show("replicas_given_up_total", lambda: steered.adjuster.given_up)
    show("replica_bytes_total", lambda: steered.executor.moved)


def _observe_swarm(metrics: Metrics, node: Counted) -> None:
    transfers = node.swarm.transfers

    def show(name: str, value: Callable[[], float]) -> None:
        metrics.observe(f"eliop2p_{name}", {}, value)

    show("uploads", lambda: node.swarm.requests.uploads)
    show("peer_failures_total", lambda: transfers.counters.peer_failures)
    show("peers_banned", lambda: len(transfers.scores.banned(node.seconds())))
    show("leases_total", lambda: transfers.counters.lease_granted)
    show("last_resort_reads_total", lambda: transfers.counters.last_resort_reads)
    for outcome in ("won", "lost", "failed", "denied"):
        metrics.observe(
            "eliop2p_hedges_total",
            {"outcome": outcome},
            partial(getattr, transfers.hedges, outcome),
        )
    show("hedged_bytes_total", lambda: transfers.hedges.asked)
    metrics.observe(
        "eliop2p_corrupt_chunks_total",
        {"where": "peer"},
        lambda: transfers.counters.corrupt,
    )


def _observe_opens(metrics: Metrics, chunks: ChunkManager) -> None:
    for where, value in (
        ("memory", lambda: chunks.hits_memory),
        ("disk", lambda: chunks.hits_disk),
        ("arriving", lambda: chunks.joined),
        ("fetched", lambda: chunks.flights),
    ):
        metrics.observe("eliop2p_chunk_opens_total", {"where": where}, value)


def _observe_disk(metrics: Metrics, usage: Callable[[], CacheUsage]) -> None:
    metrics.observe("eliop2p_scrubbed_bytes_total", {}, lambda: usage().scrubbed)
    corrupt = "eliop2p_corrupt_chunks_total"
    metrics.observe(corrupt, {"where": "disk"}, lambda: usage().corrupt)
    metrics.observe(corrupt, {"where": "scrub"}, lambda: usage().corrupt_scrubbed)


def _observe_tier(metrics: Metrics, node: Counted, tier: str) -> None:
    def show(name: str, value: Callable[[], float]) -> None:
        metrics.observe(f"eliop2p_cache_{name}", {"tier": tier}, value)

    show("used_bytes", lambda: node.chunks.usage()[tier].used)
    show("capacity_bytes", lambda: node.chunks.usage()[tier].capacity)
    show("chunks", lambda: node.chunks.usage()[tier].chunks)
    show("partial_chunks", lambda: node.chunks.usage()[tier].partial)
    show("degraded", lambda: bool(node.chunks.usage()[tier].degraded))

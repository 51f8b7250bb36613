"""
What is known of every metric of a node.
"""

import attrs


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
        "Body bytes sent to clients, or read for a preheat, by where they came from: "
        "memory, disk, peer, origin, or relay for answers passed through as they are.",
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
        "eliop2p_origin_slowed_total",
        "counter",
        (),
        "Times that the store had this node slow down, by 429 or 503; those of one "
        "second count once.",
    ),
    MetricInfo(
        "eliop2p_origin_budget_ratio",
        "gauge",
        (),
        "The part of the store's budget that the store lets this node have: 1 unless "
        "it had it slow down of late.",
    ),
    MetricInfo(
        "eliop2p_leases_put_off_total",
        "counter",
        (),
        "Times that this node, as a home, had nobody read the store because its budget "
        "was spent.",
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
        "eliop2p_peer_limited_seconds_total",
        "counter",
        ("direction",),
        "Time in which chunks waited for the bandwidth limits between nodes, by "
        "direction: up for max_upload_mbps, down for max_download_mbps.",
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
        "eliop2p_workers",
        "gauge",
        (),
        "Processes that send for the node at this moment, besides itself.",
    ),
    MetricInfo(
        "eliop2p_worker_bytes_total",
        "counter",
        (),
        "Bytes of large bodies that such processes sent, which are counted among the "
        "served ones, too.",
    ),
    MetricInfo(
        "eliop2p_worker_requests_total",
        "counter",
        (),
        "Requests that such processes answered by themselves, which are counted among "
        "all requests, too.",
    ),
    MetricInfo(
        "eliop2p_worker_restarts_total",
        "counter",
        (),
        "Such processes that ended and had to be replaced.",
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
        "eliop2p_hedges_total",
        "counter",
        ("outcome",),
        "Second requests for the rest of a chunk that took unusually long, by outcome: "
        "won when it came first, lost when it came too late, failed when it brought "
        "nothing, denied when too much had been asked for twice already.",
    ),
    MetricInfo(
        "eliop2p_hedged_bytes_total",
        "counter",
        (),
        "Bytes that these asked for, at most a tenth of what came from other nodes.",
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
        "eliop2p_gossip_probes_total",
        "counter",
        (),
        "Times that this node asked a member whether it lives.",
    ),
    MetricInfo(
        "eliop2p_gossip_failed_probes_total",
        "counter",
        (),
        "Of these, times that nobody answered, neither the member nor others for it.",
    ),
    MetricInfo(
        "eliop2p_gossip_suspicions_total",
        "counter",
        (),
        "Times that a member came to be suspected, by this node or by what it heard.",
    ),
    MetricInfo(
        "eliop2p_gossip_refuted_total",
        "counter",
        (),
        "Times that this node had to contradict what was said of itself.",
    ),
    MetricInfo(
        "eliop2p_control_plane_up",
        "gauge",
        (),
        "1 while the control plane answers, else 0.",
    ),
    MetricInfo(
        "eliop2p_adjuster",
        "gauge",
        (),
        "1 while it falls to this node to adjust the replication, else 0.",
    ),
    MetricInfo(
        "eliop2p_replicas_ordered_total",
        "counter",
        (),
        "Replicas that this node, as the adjuster, had made.",
    ),
    MetricInfo(
        "eliop2p_replicas_given_up_total",
        "counter",
        (),
        "Replicas of cold chunks that this node, as the adjuster, had given up.",
    ),
    MetricInfo(
        "eliop2p_replica_bytes_total",
        "counter",
        (),
        "Bytes that this node got from others because it was told to hold them.",
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

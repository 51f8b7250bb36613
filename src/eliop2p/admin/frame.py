"""
What the dashboard shows of a node, made from what the node knows anyway.
"""

from collections.abc import Callable, Iterable, Sequence

import attrs

from eliop2p.admin.explain import summary
from eliop2p.admin.status import NodeStatus
from eliop2p.base.metrics import SOURCES, Metrics
from eliop2p.model.peer import PeerStanding
from eliop2p.model.tally import ClusterTally
from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails

LOOKED_AT = 400
"""
How many of the last requests latencies, objects and feeds are computed from.
"""

SHOWN = 12
"""
How many requests, objects and errors are listed.
"""

_CELLS = 512
_LETTERS = {"memory": "m", "disk": "d", "peer": "p", "origin": "o"}

NAMES = ("time", *SOURCES, "store")
"""
What the numbers of a sample are: bytes served by source, and bytes read of the store.
"""


@attrs.frozen
class Sights:
    """
    Where what is shown comes from.

    Attributes:
        status: The node's state.
        metrics: Its counters.
        trails: How requests were answered.
        peers: How the peers have done.
        seconds: The clock.
        cluster: What all nodes have served, as far as they have told.
    """

    status: Callable[[], NodeStatus]
    metrics: Metrics
    trails: Trails
    peers: Callable[[], Sequence[PeerStanding]]
    seconds: Callable[[], float]
    cluster: Callable[[], ClusterTally]

    def sample(self) -> tuple[float, ...]:
        """
        Give the numbers of this moment, see :data:`NAMES`; the time is not among them.
        """
        status = self.status()
        return (
            *(status.served.get(source, 0) for source in SOURCES),
            status.origin_bytes,
        )

    def frame(self) -> dict[str, object]:
        """
        Describe the node.
        """
        trails = self.trails.recent(LOOKED_AT)
        status = self.status()
        return {
            "now": self.seconds(),
            "status": status.to_json(),
            "cluster": _cluster(self.cluster()),
            "counters": {
                name: _by_label(self.metrics, name)
                for name in ("requests", "auth", "errors")
            },
            "latency": _latencies(trails),
            "running": _distribution(trails),
            "feeds": _feeds(trails),
            "objects": _objects(trails),
            "peers": [attrs.asdict(peer) for peer in self.peers()],
            "recent": [summary(trail) for trail in trails[:SHOWN]],
            "errors": _errors(trails, status),
        }


def _cluster(tally: ClusterTally) -> dict[str, object]:
    """
    Sum up what the cluster read of its store for what it served, and list the nodes
    that read most of it.
    """
    nodes = sorted(tally.nodes, key=lambda node: (-node.total.store, node.node_id))
    return {
        "members": tally.members,
        "covered": len(tally.nodes),
        "window": tally.window,
        "total": attrs.asdict(tally.total),
        "recent": attrs.asdict(tally.recent),
        "nodes": [attrs.asdict(node) for node in nodes[:SHOWN]],
    }


def _by_label(metrics: Metrics, name: str) -> dict[str, float]:
    counter = {
        "requests": metrics.requests,
        "auth": metrics.auth,
        "errors": metrics.errors,
    }[name]
    label = {"requests": "cache", "auth": "outcome", "errors": "kind"}[name]
    found: dict[str, float] = {}
    for family in counter.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                value = sample.labels[label]
                found[value] = found.get(value, 0.0) + sample.value
    return found


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """
    Give the 50th, 90th and 99th percentile by nearest rank.
    """
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p90": None, "p99": None}
    return {
        f"p{part}": round(ordered[-(-part * len(ordered) // 100) - 1], 6)
        for part in (50, 90, 99)
    }


def _latencies(trails: Sequence[RequestTrail]) -> dict[str, object]:
    ended = [trail for trail in trails if trail.seconds >= 0 and not trail.error]
    return {
        "requests": len(ended),
        "first_byte": percentiles(t.first for t in ended if t.first >= 0),
        "whole": percentiles(trail.seconds for trail in ended),
    }


def _path(trail: RequestTrail) -> str:
    return trail.target.partition(b"?")[0].decode("utf-8", "replace")


def _distribution(trails: Sequence[RequestTrail]) -> dict[str, object] | None:
    """
    Picture a read of several chunks, a letter per chunk: the one that runs, or else the
    last one that was not all from this node's own tiers, if there is one.
    """
    reads = [trail for trail in trails if len(trail.chunks) > 1]
    if not reads:
        return None
    shown = (
        next((trail for trail in reads if trail.seconds < 0), None)
        or next((trail for trail in reads if _feeds([trail])), None)
        or reads[0]
    )
    cells = "".join(_LETTERS.get(chunk.source, "r") for chunk in shown.chunks[:_CELLS])
    return {
        "object": _path(shown),
        "request_id": shown.request_id,
        "running": shown.seconds < 0,
        "cells": cells,
        "left_out": max(0, len(shown.chunks) - _CELLS) + shown.chunks_left_out,
        "first": shown.chunks[0].index,
        "feeds": _feeds([shown]),
    }


def _feeds(trails: Sequence[RequestTrail]) -> dict[str, int]:
    """
    Sum up the bytes that each node gave to this one for requests.
    """
    found: dict[str, int] = {}
    for trail in trails:
        for chunk in trail.chunks:
            if chunk.arrival is None or chunk.joined:
                continue
            for step in chunk.arrival.steps:
                if step.bytes:
                    name = step.name or "the store"
                    found[name] = found.get(name, 0) + step.bytes
    return found


def _objects(trails: Sequence[RequestTrail]) -> list[dict[str, object]]:
    """
    Find the objects that were asked for most, in bytes.
    """
    found: dict[str, list[int]] = {}
    for trail in trails:
        if trail.chunks:
            numbers = found.setdefault(_path(trail), [0, 0, 0])
            numbers[0] += 1
            for chunk in trail.chunks:
                numbers[1] += chunk.bytes
                numbers[2] += chunk.bytes if chunk.arrival is None else 0
    first = sorted(found.items(), key=lambda item: -item[1][1])[:SHOWN]
    return [
        {"object": path, "requests": count, "bytes": size, "cached": cached}
        for path, (count, size, cached) in first
    ]


def _errors(
    trails: Sequence[RequestTrail], status: NodeStatus
) -> list[dict[str, object]]:
    """
    Say in plain words what went wrong of late.
    """
    found: list[dict[str, object]] = [
        {"when": None, "request_id": "", "text": f"The {name} tier: {tier.degraded}"}
        for name, tier in status.tiers.items()
        if tier.degraded
    ]
    if status.control_plane.endpoint and status.control_plane.state != "registered":
        text = (
            f"The control plane at {status.control_plane.endpoint} is not reached "
            f"({status.control_plane.state}); reads do not need it"
        )
        found.append({"when": None, "request_id": "", "text": text})
    found += [
        {
            "when": trail.started,
            "request_id": trail.request_id,
            "text": _what(trail),
        }
        for trail in trails
        if trail.error or trail.status >= 400
    ]
    return found[:SHOWN]


def _what(trail: RequestTrail) -> str:
    line = f"{trail.method.decode('latin-1')} {_path(trail)}"
    if trail.error:
        return f"{line}: {trail.error}"
    who = {
        401: "the store wants credentials",
        403: "the store refused the client",
        404: "the store has no such object",
        503: "the store cannot be reached, or asked to slow down",
    }.get(trail.status, "see the answer's text")
    return f"{line} was answered with {trail.status}: {who}"

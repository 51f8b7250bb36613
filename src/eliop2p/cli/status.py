"""
``eliop2p status``: how a node is doing.
"""

import json

import attrs
import click
from rich.console import Group

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import (
    printable,
    readable_bytes,
    readable_seconds,
    show,
    table,
)


@attrs.frozen
class Tier:
    """
    A tier of the cache.

    Attributes:
        name: ``memory`` or ``disk``.
        used: Bytes in it.
        capacity: Bytes it may hold.
        chunks: Chunks in it.
        degraded: Why it does not take part, empty when it does.
    """

    name: str
    used: int
    capacity: int
    chunks: int
    degraded: str


@attrs.frozen
class Member:
    """
    A node of the cluster.
    """

    node_id: str
    host: str
    port: int
    zone: str


@attrs.frozen
class Status:
    """
    What a node says of itself.

    Attributes:
        node_id: Its name.
        version: Its version.
        uptime: Seconds since it started.
        ready: Whether it serves.
        control_plane: The state of the control plane and where it is.
        members: The cluster as the node sees it.
        tiers: Its cache.
        served: Bytes sent to clients, by source.
    """

    node_id: str
    version: str
    uptime: float
    ready: bool
    control_plane: str
    members: tuple[Member, ...]
    tiers: tuple[Tier, ...]
    served: dict[str, int]


def parse_status(data: bytes) -> Status:
    """
    Read the answer of ``/api/v1/status``.

    Raises:
        ValueError: It is something else.
    """
    try:
        answer = json.loads(data)
        control = answer["control_plane"]
        return Status(
            node_id=printable(answer["node_id"]),
            version=printable(answer["version"]),
            uptime=float(answer["uptime"]),
            ready=bool(answer["ready"]),
            control_plane=printable(
                f"{control['state']} {control['endpoint']}"
                if control["endpoint"]
                else "none"
            ),
            members=tuple(
                Member(
                    printable(each["node_id"]),
                    printable(each["host"]),
                    int(each["port"]),
                    printable(each["zone"]),
                )
                for each in answer["members"]
            ),
            tiers=tuple(
                Tier(
                    printable(name),
                    int(tier["used"]),
                    int(tier["capacity"]),
                    int(tier["chunks"]),
                    printable(tier["degraded"]),
                )
                for name, tier in answer["tiers"].items()
            ),
            served={printable(k): int(v) for k, v in answer["served"].items()},
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a status: {error}") from error


def render(status: Status) -> Group:
    """
    Lay out a status for a terminal.
    """
    head = table(
        "node",
        status.node_id,
        rows=[
            ("version", status.version),
            ("up", readable_seconds(status.uptime)),
            ("ready", "yes" if status.ready else "no"),
            ("control plane", status.control_plane),
        ],
    )
    tiers = [
        (
            tier.name,
            f"{readable_bytes(tier.used)} of {readable_bytes(tier.capacity)}",
            str(tier.chunks),
            tier.degraded or "ok",
        )
        for tier in status.tiers
    ]
    served = [(name, readable_bytes(count)) for name, count in status.served.items()]
    members = [
        (each.node_id, f"{each.host}:{each.port}", each.zone or "-")
        for each in status.members
    ]
    return Group(
        head,
        "",
        table("tier", "used", "chunks", "state", rows=tiers),
        "",
        table("served from", "bytes", rows=served),
        "",
        table("member", "address", "zone", rows=members),
    )


@click.command()
@admin_options
def status(admin: Admin, as_json: bool) -> None:
    """
    Show how a node is doing, and what it sees of its cluster.
    """
    data = admin.ask("/api/v1/status")
    try:
        parsed = parse_status(data)
    except ValueError:
        raise not_a_node(admin) from None
    if as_json:
        click.echo(json.dumps(json.loads(data), indent=2))
    else:
        show(render(parsed))

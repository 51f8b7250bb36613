"""
``eliop2p status``: how a node is doing.
"""

import json
from collections.abc import Sequence

import attrs
import click
from rich.console import Console, Group
from rich.table import Table

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node


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


def _text(value: object) -> str:
    """
    Give a text without what a terminal could take for an instruction.
    """
    return "".join(each for each in str(value or "") if each.isprintable())


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
            node_id=_text(answer["node_id"]),
            version=_text(answer["version"]),
            uptime=float(answer["uptime"]),
            ready=bool(answer["ready"]),
            control_plane=_text(
                f"{control['state']} {control['endpoint']}"
                if control["endpoint"]
                else "none"
            ),
            members=tuple(
                Member(
                    _text(each["node_id"]),
                    _text(each["host"]),
                    int(each["port"]),
                    _text(each["zone"]),
                )
                for each in answer["members"]
            ),
            tiers=tuple(
                Tier(
                    _text(name),
                    int(tier["used"]),
                    int(tier["capacity"]),
                    int(tier["chunks"]),
                    _text(tier["degraded"]),
                )
                for name, tier in answer["tiers"].items()
            ),
            served={_text(k): int(v) for k, v in answer["served"].items()},
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a status: {error}") from error


def readable_bytes(count: int) -> str:
    """
    Write a number of bytes for people: ``8.0 MiB``.
    """
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def readable_seconds(seconds: float) -> str:
    """
    Write a duration for people: its two largest units.
    """
    left = int(seconds)
    parts: list[str] = []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, length)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _table(*headings: str, rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


def render(status: Status) -> Group:
    """
    Lay out a status for a terminal.
    """
    head = _table(
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
        _table("tier", "used", "chunks", "state", rows=tiers),
        "",
        _table("served from", "bytes", rows=served),
        "",
        _table("member", "address", "zone", rows=members),
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
        Console(highlight=False, markup=False, emoji=False).print(render(parsed))

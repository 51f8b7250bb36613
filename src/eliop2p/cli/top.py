"""
``eliop2p top``: what a node is doing, live.
"""

import itertools
import json
import threading
from typing import Any

import attrs
import click
from rich.console import Console, Group
from rich.live import Live

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import (
    printable,
    readable_bytes,
    readable_moment,
    table,
)

_SOURCES = ("memory", "disk", "peer", "origin", "relay")


@attrs.frozen
class Moment:
    """
    What a node says of itself at a moment.

    Attributes:
        node_id: Which node.
        uptime: Seconds since its start: the clock that rates are taken from.
        served: Bytes served by source.
        origin: Bytes read of the store.
        requests: The last requests.
    """

    node_id: str
    uptime: float
    served: dict[str, int]
    origin: int
    requests: list[dict[str, Any]]


def look(admin: Admin, count: int) -> Moment:
    """
    Ask a node.

    Raises:
        click.ClickException: There is no answer of a node.
    """
    try:
        status = json.loads(admin.ask("/api/v1/status"))
        listed = json.loads(admin.ask(f"/api/v1/requests?limit={count}"))
        return Moment(
            printable(status["node_id"]),
            float(status["uptime"]),
            {name: int(status["served"].get(name, 0)) for name in _SOURCES},
            int(status["origin_bytes"]),
            list(listed["requests"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise not_a_node(admin) from None


def rates(before: Moment, after: Moment) -> dict[str, float]:
    """
    Give the bytes per second between two moments; none when the node has begun anew.
    """
    seconds = after.uptime - before.uptime
    if seconds <= 0:
        return dict.fromkeys(_SOURCES, 0.0)
    return {
        name: max(0.0, (after.served[name] - before.served[name]) / seconds)
        for name in _SOURCES
    }


def _request(each: dict[str, Any]) -> tuple[str, ...]:
    sources = ", ".join(
        f"{printable(name)} {readable_bytes(int(count))}"
        for name, count in each["sources"].items()
    )
    return (
        printable(each["request_id"]),
        printable(f"{each['method']} {each['target']}")[:60],
        "running" if each["running"] else str(int(each["status"])),
        printable(each["cache"]) or "-",
        sources or "-",
        readable_moment(each["seconds"]),
    )


def render(before: Moment, after: Moment) -> Group:
    """
    Lay out what happened between two moments.
    """
    now, total = rates(before, after), sum(after.served.values())
    share = f"{after.origin / total:.3f}" if total else "-"
    rows = [
        (
            name,
            f"{readable_bytes(now[name])}/s",
            readable_bytes(after.served[name]),
            f"{100 * after.served[name] / total:.1f} %" if total else "-",
        )
        for name in _SOURCES
    ]
    headings = ("request", "line", "status", "cache", "from", "took")
    return Group(
        f"{after.node_id}: {readable_bytes(sum(now.values()))}/s served; read of the "
        f"store per byte served since the start: {share}",
        "",
        table("from", "now", "in all", "share", rows=rows),
        "",
        table(*headings, rows=[_request(each) for each in after.requests]),
    )


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
@click.option(
    "--count", type=click.IntRange(1), help="End after so many looks; else by Ctrl-C."
)
@admin_options
def top(admin: Admin, as_json: bool, interval: float, count: int | None) -> None:
    """
    Show what a node serves, from where, and its last requests, again and again.

    With --json a line is written for each look.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    pause, looks = (
        threading.Event(),
        itertools.count() if count is None else range(count),
    )
    before = look(admin, 12)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        for _ in looks:
            pause.wait(interval)
            after = look(admin, 12)
            if as_json:
                line = {**attrs.asdict(after), "rates": rates(before, after)}
                click.echo(json.dumps(line))
            else:
                live.update(render(before, after), refresh=True)
            before = after

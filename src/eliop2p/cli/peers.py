"""
``eliop2p peers``: the members of the cluster, and how they have done.
"""

import json
from typing import Any

import click

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import (
    printable,
    readable_bytes,
    readable_moment,
    readable_seconds,
    show,
    table,
)


def _verdict(peer: dict[str, Any]) -> str:
    if float(peer["banned_for"]) > 0:
        return f"not asked for {readable_seconds(float(peer['banned_for']))}"
    return "failed lately" if float(peer["failures"]) > 0.5 else "ok"


def _row(member: dict[str, Any], me: str, peer: dict[str, Any] | None) -> list[str]:
    name = printable(member["node_id"])
    row = [
        name,
        printable(f"{member['host']}:{member['port']}"),
        printable(member["zone"]) or "-",
    ]
    if name == me:
        return [*row, "-", "-", "-", "-", "this node"]
    if peer is None:
        return [*row, "-", "-", "-", "-", "not asked yet"]
    rate, latency = float(peer["rate"]), float(peer["latency"])
    return [
        *row,
        f"{readable_bytes(rate)}/s" if rate else "-",
        readable_moment(latency) if latency else "-",
        f"{float(peer['failures']):.1f}",
        str(int(peer["in_flight"])),
        _verdict(peer),
    ]


@click.command()
@admin_options
def peers(admin: Admin, as_json: bool) -> None:
    """
    Show the members of the cluster as a node sees them, and how they have done.
    """
    data = admin.ask("/api/v1/peers")
    try:
        answer = json.loads(data)
        me = printable(answer["node_id"])
        standings = {each["node_id"]: each for each in answer["peers"]}
        rows = [
            tuple(_row(each, me, standings.get(each["node_id"])))
            for each in answer["members"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise not_a_node(admin) from None
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    headings = (
        *("node", "address", "zone", "speed", "first byte"),
        *("failures", "asked now", "state"),
    )
    show(table(*headings, rows=rows))

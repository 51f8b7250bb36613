"""
``eliop2p pin``, ``unpin``, ``replicas`` and ``objects``: say how often objects are to
be held, and see how often they are.
"""

import json
from collections.abc import Callable
from typing import Any

import click

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import readable_bytes

TIMEOUT = 60.0
"""
Seconds to wait: a node asks all others.
"""

_MOST = 64


def _ask(admin: Admin, page: str, asked: object) -> dict[str, Any]:
    """
    Make a call.

    Raises:
        click.ClickException: There is no usable answer.
    """
    data = admin.ask(f"/api/v1/{page}", asked, TIMEOUT)
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        raise not_a_node(admin) from None
    if not isinstance(answer, dict):
        raise not_a_node(admin)
    return answer


def _show_policy(policy: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(policy, indent=2))
        return
    low, high = policy["min_replicas"], policy["max_replicas"]
    click.echo(f"everything: {low} when cold to {high} when hot")
    for rule in policy["rules"]:
        kind = "pinned" if rule["pinned"] else "at most"
        click.echo(f"{rule['prefix']}: {kind} {rule['replicas']}")


def _count(default: int | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--replicas",
        type=click.IntRange(1, _MOST),
        default=default,
        show_default=True,
        help="How many nodes are to hold each chunk.",
    )


@click.command()
@click.argument("prefix", metavar="s3://BUCKET/PREFIX")
@_count(2)
@admin_options
def pin(admin: Admin, prefix: str, replicas: int, as_json: bool) -> None:
    """
    Keep so many replicas of what is below PREFIX, however rarely it is read.

    What is held by fewer nodes is copied from node to node, never read from the store;
    what nobody holds yet is left for whoever reads it first.
    """
    rule = {"prefix": prefix, "replicas": replicas, "pinned": True}
    _show_policy(_ask(admin, "replication", {"set": rule}), as_json)


@click.command()
@click.argument("prefix", metavar="s3://BUCKET/PREFIX")
@admin_options
def unpin(admin: Admin, prefix: str, as_json: bool) -> None:
    """
    Take back what pin or replicas said of PREFIX.
    """
    _show_policy(_ask(admin, "replication", {"remove": prefix}), as_json)


@click.command()
@click.argument("count", type=click.IntRange(1, _MOST), required=False)
@click.argument("prefix", metavar="[s3://BUCKET/PREFIX]", required=False)
@admin_options
def replicas(
    admin: Admin, count: int | None, prefix: str | None, as_json: bool
) -> None:
    """
    Let what is below PREFIX have up to COUNT replicas when it is hot; without both,
    show what holds.
    """
    if (count is None) != (prefix is None):
        raise click.UsageError("give both COUNT and s3://BUCKET/PREFIX, or neither")
    asked: dict[str, object] = {}
    if prefix is not None:
        asked["set"] = {"prefix": prefix, "replicas": count, "pinned": False}
    _show_policy(_ask(admin, "replication", asked), as_json)


@click.command()
@click.argument("prefix", metavar="s3://BUCKET/PREFIX")
@admin_options
def objects(admin: Admin, prefix: str, as_json: bool) -> None:
    """
    Show who holds how much of the objects below PREFIX, in the whole cluster.
    """
    answer = _ask(admin, "objects", {"prefix": prefix})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for each in answer["objects"]:
        nodes = ", ".join(
            name if held == each["chunks"] else f"{name} ({held}/{each['chunks']})"
            for name, held in each["nodes"].items()
        )
        size = readable_bytes(each["size"])
        click.echo(
            f"s3://{each['bucket']}/{each['key']}: {size}, {each['held']} of "
            f"{each['chunks']} chunks held, each by {each['replicas']} or more: {nodes}"
        )
    left = answer["found"] - len(answer["objects"])
    if left:
        click.echo(f"and {left} more: narrow the prefix")

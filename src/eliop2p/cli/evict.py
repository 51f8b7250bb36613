"""
``eliop2p evict``: have a node drop objects.
"""

import json

import attrs
import click

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import readable_bytes

TIMEOUT = 900.0
"""
Seconds to wait: a node looks through all the objects that it remembers.
"""

_SCHEMES = ("s3://", "oss://")


@attrs.frozen
class Evicted:
    """
    What a node has dropped.
    """

    objects: int
    chunks: int
    bytes: int


def parse_location(location: str) -> tuple[str, str]:
    """
    Read ``s3://bucket/prefix``.

    Returns:
        The bucket and the prefix.

    Raises:
        ValueError: It is something else.
    """
    for scheme in _SCHEMES:
        if location.startswith(scheme):
            bucket, _, prefix = location.removeprefix(scheme).partition("/")
            if bucket:
                return bucket, prefix
    raise ValueError(f"{location!r} is not of the form s3://bucket/prefix")


def parse_evicted(data: bytes) -> Evicted:
    """
    Read the answer of ``/api/v1/evict``.

    Raises:
        ValueError: It is something else.
    """
    try:
        answer = json.loads(data)
        return Evicted(
            int(answer["objects"]), int(answer["chunks"]), int(answer["bytes"])
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an answer: {error}") from error


@click.command()
@click.argument("location", metavar="s3://BUCKET/PREFIX")
@admin_options
def evict(admin: Admin, location: str, as_json: bool) -> None:
    """
    Drop the objects whose keys begin with PREFIX from a node's cache.

    The next read of one learns its version from the store anew and fetches its bytes
    from other nodes, or from the store. What other nodes hold stays there: run this
    against each of them.
    """
    try:
        bucket, prefix = parse_location(location)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="location") from None
    data = admin.ask("/api/v1/evict", {"bucket": bucket, "prefix": prefix}, TIMEOUT)
    try:
        done = parse_evicted(data)
    except ValueError:
        raise not_a_node(admin) from None
    if as_json:
        click.echo(json.dumps(json.loads(data), indent=2))
    else:
        click.echo(
            f"dropped {done.objects} objects: {done.chunks} chunks, "
            f"{readable_bytes(done.bytes)}"
        )

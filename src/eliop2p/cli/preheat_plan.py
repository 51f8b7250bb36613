"""
What a preheat is to do: which objects to which nodes. Decisions about values.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Target:
    """
    A node that can be read through.

    Attributes:
        node_id: Its name.
        host: Where it is.
        port: Its HTTP proxy port.
        zone: Where it stands.
    """

    node_id: str
    host: str
    port: int
    zone: str


@attrs.frozen
class Thing:
    """
    An object to read.

    Attributes:
        bucket: Its bucket.
        key: Its key.
        etag: Its version, empty when nobody said.
        size: Its length in bytes, 0 when nobody said.
        url: A presigned URL of it, empty for one that is still to be signed.
    """

    bucket: str
    key: str
    etag: str
    size: int
    url: str = attrs.field(default="", repr=False)

    @property
    def name(self) -> str:
        """
        The object and its version, without anything that gives access to it.
        """
        return f"s3://{self.bucket}/{self.key} {self.etag}"


@attrs.frozen
class Signed:
    """
    A request that a store will grant.

    Attributes:
        url: The object, at the store.
        headers: What shows who asks; empty with a presigned URL.
    """

    url: str = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class Job:
    """
    One object to be read through one node.
    """

    thing: Thing
    target: Target

    @property
    def name(self) -> str:
        """
        What is noted when it is done.
        """
        return f"{self.target.node_id} {self.thing.name}"


def _rank(text: str, node_id: str) -> bytes:
    return hashlib.blake2b(f"{text}\n{node_id}".encode(), digest_size=8).digest()


def choose_targets(wanted: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """
    Choose nodes.

    Args:
        wanted: ``all``, a number, a percentage ``P%``, ``zone=Z``, or names separated
            by commas.
        targets: All nodes. A number takes the same ones whenever it is asked for.

    Raises:
        ValueError: There are no such nodes; the text says what is there.
    """
    known = {target.node_id: target for target in targets}
    ranked = sorted(targets, key=lambda target: _rank("preheat", target.node_id))
    if wanted == "all":
        return tuple(ranked)
    if wanted.startswith("zone="):
        zone = wanted.removeprefix("zone=")
        chosen = tuple(target for target in ranked if target.zone == zone)
        if not chosen:
            zones = ", ".join(sorted({each.zone or "none" for each in targets}))
            raise ValueError(f"no node is in zone {zone!r}; there are: {zones}")
        return chosen
    count = _count(wanted, len(targets))
    if count is not None:
        return tuple(ranked[:count])
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    missing = [name for name in names if name not in known]
    if missing or not names:
        there = ", ".join(sorted(known))
        raise ValueError(f"no node is called {', '.join(missing)}; there are: {there}")
    return tuple(known[name] for name in dict.fromkeys(names))


def _count(wanted: str, total: int) -> int | None:
    digits = wanted.removesuffix("%")
    if not digits.isascii() or not digits.isdecimal():
        return None
    number = int(digits)
    if wanted.endswith("%"):
        if not 1 <= number <= 100:
            raise ValueError("a percentage is from 1% to 100%")
        return max(1, math.ceil(total * number / 100))
    if not 1 <= number <= total:
        raise ValueError(f"there are {total} nodes; choose from 1 to {total}")
    return number


def assign(
    things: Iterable[Thing], targets: Sequence[Target], replicas: int
) -> tuple[Job, ...]:
    """
    Spread objects over nodes, each whole to so many of them; the same way each time.
    """
    jobs = []
    for thing in things:
        text = f"{thing.bucket}/{thing.key}"
        ranked = sorted(targets, key=lambda each: _rank(text, each.node_id))
        jobs += [Job(thing, target) for target in ranked[:replicas]]
    return tuple(jobs)

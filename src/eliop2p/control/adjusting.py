"""
Which replicas are to be made, and where: decisions about values.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import attrs

from eliop2p.control.orders import MAX_CHUNKS, ChunkRef, Kind, Order
from eliop2p.control.policy import Policy, Rule, wanted_replicas
from eliop2p.model.chunk import Chunk, ChunkId

EPOCH_SECONDS = 600.0
"""
Time after which a command that was carried out, and whose effect is gone, is given
anew.
"""


@attrs.frozen
class Held:
    """
    One chunk that is looked at.

    Attributes:
        chunk: The chunk.
        holders: The live nodes that hold it.
        heat: How often it was asked for within the last hour.
    """

    chunk: Chunk
    holders: tuple[str, ...]
    heat: int


def missing(policy: Policy, rule: Rule | None, held: Held, nodes: int) -> int:
    """
    Tell how many replicas of a chunk are to be made. Of what nobody holds nothing can
    be made: it is read from the store when it is wanted.
    """
    if not held.holders:
        return 0
    wanted = min(wanted_replicas(policy, rule, held.heat), nodes)
    return max(0, wanted - len(held.holders))


def surplus(policy: Policy, rule: Rule, held: Held) -> tuple[str, ...]:
    """
    Name the holders that a chunk does not need: those above the minimum when nobody has
    asked for it within the last hour, and none of a pinned one.
    """
    if rule.pinned or held.heat:
        return ()
    keep = choose_targets(held.chunk.id, (), held.holders, policy.min_replicas)
    return tuple(name for name in held.holders if name not in keep)


def choose_targets(
    chunk_id: ChunkId, holders: Iterable[str], nodes: Sequence[str], count: int
) -> tuple[str, ...]:
    """
    Choose who is to hold a chunk as well: for the same nodes always the same, and for
    different chunks different ones.
    """
    others = set(nodes) - set(holders)

    def rank(node_id: str) -> bytes:
        text = chunk_id + node_id.encode()
        return hashlib.blake2b(text, digest_size=8).digest()

    return tuple(sorted(others, key=rank)[:count])


def plan_replicas(
    policy: Policy, rule: Rule | None, chunks: Iterable[Held], nodes: Sequence[str]
) -> dict[str, list[ChunkRef]]:
    """
    Plan the replicas that a rule asks for, or the heat, and that are not there.

    Args:
        policy: The bounds.
        rule: The rule; None where there is none.
        chunks: The chunks that it is about.
        nodes: The live nodes.

    Returns:
        What each node is to hold as well.
    """
    plan: dict[str, list[ChunkRef]] = {}
    for held in chunks:
        count = missing(policy, rule, held, len(nodes))
        targets = choose_targets(held.chunk.id, held.holders, nodes, count)
        for node_id in targets:
            ref = ChunkRef(held.chunk.id, held.chunk.length)
            plan.setdefault(node_id, []).append(ref)
    return plan


def plan_evictions(
    policy: Policy, rule: Rule, chunks: Iterable[Held]
) -> dict[str, list[ChunkRef]]:
    """
    Plan which replicas are no longer worth their room.

    Returns:
        What each node is to hold no longer.
    """
    plan: dict[str, list[ChunkRef]] = {}
    for held in chunks:
        for node_id in surplus(policy, rule, held):
            ref = ChunkRef(held.chunk.id, held.chunk.length)
            plan.setdefault(node_id, []).append(ref)
    return plan


def make_orders(
    plan: Mapping[str, Sequence[ChunkRef]],
    prefix: str,
    now: float,
    kind: Kind = Kind.REPLICATE,
) -> tuple[tuple[str, Order], ...]:
    """
    Write a plan as commands. The same plan within :data:`EPOCH_SECONDS` gives the same
    commands, which are then only given once.
    """
    orders = []
    for node_id in sorted(plan):
        chunks = plan[node_id]
        for start in range(0, len(chunks), MAX_CHUNKS):
            some = tuple(chunks[start : start + MAX_CHUNKS])
            name = _order_name(kind, some, now)
            orders.append((node_id, Order(name, kind, some, prefix=prefix)))
    return tuple(orders)


def _order_name(kind: Kind, chunks: Iterable[ChunkRef], now: float) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(b"%d" % (now // EPOCH_SECONDS))
    for chunk in chunks:
        hasher.update(chunk.chunk_id)
    return f"{kind.value}-{hasher.hexdigest()}"

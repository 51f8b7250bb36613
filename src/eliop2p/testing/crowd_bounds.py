"""
How much the tables and queues of a crowd's nodes held, beside what they may hold.
"""

import gc
import random
import tracemalloc
from collections.abc import Iterator

import attrs

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.connections import MAX_SHARED
from eliop2p.p2p.directory import (
    MAX_COMPLETE,
    MAX_ENTRIES,
    MAX_RECEIVING,
    Directory,
)
from eliop2p.p2p.gossip import MAX_MEMBERS
from eliop2p.p2p.objects import MAX_WAITERS
from eliop2p.testing.crowd import INFLIGHT_CHUNKS, UPLOAD_SLOTS, Crowd, CrowdNode
from eliop2p.wire.session import MAX_OUTBOUND

ENTRY_BYTES = 256
"""
What an entry of a directory may take.
"""

WEIGHED = 1000
"""
Entries that are made to weigh one.
"""


@attrs.frozen
class Peak:
    """
    The most that one node had of something.

    Attributes:
        what: What it is.
        most: How much it was, at any of the moments at which it was looked at.
        bound: How much the code lets it be.
    """

    what: str
    most: int
    bound: int


class Peaks:
    """
    Looks at all nodes of a crowd that live, now and then, and remembers the most.
    """

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._chunks = _chunks(crowd)
        self._found: dict[str, Peak] = {}

    def look(self) -> None:
        """
        Look now.
        """
        for node in self._crowd.nodes:
            if node.host.is_alive:
                for peak in self._look_at(node):
                    known = self._found.get(peak.what)
                    if known is None or peak.most > known.most:
                        self._found[peak.what] = peak

    def found(self) -> tuple[Peak, ...]:
        """
        Give what was found.
        """
        return tuple(self._found.values())

    def _look_at(self, node: CrowdNode) -> Iterator[Peak]:
        swarm, directory, plan = node.swarm, node.swarm.directory, self._crowd.plan
        asked = node.links.asked
        receivers = [len(directory.receivers(each)) for each in self._chunks]
        holders = [len(directory.holders(each)) for each in self._chunks]
        yield Peak("chunks in a directory", len(directory), MAX_ENTRIES)
        yield Peak("holders of a chunk", max(holders), MAX_COMPLETE)
        yield Peak("receivers of a chunk", max(receivers), MAX_RECEIVING)
        yield Peak("members", len(node.members.current().peers), MAX_MEMBERS)
        yield Peak("connections", len(asked), MAX_SHARED * plan.nodes)
        yield Peak("open requests of a connection", max(asked, default=0), MAX_OUTBOUND)
        yield Peak("uploads", swarm.requests.uploads, UPLOAD_SLOTS)
        yield Peak("attached readers", swarm.attached, UPLOAD_SLOTS)
        yield Peak("who waits for a record", swarm.waiting, MAX_WAITERS)
        room = INFLIGHT_CHUNKS * self._crowd.chunk_size
        yield Peak("bytes in flight", node.chunks.inflight, room)


def _chunks(crowd: Crowd) -> list[ChunkId]:
    layout = crowd.layout()
    return [layout.chunk(index).id for index in range(crowd.plan.chunks)]


def weigh(crowd: Crowd) -> Peak:
    """
    Weigh an entry of a directory that knows the holders of chunks as the crowd's homes
    do now, by filling one with many such entries. The names of nodes, which all
    entries share, are not weighed.
    """
    homes = [node.swarm.directory for node in crowd.nodes]
    known = [home.holders(each) for home in homes for each in _chunks(crowd)]
    held = [names for names in known if names]
    mean = sum(map(len, held)) / max(len(held), 1)
    each = _weigh(held, crowd.plan.seed) if held else 0
    return Peak(f"bytes of an entry, {mean:.1f} holders each", each, ENTRY_BYTES)


def _weigh(held: list[tuple[str, ...]], seed: int) -> int:
    """
    Fill a directory with chunks that are held by such nodes.

    Returns:
        Bytes for each.
    """
    rng = random.Random(seed)  # noqa: S311  # Only names.
    directory = Directory(1)
    for name in sorted(set().union(*held)):
        directory.have(name, ChunkId(bytes(32)), Digest(bytes(32)))
    gc.freeze()  # The crowd need not be looked through.
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(WEIGHED):
            chunk_id, digest = ChunkId(rng.randbytes(32)), Digest(rng.randbytes(32))
            for name in held[number % len(held)]:
                directory.have(name, chunk_id, digest)
        gc.collect()  # The interpreter keeps some of what was given back.
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    return (after - before) // WEIGHED

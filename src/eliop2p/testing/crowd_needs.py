"""
What a store must send again when a part of a crowd dies or is cut off, whoever decides.
"""

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from eliop2p.interfaces import IChunkReading
from eliop2p.model.chunk import Chunk
from eliop2p.testing.crowd import UNDER_WAY, Crowd, CrowdNode


def least_sent(crowd: Crowd, groups: Iterable[Sequence[CrowdNode]]) -> float:
    """
    Tell how much the store sends at least, from the beginning, of an object that all
    are reading.

    Args:
        crowd: The nodes and the store.
        groups: The nodes that can reach each other from now on.

    Returns:
        Bytes relative to those of the object: those that have come from the store, and
        for each group what is missing of each chunk on the node of it that has most. A
        part of a chunk counts where it came from the store, for nobody vouches for
        others, or where the rest may be on its way.
    """
    layout, missing = crowd.layout(), 0
    chunks = [layout.chunk(index) for index in range(crowd.plan.chunks)]
    for group in groups:
        for chunk in chunks:
            most = max(_filled(crowd, node, chunk) for node in group)
            missing += chunk.length - most
    return (crowd.origin.came + missing) / layout.version.size


def _filled(crowd: Crowd, node: CrowdNode, chunk: Chunk) -> int:
    """
    Tell how many bytes of a chunk a node has that need not be read again.
    """
    found: list[IChunkReading | None] = []
    opening: Deferred[IChunkReading | None] = node.chunks.open_local(chunk.id)
    opening.addCallback(found.append)
    (reading,) = found  # At once: there is no disk here.
    if reading is None:
        return 0
    try:
        if reading.filled >= chunk.length - UNDER_WAY * crowd.segment:
            return chunk.length
        return reading.filled if reading.source == "origin" else 0
    finally:
        reading.close()

"""
Where the bytes of a read will come from, before they are read.
"""

from eliop2p.interfaces import IChunkParts
from eliop2p.model.chunk import Layout
from eliop2p.model.ranges import Interval
from eliop2p.proxy.parts import is_inside


def outlook(parts: IChunkParts, layout: Layout, part: Interval) -> tuple[str, bytes]:
    """
    Tell from where a part of an object will come, as far as is known.

    Args:
        parts: Knows what is here.
        layout: The object.
        part: Which bytes; not empty.

    Returns:
        Hit, partial or miss, and how many bytes are in memory, on disk and neither.
    """
    expected = {"memory": 0, "disk": 0, "": 0}
    for chunk in map(layout.chunk, layout.covering(part)):
        overlap = chunk.interval.intersect(part)
        assert overlap is not None
        where = parts.where_part(chunk, overlap)
        expected[where if where in expected else ""] += overlap.length
    elsewhere = expected[""]
    outcome = "miss" if elsewhere == part.length else "partial"
    if not elsewhere:
        outcome = "hit"
    text = "memory={memory} disk={disk} pending={}".format(
        elsewhere, **{name: count for name, count in expected.items() if name}
    )
    return outcome, text.encode()


def in_chunks(
    parts: IChunkParts, layout: Layout, part: Interval, *, fixed: bool
) -> bool:
    """
    Tell whether every chunk of a part can be had: whole from the store, or what is
    wanted of it from where it is.

    Args:
        parts: Knows what is here.
        layout: The object.
        part: Which bytes.
        fixed: Whether the store may be asked for exactly these only.
    """
    return not fixed or all(
        is_inside(chunk, part) or parts.where_part(chunk, part)
        for chunk in map(layout.chunk, layout.covering(part))
    )


def at_rest(parts: IChunkParts, layout: Layout, part: Interval) -> bool:
    """
    Tell whether every byte of a part is in a tier.
    """
    chunks = map(layout.chunk, layout.covering(part))
    return {parts.where_part(chunk, part) for chunk in chunks} <= {"memory", "disk"}

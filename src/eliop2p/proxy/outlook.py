"""
What a client is told of where its bytes come from, before they are read.
"""

from eliop2p.interfaces import IChunkParts
from eliop2p.model.chunk import Layout
from eliop2p.model.ranges import Interval


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

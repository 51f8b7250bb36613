"""
Which peers could give a chunk, and which are asked for it.
"""

import attrs


@attrs.frozen
class Candidate:
    """
    A peer that a home proposed for a chunk.

    Attributes:
        node_id: Its name.
        complete: Whether it holds the chunk; else it is receiving it.
        cost: Estimated seconds until a MiB is here, from its throughput, latency and
            recent failures; the least there is for a peer that is not known yet.
        latency: Seconds to its first byte of late, 0 while unknown.
        in_flight: Requests of ours that it has not finished.
        near: Whether it stands in the zone of this node.
    """

    node_id: str
    complete: bool
    cost: float
    latency: float = 0.0
    in_flight: int = 0
    near: bool = True


@attrs.frozen
class Choice:
    """
    A peer that is to be asked.

    Attributes:
        node_id: Its name, that of a candidate.
        why: Why it has its place, in a few words that follow its name.
    """

    node_id: str
    why: str

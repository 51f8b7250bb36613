"""
The crowd that the explanation of the swarm tells of, once: 100 nodes, 64 chunks.
"""

from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.scenarios import cold


def test_hundred_nodes() -> None:
    """
    A hundred nodes read 64 chunks of the store once, right to the last byte, in 1.6
    times what their links need at most, and with six messages a chunk and node.
    """
    outcome = cold(CrowdPlan(nodes=100, chunks=64))
    assert (outcome.wrong, outcome.failed, outcome.hanging) == (0, 0, 0)
    assert len(outcome.times) == 100
    assert outcome.amplification <= 1.01
    assert outcome.messages <= 6.0
    assert outcome.ratio(0.5) <= 1.4
    assert outcome.ratio(1.0) <= 1.6

"""
A chunk that only nodes without power, and one other, hold or receive.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.rendezvous import Homes
from eliop2p.testing.crowd import Crowd, CrowdNode, Reader
from eliop2p.testing.crowd_parts import GBIT, CrowdPlan

HOLDERS = 5


def crowd_of(plan: CrowdPlan) -> tuple[Crowd, list[CrowdNode]]:
    """
    Make nodes that know each other.

    Returns:
        The crowd, and those of it that are no homes of its chunk.
    """
    crowd = Crowd(plan)
    crowd.introduce()
    peers = crowd.nodes[0].members.current().peers
    homes = Homes().of(crowd.layout().chunk(0).id, peers)
    return crowd, [node for node in crowd.nodes if node.me.node_id not in homes]


def read_after_deaths(crowd: Crowd, others: list[CrowdNode]) -> Reader:
    """
    Let all nodes but the first that hold or receive the chunk lose their power, and
    another one read it.
    """
    for node in others[1:HOLDERS]:
        crowd.vanish(node)
    reader = others[HOLDERS].read(crowd.layout())
    crowd.pass_time(10.0)
    return reader


def read_from_the_dead(seed: int) -> tuple[Crowd, Reader]:
    """
    Read a chunk that only nodes without power, and one other, hold.
    """
    crowd, others = crowd_of(CrowdPlan(nodes=12, chunks=1, seed=seed))
    for node in others[:HOLDERS]:
        node.read(crowd.layout())
    crowd.pass_time(2.0)
    return crowd, read_after_deaths(crowd, others)


def read_from_dead_relays(seed: int) -> tuple[Crowd, Reader]:
    """
    The same, but those who died were still receiving the chunk from one that lives.
    """
    plan = CrowdPlan(nodes=14, chunks=1, seed=seed, store_rate=GBIT)
    crowd, others = crowd_of(plan)
    others[0].read(crowd.layout())
    crowd.pass_time(0.04)
    for node in others[1:HOLDERS]:
        node.read(crowd.layout())
    crowd.pass_time(0.02)
    return crowd, read_after_deaths(crowd, others)


class DeadHolderTests(SynchronousTestCase):
    """
    Nodes that are asked for a chunk, and say nothing.
    """

    def assert_read_within(self, seconds: float, reader: Reader) -> None:
        """
        Demand that a read was right, and took no longer.
        """
        assert reader.ended is not None
        self.assertEqual((reader.error, reader.sender.wrong), ("", 0))
        self.assertLess(reader.ended - reader.began, seconds)

    def test_dead_holders(self) -> None:
        """
        Who asks a node that is dead finds out of the others at the same time, and waits
        for one silence, not for each in turn.
        """
        for seed in range(6):
            crowd, reader = read_from_the_dead(seed)
            self.assert_read_within(1.25, reader)
            self.assertEqual(crowd.origin.reads, 1)

    def test_dead_relays(self) -> None:
        """
        Of nodes that were receiving the chunk, too, a second one is waited for at most:
        the others are looked at when the first is given up.
        """
        for seed in range(6):
            _, reader = read_from_dead_relays(seed)
            self.assert_read_within(1.5, reader)

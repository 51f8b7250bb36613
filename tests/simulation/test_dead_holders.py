"""
A chunk that only nodes without power, and one other, hold or receive.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.rendezvous import Homes
from eliop2p.testing.crowd import Crowd, Reader
from eliop2p.testing.crowd_parts import GBIT, CrowdPlan

HOLDERS = 5


def read_from_the_dead(seed: int) -> tuple[Crowd, Reader]:
    """
    Let nodes that are no homes of a chunk read it, all but one of them lose their
    power, and another node read it then.
    """
    crowd = Crowd(CrowdPlan(nodes=12, chunks=1, seed=seed))
    crowd.introduce()
    layout = crowd.layout()
    peers = crowd.nodes[0].members.current().peers
    homes = Homes().of(layout.chunk(0).id, peers)
    others = [node for node in crowd.nodes if node.me.node_id not in homes]
    for node in others[:HOLDERS]:
        node.read(layout)
    crowd.pass_time(2.0)
    for node in others[1:HOLDERS]:
        crowd.vanish(node)
    reader = others[HOLDERS].read(layout)
    crowd.pass_time(10.0)
    return crowd, reader


def read_from_dead_relays(seed: int) -> tuple[Crowd, Reader]:
    """
    The same, but those who die are still receiving the chunk from one that lives.
    """
    crowd = Crowd(CrowdPlan(nodes=14, chunks=1, seed=seed, store_rate=GBIT))
    crowd.introduce()
    layout = crowd.layout()
    peers = crowd.nodes[0].members.current().peers
    homes = Homes().of(layout.chunk(0).id, peers)
    others = [node for node in crowd.nodes if node.me.node_id not in homes]
    others[0].read(layout)
    crowd.pass_time(0.04)
    for node in others[1:HOLDERS]:
        node.read(layout)
    crowd.pass_time(0.02)
    for node in others[1:HOLDERS]:
        crowd.vanish(node)
    reader = others[HOLDERS].read(layout)
    crowd.pass_time(10.0)
    return crowd, reader


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

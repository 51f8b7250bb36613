"""
A chunk that only nodes without power, and one other, hold.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.rendezvous import Homes
from eliop2p.testing.crowd import Crowd, Reader
from eliop2p.testing.crowd_parts import CrowdPlan

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


class DeadHolderTests(SynchronousTestCase):
    """
    Nodes that are asked for a chunk, and say nothing.
    """

    def test_dead_holders(self) -> None:
        """
        Who asks a node that is dead finds out of the others at the same time, and waits
        for one silence, not for each in turn.
        """
        for seed in range(6):
            crowd, reader = read_from_the_dead(seed)
            self.assertIsNotNone(reader.ended)
            self.assertEqual((reader.error, reader.sender.wrong), ("", 0))
            self.assertEqual(crowd.origin.reads, 1)
            assert reader.ended is not None
            self.assertLess(reader.ended - reader.began, 1.25)

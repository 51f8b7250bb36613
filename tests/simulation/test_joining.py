"""
Crowds whose nodes learn of each other as real nodes do; benchmarks.swarm runs large
ones.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.lifecycle import PlaneState
from eliop2p.testing import crowd_joining
from eliop2p.testing.crowd import Crowd
from eliop2p.testing.crowd_joining import SEEDS, Plane, joined
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.scenarios import Outcome, read_all

NODES = 8


class JoiningTests(SynchronousTestCase):
    """
    Small crowds.
    """

    def joined_and_read(self, plane: Plane) -> tuple[Crowd, Outcome, float]:
        """
        Let nodes find each other, and then read an object.
        """
        crowd = Crowd(CrowdPlan(nodes=NODES, chunks=16, seed=1))
        alone = [len(node.members.current().peers) for node in crowd.nodes]
        self.assertEqual(alone, [1] * NODES)
        with joined(crowd, plane) as seconds:
            names = {node.me.node_id for node in crowd.nodes}
            for node in crowd.nodes:
                self.assertEqual(set(node.members.current().peers), names)
            outcome = read_all(crowd)
        bad = (outcome.wrong, outcome.failed, outcome.hanging)
        self.assertEqual(bad, (0, 0, 0))
        self.assertEqual(len(outcome.times), NODES)
        return crowd, outcome, seconds

    def states(self, crowd: Crowd) -> set[PlaneState]:
        """
        Tell how nodes stand with the control plane.
        """
        controls = [node.source.control for node in crowd.nodes]
        return {control.state for control in controls if control is not None}

    def test_uncontrolled(self) -> None:
        """
        Where the control plane refuses all the time, nodes find each other by a few
        seeds and gossip, as soon as with one, and a crowd reads the store once.
        """
        crowd, outcome, seconds = self.joined_and_read(Plane.REFUSES)
        self.assertLess(seconds, crowd_joining.STARTING + 1.0)
        self.assertEqual(self.states(crowd), {PlaneState.UNREGISTERED})
        self.assertEqual(outcome.amplification, 1.0)
        self.assertLess(outcome.ratio(1.0), 1.8)
        self.assertGreater(NODES, SEEDS)

    def test_unanswered(self) -> None:
        """
        The same where the control plane never answers.
        """
        crowd, outcome, seconds = self.joined_and_read(Plane.SILENT)
        self.assertLess(seconds, crowd_joining.STARTING + 1.0)
        self.assertEqual(self.states(crowd), {PlaneState.UNREGISTERED})
        self.assertEqual(outcome.amplification, 1.0)
        self.assertLess(outcome.ratio(1.0), 1.8)

    def test_controlled(self) -> None:
        """
        Where there is a control plane, nodes know each other as soon as all have
        registered, and a crowd reads the store once.
        """
        crowd, outcome, seconds = self.joined_and_read(Plane.RUNS)
        self.assertEqual(self.states(crowd), {PlaneState.REGISTERED})
        self.assertEqual(outcome.amplification, 1.0)
        self.assertLess(seconds, crowd_joining.STARTING + 1.0)

    def test_out_of_reach(self) -> None:
        """
        Nodes that never find each other are not taken for a crowd.
        """
        self.patch(crowd_joining, "PATIENCE", 20.0)
        crowd = Crowd(CrowdPlan(nodes=4, chunks=1))
        for other in crowd.nodes[:3]:
            crowd.network.cut(other.me.host, crowd.nodes[3].me.host)
        with (
            self.assertRaisesRegex(AssertionError, "do not know all"),
            joined(crowd, Plane.REFUSES),
        ):
            self.fail("it went on")

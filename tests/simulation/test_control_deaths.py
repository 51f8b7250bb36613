"""
A distribution does not notice that the control plane dies.
"""

from collections.abc import Callable

from twisted.internet.defer import gatherResults

from eliop2p.control.lifecycle import PlaneState
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

SIZE = 96 * CHUNK
SLOWER = 1.05
SEEDS = (2, 3, 4)
"""
Chunks come in a mixed order, which differs when anything else does: one run is up to a
tenth faster or slower than another.
"""


class DistributionTests(ClusterCase):
    """
    Eight nodes that read one object at the same time.
    """

    def distribute(
        self, seed: int, meanwhile: Callable[[Cluster], None]
    ) -> tuple[float, Cluster]:
        """
        Read an object through eight nodes, with something happening when a third of it
        has left the store.

        Returns:
            How long it took, in seconds of virtual time.
        """
        cluster = self.make_cluster(Plan(nodes=8, seed=seed, latency=0.002))
        data = made_up(5, SIZE)
        cluster.store.put(PATH, data)
        begun = cluster.clock.seconds()
        reads = [cluster.get(member, PATH) for member in cluster.members]
        cluster.until(lambda: cluster.store.sent >= SIZE // 3)
        meanwhile(cluster)
        for answer in cluster.wait(gatherResults(reads)):
            self.assert_got(answer, data)
        self.assertLessEqual(cluster.store.sent, 1.02 * SIZE)
        return cluster.clock.seconds() - begun, cluster

    def test_control_plane(self) -> None:
        """
        No read fails, and on the average none takes longer, when the control plane is
        killed in the middle; when it is back every node is registered again.
        """
        took = undisturbed = 0.0
        for seed in SEEDS:
            seconds, _ = self.distribute(seed, lambda _: None)
            undisturbed += seconds
            seconds, cluster = self.distribute(seed, Cluster.stop_control)
            took += seconds
        self.assertLessEqual(took, SLOWER * undisturbed)
        cluster.pass_time(15)
        self.assertTrue(cluster.is_settled())
        cluster.start_control()

        def registered() -> bool:
            states = {each.running.control.state for each in cluster.members}
            return states == {PlaneState.REGISTERED}

        cluster.until(registered, 35)

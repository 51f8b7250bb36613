"""
A distribution does not notice that the control plane dies.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import gatherResults

from eliop2p.control.lifecycle import PlaneState
from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simetcd import SimEtcd
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

SIZE = 96 * CHUNK
SLOWER = 1.05
ETCD_HOSTS = ("10.0.2.1", "10.0.2.2", "10.0.2.3")
ETCD = "etcd://" + ",".join(f"{host}:2379" for host in ETCD_HOSTS)
SEEDS = (1, 2, 3, 4, 5, 6)
"""
Chunks come in a mixed order, which differs when anything else does: one run is up to a
tenth faster or slower than another.
"""


def registered(cluster: Cluster) -> int:
    """
    Tell how many nodes have a control plane.
    """
    states = [each.running.control.state for each in cluster.members]
    return states.count(PlaneState.REGISTERED)


def are_registered(cluster: Cluster) -> bool:
    """
    Tell whether every node has one.
    """
    return registered(cluster) == len(cluster.members)


class DistributionTests(ClusterCase):
    """
    Eight nodes that read one object at the same time.
    """

    def distribute(self, cluster: Cluster, *deaths: Callable[[], object]) -> float:
        """
        Read an object through all nodes, with one thing after the other happening while
        equal parts of it leave the store.

        Returns:
            How long it took, in seconds of virtual time.
        """
        data = made_up(5, SIZE)
        cluster.store.put(PATH, data)
        begun = cluster.clock.seconds()
        reads = [cluster.get(member, PATH) for member in cluster.members]
        for part, death in enumerate(deaths, 1):
            enough = part * SIZE // (len(deaths) + 1)
            while cluster.store.sent < enough:
                cluster.pass_time(0.01)
            death()
        for answer in cluster.wait(gatherResults(reads)):
            self.assert_got(answer, data)
        self.assertLessEqual(cluster.store.sent, 1.02 * SIZE)
        return cluster.clock.seconds() - begun

    def plan(self, seed: int) -> Plan:
        """
        Say what the cluster of a run is made of.
        """
        return Plan(nodes=8, seed=seed, latency=0.002)

    def assert_back(self, cluster: Cluster, start: Callable[[], object]) -> None:
        """
        Demand that members are members without a control plane, and registered within
        35 seconds of its start.
        """
        cluster.pass_time(15)
        self.assertTrue(cluster.is_settled())
        start()
        cluster.until(lambda: are_registered(cluster), 35)

    def test_embedded(self) -> None:
        """
        No read fails, and on the average none takes longer, when the embedded server is
        killed in the middle; when it is back every node is registered again.
        """
        took = undisturbed = 0.0
        for seed in SEEDS:
            undisturbed += self.distribute(self.make_cluster(self.plan(seed)))
            cluster = self.make_cluster(self.plan(seed))
            took += self.distribute(cluster, cluster.stop_control)
        self.assertLessEqual(took, SLOWER * undisturbed)
        self.assert_back(cluster, cluster.start_control)

    def test_etcd(self) -> None:
        """
        The same holds when etcd's leader is killed, and then all of etcd.
        """
        took = undisturbed = 0.0
        for seed in SEEDS:
            undisturbed += self.distribute(self.make_with_etcd(seed)[0])
            cluster, etcd = self.make_with_etcd(seed)
            took += self.distribute(cluster, etcd.kill_leader, etcd.kill_all)
        self.assertLessEqual(took, SLOWER * undisturbed)
        cluster.until(lambda: registered(cluster) == 0, 15)
        self.assert_back(cluster, etcd.start)
        etcd.kill_leader()
        cluster.pass_time(20)
        self.assertTrue(are_registered(cluster))

    def make_with_etcd(self, seed: int) -> tuple[Cluster, SimEtcd]:
        """
        Start a cluster with three members of etcd, and wait until it is registered.
        """
        plan = attrs.evolve(self.plan(seed), flags={"control_plane.endpoint": ETCD})
        cluster = self.make_cluster(plan, start=False)
        etcd = SimEtcd(cluster.clock, cluster.network, ETCD_HOSTS)
        cluster.start()
        cluster.until(lambda: are_registered(cluster))
        return cluster, etcd

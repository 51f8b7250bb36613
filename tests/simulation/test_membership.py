"""
Members find each other, lose each other, and read on.
"""

from collections.abc import Sequence

from eliop2p.testing.cluster import Cluster, Member, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

ALONE = {"control_plane.endpoint": "", "p2p.seeds": "10.0.0.1:9000,10.0.0.2:9000"}
SIZE = 4 * CHUNK
WITHIN = 5.0
"""
Seconds in which a death must be known everywhere.
"""


def names(members: Sequence[Member]) -> list[set[str]]:
    """
    Tell whom each of some nodes knows.
    """
    return [set(member.running.members.current().peers) for member in members]


class WithoutControlPlaneTests(ClusterCase):
    """
    Nodes that have seeds and nothing else.
    """

    def test_life(self) -> None:
        """
        Nodes find each other through the seeds, read an object once from the store,
        lose a dead one within five seconds, and take it back when it runs again.
        """
        cluster = self.make_cluster(Plan(nodes=5, seed=1, flags=ALONE))
        self.assertTrue(cluster.is_settled())
        data = made_up(1, 8 * CHUNK)
        cluster.store.put(PATH, data)
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, data)
        self.assertEqual(cluster.store.sent, len(data))
        victim = cluster.members[3]
        cluster.kill_node(victim)
        cluster.until(cluster.is_settled, WITHIN)
        cluster.start_node(victim)
        cluster.until(cluster.is_settled, WITHIN)

    def test_leaving(self) -> None:
        """
        A node that stops is gone at once.
        """
        cluster = self.make_cluster(Plan(nodes=4, seed=2, flags=ALONE))
        cluster.wait(cluster.stop_node(cluster.members[1]))
        cluster.until(cluster.is_settled, 0.5)


class PartitionTests(ClusterCase):
    """
    A cluster that is cut in two.
    """

    def test_eight_and_four(self) -> None:
        """
        While twelve nodes are cut into eight and four, both halves read on, each from
        the store once; as soon as they are one cluster again the store is read once,
        and nothing is lost.
        """
        cluster = self.make_cluster(Plan(nodes=12, seed=4))
        few, many = cluster.members[:4], cluster.members[4:]
        before, during, after = (f"/bucket/{name}".encode() for name in "abc")
        for path in (before, during, after):
            cluster.store.put(path, made_up(path, SIZE))
        self.read(cluster, before, 1.0)
        pairs = [(one.address, other.address) for one in few for other in many]
        for one, other in pairs:
            cluster.network.cut(one, other)
        # Whom only the dead watched is found dead after them.
        cluster.pass_time(2 * WITHIN)
        for half in (few, many):
            self.assertEqual(names(half), [{each.name for each in half}] * len(half))
        self.read(cluster, during, 2.0)
        cluster.pass_time(60 - 2 * WITHIN)
        for one, other in pairs:
            cluster.network.heal(one, other)
        cluster.until(cluster.is_settled, 60)
        self.read(cluster, after, 1.0)
        for path in (before, during):
            self.read(cluster, path, 0.0)

    def read(self, cluster: Cluster, path: bytes, amplification: float) -> None:
        """
        Read an object through all nodes; so many times its bytes may leave the store.
        """
        sent = cluster.store.sent
        for answer in cluster.read_all(path):
            self.assert_got(answer, made_up(path, SIZE))
        self.assertLessEqual(cluster.store.sent - sent, amplification * SIZE)

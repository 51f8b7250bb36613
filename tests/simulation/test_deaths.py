"""
Parts of the cluster die.
"""

from twisted.internet.defer import gatherResults

from eliop2p.control.lifecycle import PlaneState
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

CHUNKS = 64
MIB = 1024 * 1024


def all_are(cluster: Cluster, state: PlaneState) -> bool:
    """
    Tell whether every node stands so with the control plane.
    """
    return all(member.running.control.state is state for member in cluster.members)


class NodeTests(ClusterCase):
    """
    Nodes that are killed.
    """

    def wait_for(self, cluster: Cluster, sent: int) -> None:
        """
        Wait until so many bytes have left the store.
        """
        cluster.until(lambda: cluster.store.sent >= sent)

    def check(self, victim: int, progress: float, seed: int) -> None:
        """
        Kill a node when so much of the object has left the store.
        """
        cluster = self.make_cluster(Plan(nodes=5, seed=seed, window=16 * 1024))
        data = made_up(seed, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        reads = [cluster.get(member, PATH) for member in cluster.members]
        self.wait_for(cluster, int(progress * len(data)))
        cluster.kill_node(cluster.members[victim])
        answers = cluster.wait(gatherResults(reads))
        lost = answers.pop(victim)
        self.assertTrue(not lost.complete or lost.body == data)
        for answer in answers:
            self.assert_got(answer, data)
        # What the dead node alone had, and had under way, is read again.
        self.assertLess(cluster.store.sent, (1.05 + 1 / 5) * len(data))

    def test_early(self) -> None:
        """
        The others finish right when a node dies early in a read.
        """
        self.check(0, 0.05, 10)

    def test_in_the_middle(self) -> None:
        """
        They do in the middle of it.
        """
        self.check(2, 0.5, 11)

    def test_late(self) -> None:
        """
        They do near its end.
        """
        self.check(4, 0.9, 12)

    def test_all_but_one(self) -> None:
        """
        The last node finishes right when all others die, one after the other.
        """
        cluster = self.make_cluster(Plan(nodes=4, seed=13, window=16 * 1024))
        data = made_up(13, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        reads = [cluster.get(member, PATH) for member in cluster.members]
        for number, member in enumerate(cluster.members[:-1], 1):
            self.wait_for(cluster, number * len(data) // 5)
            cluster.kill_node(member)
        self.assert_got(cluster.wait(reads[-1]), data)
        cluster.wait(gatherResults(reads[:-1]))

    def test_restart(self) -> None:
        """
        A node that was killed and started again serves what it had on disk without
        asking anybody for the bytes.
        """
        cluster = self.make_cluster(Plan(nodes=3, seed=14, disk=64 * MIB))
        data = made_up(14, 8 * CHUNK)
        cluster.store.put(PATH, data)
        cluster.read_all(PATH)
        victim = cluster.members[1]
        cluster.kill_node(victim)
        cluster.pass_time(1.0)
        cluster.start_node(victim)
        cluster.until(cluster.is_settled)
        before = cluster.store.sent
        answer = cluster.wait(cluster.get(victim, PATH))
        self.assert_got(answer, data)
        expected = b"memory=0 disk=%d pending=0" % len(data)
        self.assertEqual(answer.header(b"x-elio-source"), expected)
        self.assertEqual(cluster.store.sent, before)

    def test_orderly_stop(self) -> None:
        """
        A node that is stopped in the middle of a read finishes it, and the others do.
        """
        cluster = self.make_cluster(Plan(nodes=3, seed=15))
        data = made_up(15, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        reads = [cluster.get(member, PATH) for member in cluster.members]
        self.wait_for(cluster, len(data) // 4)
        stopped = cluster.stop_node(cluster.members[0])
        for answer in cluster.wait(gatherResults(reads)):
            self.assert_got(answer, data)
        cluster.wait(stopped)

    def test_cut_off(self) -> None:
        """
        Nodes that cannot reach each other for a while finish right.
        """
        cluster = self.make_cluster(Plan(nodes=3, seed=16))
        data = made_up(16, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        reads = [cluster.get(member, PATH) for member in cluster.members]
        self.wait_for(cluster, len(data) // 4)
        one, two = (member.address for member in cluster.members[:2])
        cluster.network.cut(one, two)
        cluster.pass_time(7.0)
        cluster.network.heal(one, two)
        for answer in cluster.wait(gatherResults(reads)):
            self.assert_got(answer, data)


class ControlPlaneTests(ClusterCase):
    """
    A control plane that goes and comes back.
    """

    def test_gone_and_back(self) -> None:
        """
        Reads go on, and the store is read once, without a control plane; the nodes
        register when it is back.
        """
        cluster = self.make_cluster(Plan(nodes=4, seed=20, window=16 * 1024))
        cluster.stop_control()
        cluster.until(lambda: all_are(cluster, PlaneState.DEGRADED))
        data = made_up(20, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, data)
        self.assertLessEqual(cluster.store.sent, 1.02 * len(data))
        cluster.start_control()
        cluster.until(lambda: all_are(cluster, PlaneState.REGISTERED))
        cluster.until(cluster.is_settled)

    def test_start_without(self) -> None:
        """
        A node that starts while the control plane is away remembers the others, and
        reads from them.
        """
        cluster = self.make_cluster(Plan(nodes=3, seed=21))
        data = made_up(21, 8 * CHUNK)
        cluster.store.put(PATH, data)
        first, second, third = cluster.members
        cluster.read_all(PATH, [first, second])
        cluster.stop_control()
        cluster.kill_node(third)
        cluster.start_node(third)
        cluster.pass_time(1.0)
        before = cluster.store.sent
        self.assert_got(cluster.wait(cluster.get(third, PATH)), data)
        self.assertEqual(cluster.store.sent, before)
        cluster.start_control()
        cluster.until(lambda: all_are(cluster, PlaneState.REGISTERED))

    def test_lost_database(self) -> None:
        """
        Nodes register again with a control plane that has lost all it knew.
        """
        cluster = self.make_cluster(Plan(nodes=3, seed=22))
        cluster.stop_control()
        cluster.forget_control()
        cluster.start_control()
        cluster.until(lambda: all_are(cluster, PlaneState.REGISTERED))
        cluster.pass_time(10.0)
        self.assertTrue(cluster.is_settled())

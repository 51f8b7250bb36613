"""
What a node learns of the work of all others.
"""

from eliop2p.model.tally import ClusterTally, Tally
from eliop2p.p2p.tallies import PATIENCE, PERIOD, Tallies
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up
from tests.simulation.test_membership import ALONE

SIZE = 6 * CHUNK


class TalliesTests(ClusterCase):
    """
    Nodes that know each other without a control plane.
    """

    def setUp(self) -> None:
        """
        Let four nodes read an object.
        """
        self.cluster: Cluster = self.make_cluster(Plan(nodes=4, seed=3, flags=ALONE))
        self.cluster.store.put(PATH, made_up(3, SIZE))
        self.cluster.read_all(PATH)
        node = self.cluster.members[0].running
        self.tallies: Tallies = node.swarm.make_tallies(node._tally, self.cluster.clock)

    def known(self) -> ClusterTally:
        """
        Ask, and tell what has come when there was time for it.
        """
        self.cluster.pass_time(PERIOD)
        self.tallies.current()
        self.cluster.pass_time(0.1)
        return self.tallies.current()

    def test_sums(self) -> None:
        """
        One node knows what all read of the store and what all served, as the store and
        the clients have counted it.
        """
        found = self.known()
        self.assertEqual((found.members, len(found.nodes)), (4, 4))
        self.assertEqual(found.total.served, 4 * SIZE)
        self.assertEqual(found.total.store, self.cluster.store.sent)
        self.assertEqual(found.total.store, SIZE)

    def test_recent(self) -> None:
        """
        What is read while somebody looks is recent, what was read before is not.
        """
        self.assertEqual(self.known().recent.served, 0)
        self.cluster.read_all(PATH)
        recent = self.known().recent
        self.assertEqual((recent.served, recent.store), (4 * SIZE, 0))

    def test_nobody_looks(self) -> None:
        """
        Nobody is asked while nobody looks, and not more often than every few seconds.
        """
        member = self.cluster.members[1].running
        told: list[int] = []

        def tell() -> Tally:
            told.append(1)
            return member._tally()

        member.swarm.requests.tally = tell
        self.cluster.pass_time(3 * PERIOD)
        self.assertEqual(told, [])
        for _ in range(4):
            self.tallies.current()
            self.cluster.pass_time(0.1)
        self.assertEqual(told, [1])
        self.known()
        self.assertEqual(told, [1, 1])

    def test_a_node_that_hangs(self) -> None:
        """
        A node that does not tell is not counted any more after a while, and it is said
        that one is missing until it is known to be gone.
        """
        self.known()
        hung = self.cluster.members[2].running
        hung.swarm.requests.tally = None
        for _ in range(round(PATIENCE / PERIOD) + 1):
            found = self.known()
        self.assertEqual((found.members, len(found.nodes)), (4, 3))
        self.cluster.kill_node(self.cluster.members[2])
        self.cluster.until(self.cluster.is_settled)
        found = self.known()
        self.assertEqual((found.members, len(found.nodes)), (3, 3))

    def test_own_only(self) -> None:
        """
        A node alone counts itself.
        """
        for member in self.cluster.members[1:]:
            self.cluster.kill_node(member)
        self.cluster.until(self.cluster.is_settled)
        found = self.known()
        self.assertEqual(found.members, 1)
        self.assertIsInstance(found.total, Tally)
        self.assertEqual(found.total.served, SIZE)

"""
A holder that is slow but alive, among others.
"""

from eliop2p.p2p.hedging import SHARE, Hedges
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import ClusterCase, made_up

CHUNK = 72 * 1024  # More than homes give with their answers.

KNOWN_CHUNKS, CHUNKS = 48, 4
RATE, SLOW = 4e6, 40_000
SEED = 6
KNOWN = b"/bucket/known"


class SlowHolderTests(ClusterCase):
    """
    One node reads what four others hold, one of which has become slow; it is not the
    home of what is read, for that is another matter.
    """

    def find(self, cluster: Cluster) -> tuple[bytes, bytes]:
        """
        Let the four hold an object of which the first is not the home.
        """
        *holders, _ = cluster.members
        directory = holders[0].running.swarm.directory
        for number in range(200):
            path = b"/bucket/wanted-%d" % number
            data = made_up(path, CHUNKS * CHUNK)
            cluster.store.put(path, data)
            before = len(directory)
            cluster.read_all(path, holders)
            cluster.pass_time(1.0)
            if len(directory) == before:
                return path, data
        raise AssertionError("the first node is at home everywhere")

    def read(self) -> tuple[Cluster, float]:
        """
        Read it, and tell for how many seconds that took.
        """
        plan = Plan(nodes=5, seed=SEED, chunk_size=CHUNK, window=16 * 1024)
        cluster = self.make_cluster(plan)
        *holders, reader = cluster.members
        for member in cluster.members:
            cluster.network.limit(member.address, uplink=RATE, downlink=5 * RATE)
        cluster.store.put(KNOWN, made_up("known", KNOWN_CHUNKS * CHUNK))
        cluster.read_all(KNOWN, holders)
        path, data = self.find(cluster)
        cluster.wait(cluster.get(reader, KNOWN))
        cluster.network.limit(holders[0].address, uplink=SLOW, downlink=5 * RATE)
        begun = cluster.clock.seconds()
        self.assert_got(cluster.wait(cluster.get(reader, path)), data)
        return cluster, cluster.clock.seconds() - begun

    def test_tail(self) -> None:
        """
        The read takes a quarter of the time at most that it takes where nobody is asked
        twice, and no more than a tenth of the bytes comes twice.
        """
        cluster, hedged = self.read()
        transfers = cluster.members[-1].running.swarm.transfers
        received = transfers.counters.bytes_from_peers
        self.assertGreater(transfers.hedges.won, 0)
        self.assertLessEqual(transfers.hedges.asked, SHARE * received)
        wanted = (KNOWN_CHUNKS + CHUNKS) * CHUNK
        self.assertLessEqual(received - wanted, SHARE * wanted)
        self.patch(Hedges, "delay", None)
        _, unhedged = self.read()
        self.assertLess(hedged, unhedged / 4, (hedged, unhedged))

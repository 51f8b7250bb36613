"""
Crowds of nodes that may send or take chunks only so fast.
"""

from collections.abc import Callable

from twisted.internet.defer import gatherResults

from eliop2p.testing.cluster import Cluster, Member, Plan
from tests.simulation.cases import PATH, ClusterCase, made_up

CHUNK = 72 * 1024  # More than homes give with their answers.

RATE = 2_000_000 // 8
SLACK = 1.05
WINDOW = 1.0
"""
Over how many seconds rates are looked at.
"""


class BandwidthTests(ClusterCase):
    """
    Everybody reads one object at once.
    """

    def rates_of(
        self, key: str, count: Callable[[Member], int], chunks: int
    ) -> tuple[Cluster, list[float], float]:
        """
        Read an object through a few nodes whose chunks are limited.

        Returns:
            The cluster, the highest rates of each node over a second, and for how many
            seconds it took.
        """
        cluster = self.make_cluster(
            Plan(nodes=5, seed=9, chunk_size=CHUNK, window=16 * 1024, flags={key: "2"})
        )
        data = made_up(key, chunks * CHUNK)
        cluster.store.put(PATH, data)
        begun = cluster.clock.seconds()
        reading = gatherResults([cluster.get(each, PATH) for each in cluster.members])
        seen = [[count(each) for each in cluster.members]]
        while not reading.called:
            cluster.pass_time(0.1)
            seen.append([count(each) for each in cluster.members])
            self.assertLess(len(seen), 3000, "the crowd does not come to an end")
        for answer in self.successResultOf(reading):
            self.assert_got(answer, data)
        steps = round(WINDOW / 0.1)
        highest = [
            max(
                now[index] - before[index]
                for before, now in zip(seen, seen[steps:], strict=False)
            )
            / WINDOW
            for index in range(len(cluster.members))
        ]
        return cluster, highest, cluster.clock.seconds() - begun

    def test_upload(self) -> None:
        """
        No node sends chunks faster than it may in any second, the limit is made use
        of, and everybody gets every byte, read from the store once.
        """

        def sent(member: Member) -> int:
            return int(member.running.bandwidth.up.passed)

        cluster, highest, seconds = self.rates_of("p2p.max_upload_mbps", sent, 48)
        self.assertLessEqual(max(highest), SLACK * RATE + CHUNK)
        self.assertGreater(min(highest), 0.8 * RATE)
        # Four copies of the object by five nodes.
        self.assertLess(seconds, 2.0 * 4 * 48 * CHUNK / (5 * RATE))
        self.assertLessEqual(cluster.store.sent, 1.02 * 48 * CHUNK)

    def test_download(self) -> None:
        """
        No node takes chunks faster than it may in any second, and the limit is no
        reason to blame a peer or to read the store twice.
        """

        def received(member: Member) -> int:
            return member.running.links.bytes_received

        cluster, highest, seconds = self.rates_of("p2p.max_download_mbps", received, 48)
        self.assertLessEqual(max(highest), SLACK * RATE + CHUNK)
        self.assertGreater(max(highest), 0.9 * RATE)
        self.assertLess(seconds, 1.5 * 48 * CHUNK / RATE)
        self.assertLessEqual(cluster.store.sent, 1.02 * 48 * CHUNK)
        for member in cluster.members:
            self.assertEqual(member.running.swarm.transfers.counters.peer_failures, 0)

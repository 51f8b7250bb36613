"""
Readers who ask for an object that nobody knows, all at once.
"""

from eliop2p.testing.cluster import Plan
from tests.simulation.cases import ClusterCase, Request, ask, made_up

CHUNK = 72 * 1024
PATH = b"/bucket/new"
OPEN = {"proxy.auth": "open", "proxy.freshness_seconds": "60"}


class FirstReadTests(ClusterCase):
    """
    Two nodes that let everybody read what the store has let anybody read.
    """

    def test_once(self) -> None:
        """
        Whether the object is small, of some chunks, or large, eight readers of each
        node get it whole, and the store is read once.
        """
        for size, ahead in ((2000, 0), (3 * CHUNK, 0), (24 * CHUNK, CHUNK)):
            plan = Plan(nodes=2, seed=3, chunk_size=CHUNK, flags=OPEN)
            cluster = self.make_cluster(plan)
            data = made_up(b"%d" % size, size)
            cluster.store.put(PATH, data)
            requests = [
                Request(m, PATH, b"") for m in cluster.members for _ in range(8)
            ]
            for request, answer in ask(cluster, requests):
                self.assertTrue(request.is_right(answer, data), size)
            # What has been sent ahead when the first answer of a large one is cut.
            self.assertLessEqual(cluster.store.sent, size + ahead)

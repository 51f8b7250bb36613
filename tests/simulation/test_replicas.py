"""
As many replicas as operators want.
"""

from eliop2p.model.chunk import ChunkId
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

PREFIX = "s3://bucket/"
CHUNKS = 6


def counts(cluster: Cluster) -> list[int]:
    """
    Count the replicas of each chunk that any node holds, fewest first.
    """
    held: dict[ChunkId, int] = {}
    for member in cluster.members:
        if member.node is not None:
            for chunk_id, _ in member.node.chunks.holdings():
                held[chunk_id] = held.get(chunk_id, 0) + 1
    return sorted(held.values())


class PinTests(ClusterCase):
    """
    A prefix that is pinned.
    """

    def test_death(self) -> None:
        """
        Replicas of a pinned object are made without the store, and made again after a
        holder's death; what is not below the prefix stays as it is.
        """
        cluster = self.make_cluster(Plan(nodes=5, seed=1))
        first, second, *_ = cluster.members
        data = made_up(1, CHUNKS * CHUNK)
        cluster.store.put(PATH, data)
        cluster.store.put(b"/other/key", data[:CHUNK])
        for path in (PATH, b"/other/key"):
            cluster.read_all(path, [first])
        sent = cluster.store.sent
        self.assertEqual(counts(cluster), [1] * (CHUNKS + 1))
        rule = {"prefix": PREFIX, "replicas": 3, "pinned": True}
        policy = cluster.wait(
            second.running.steered.operations.replication({"set": rule})
        )
        self.assertEqual(policy["rules"], [rule])
        wanted = [1] + [3] * CHUNKS
        cluster.until(lambda: counts(cluster) == wanted, 90)
        shown = cluster.wait(
            second.running.steered.operations.objects({"prefix": PREFIX})
        )
        described = shown["objects"]
        assert isinstance(described, list)
        self.assertEqual(described[0]["replicas"], 3)
        self.assertEqual(described[0]["held"], CHUNKS)
        cluster.kill_node(first)
        lost = counts(cluster)
        self.assertEqual(lost, [2] * CHUNKS)
        cluster.until(lambda: counts(cluster) == [3] * CHUNKS, 90)
        self.assertEqual(cluster.store.sent, sent)

    def test_too_few_nodes(self) -> None:
        """
        More replicas than there are nodes are not asked for, and nothing is moved
        twice.
        """
        cluster = self.make_cluster(Plan(nodes=2, seed=2))
        cluster.store.put(PATH, made_up(2, CHUNK))
        cluster.read_all(PATH, cluster.members[:1])
        rule = {"prefix": PREFIX, "replicas": 5, "pinned": True}
        node = cluster.members[1].running
        cluster.wait(node.steered.operations.replication({"set": rule}))
        cluster.until(lambda: counts(cluster) == [2], 90)
        moved = [member.running.steered.executor.moved for member in cluster.members]
        cluster.pass_time(70)
        self.assertEqual(
            [member.running.steered.executor.moved for member in cluster.members], moved
        )
        self.assertEqual(sum(moved), CHUNK)

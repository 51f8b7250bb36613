"""
As many replicas as operators want.
"""

from eliop2p.control import adjuster
from eliop2p.model.chunk import ChunkId
from eliop2p.p2p import heat
from eliop2p.testing.cluster import Cluster, Plan
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

PREFIX = "s3://bucket/"
CHUNKS = 6
PINNED, PINNED_PREFIX = b"/bucket/pinned/key", "s3://bucket/pinned/"
WHILE = 120.0


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

    def test_hot_and_cold(self) -> None:
        """
        What is read often has more replicas, though its home sees none of the reads,
        and only the least when nobody has read it for a while; the store is not asked
        for any of its bytes, and what is pinned keeps its replicas.
        """
        self.patch(heat, "HOUR", WHILE)
        self.patch(adjuster, "CALM_SECONDS", WHILE)
        cluster = self.make_cluster(Plan(nodes=4, seed=5))
        first, second, *_ = cluster.members
        for path in (PATH, PINNED):
            cluster.store.put(path, made_up(path, CHUNK))
            cluster.read_all(path, [first])
        sent = cluster.store.sent
        for prefix, pinned in ((PREFIX, False), (PINNED_PREFIX, True)):
            rule = {"prefix": prefix, "replicas": 3, "pinned": pinned}
            operations = second.running.steered.operations
            cluster.wait(operations.replication({"set": rule}))
        cluster.until(lambda: counts(cluster) == [1, 3], 90)
        for _ in range(150):
            cluster.read_all(PATH, [first])
        cluster.until(lambda: counts(cluster) == [3, 3], 90)
        cluster.until(lambda: counts(cluster) == [1, 3], 3 * WHILE + 60)
        cluster.pass_time(WHILE)
        self.assertEqual(counts(cluster), [1, 3])
        self.assertEqual(cluster.store.sent, sent)

    def test_hot_without_a_rule(self) -> None:
        """
        What is read often has as many replicas as the policy has for everything, and
        keeps them; what is not has none made of it, and the store is not asked.
        """
        cluster = self.make_cluster(Plan(nodes=4, seed=6))
        first, *_ = cluster.members
        for path in (PATH, PINNED):
            cluster.store.put(path, made_up(path, CHUNK))
            cluster.read_all(path, [first])
        sent = cluster.store.sent
        for _ in range(150):
            cluster.read_all(PATH, [first])
        cluster.until(lambda: counts(cluster) == [1, 4], 200)
        cluster.pass_time(120)
        self.assertEqual(counts(cluster), [1, 4])
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

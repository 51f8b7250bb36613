"""
Clusters that may read the store only so fast, or are told to.
"""

from twisted.internet.defer import gatherResults

from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simfaults import NO_FAULT, Fault
from eliop2p.testing.simstore import Asked
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

STEP = 0.05
SLACK = 1.05
SMALL_WINDOW = 16 * 1024


def highest(seen: list[int], seconds: float = 1.0) -> float:
    """
    Give the highest rate in any time of so many seconds.
    """
    steps = round(seconds / STEP)
    pairs = zip(seen, seen[steps:], strict=False)
    return max((after - before for before, after in pairs), default=0) / seconds


class BudgetTests(ClusterCase):
    """
    What the store sees of clusters with a budget.
    """

    def watch(
        self, cluster: Cluster, paths: list[bytes]
    ) -> tuple[list[int], list[int]]:
        """
        Read each object through one node, all at once, to their ends.

        Returns:
            The bytes that the store had sent, and the requests it had been sent, after
            each step of time.
        """
        asking = [
            cluster.get(member, path)
            for member, path in zip(cluster.members, paths, strict=True)
        ]
        reading = gatherResults(asking)
        store = cluster.store
        sent, asked = [store.sent], [len(store.log)]
        while not reading.called:
            cluster.pass_time(STEP)
            sent.append(store.sent)
            asked.append(len(store.log))
            self.assertLess(len(sent), 4000, "the reads do not come to an end")
        for answer in self.successResultOf(reading):
            self.assertEqual((answer.status, answer.complete), (200, True))
        return sent, asked

    def make(self, nodes: int, **flags: str) -> Cluster:
        """
        Start a cluster with limits.
        """
        limits = {f"limits.{key}": value for key, value in flags.items()}
        return self.make_cluster(
            Plan(nodes=nodes, seed=nodes, window=SMALL_WINDOW, flags=limits)
        )

    def test_one_object(self) -> None:
        """
        A crowd that reads one object reads it once from the store, in no second faster
        than the budget, and makes good use of it.
        """
        cluster = self.make(5, origin_mbps="16")
        data = made_up("budget", 128 * CHUNK)
        cluster.store.put(PATH, data)
        sent, _ = self.watch(cluster, [PATH] * 5)
        budget = 2_000_000
        self.assertLessEqual(highest(sent), SLACK * budget)
        self.assertLessEqual(sent[-1], 1.02 * len(data))
        self.assertLess(len(sent) * STEP, 2.0 * len(data) / budget)

    def test_many_objects(self) -> None:
        """
        Nodes that read each an object of its own keep to the budget together.
        """
        cluster = self.make(4, origin_mbps="16")
        paths = [b"/bucket/%d" % number for number in range(4)]
        for path in paths:
            cluster.store.put(path, made_up(path, 32 * CHUNK))
        sent, _ = self.watch(cluster, paths)
        self.assertLessEqual(highest(sent), SLACK * 2_000_000)
        self.assertLess(len(sent) * STEP, 2.0 * 128 * CHUNK / 2_000_000)

    def test_one_reader(self) -> None:
        """
        A node that reads alone gets more than its own share: that of the homes.
        """
        cluster = self.make(6, origin_mbps="12")
        cluster.store.put(PATH, made_up("alone", 64 * CHUNK))
        begun = cluster.clock.seconds()
        answer = cluster.wait(cluster.get(cluster.members[0], PATH))
        self.assertTrue(answer.complete)
        own_share = 64 * CHUNK / (1_500_000 / 6)
        self.assertLess(cluster.clock.seconds() - begun, own_share / 2)

    def test_requests(self) -> None:
        """
        Requests keep to a budget too.
        """
        cluster = self.make(4, origin_requests_per_sec="40")
        paths = [b"/bucket/%d" % number for number in range(4)]
        for path in paths:
            cluster.store.put(path, made_up(path, 24 * CHUNK))
        _, asked = self.watch(cluster, paths)
        self.assertLessEqual(highest(asked), SLACK * 40)


class SlowDownTests(ClusterCase):
    """
    A store that refuses what is too much for it, and nodes that have no budget.
    """

    def test_storm(self) -> None:
        """
        Nodes that ask for too much are told so, ask less, and in the end ask for more
        again; no read fails or hears of it.
        """
        cluster = self.make_cluster(Plan(nodes=4, seed=4, window=SMALL_WINDOW))
        store, capacity = cluster.store, 30
        paths = [b"/bucket/%d" % number for number in range(4)]
        contents = {path: made_up(path, 64 * CHUNK) for path in paths}
        for path, data in contents.items():
            store.put(path, data)
        served: list[float] = []

        def refuse(asked: Asked) -> Fault:
            recent = [at for at in served if at > asked.at - 1.0]
            if len(recent) >= capacity:
                return Fault(status=503)
            served.append(asked.at)
            return NO_FAULT

        store.choose = refuse
        reading = [
            cluster.get(member, path)
            for member, path in zip(cluster.members, paths, strict=True)
        ]
        answers = cluster.wait(gatherResults(reading))
        for answer, path in zip(answers, paths, strict=True):
            self.assert_got(answer, contents[path])
        refused = sum(asked.status == 503 for asked in store.log)
        self.assertGreater(refused, 0)
        # Of requests that nobody holds back, most would be refused.
        self.assertLess(refused, len(served))
        budgets = [member.running.budget for member in cluster.members]
        self.assertTrue(any(budget.slowed for budget in budgets))
        cluster.pass_time(60.0)
        for budget in budgets:
            budget.refresh()
            self.assertEqual(budget.factor, 1.0)
            self.assertFalse(budget.limited)

    def test_retry_after(self) -> None:
        """
        A store is left alone for as long as it asks for, and the read then succeeds.
        """
        cluster = self.make_cluster(Plan(nodes=1))
        data = made_up("later", CHUNK)
        cluster.store.put(PATH, data)
        cluster.store.choose = lambda asked: (
            Fault(status=503, add=((b"Retry-After", b"7"),))
            if len(cluster.store.log) == 1
            else NO_FAULT
        )
        self.assert_got(cluster.wait(cluster.get(cluster.members[0], PATH)), data)
        first, second = cluster.store.log[:2]
        self.assertGreaterEqual(second.at - first.at, 7.0)

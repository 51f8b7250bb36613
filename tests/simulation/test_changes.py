"""
Objects change in the store while they are read.
"""

import random

from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simfaults import NO_FAULT, Fault
from eliop2p.testing.simstore import Asked
from tests.simulation.cases import (
    CHUNK,
    PATH,
    ClusterCase,
    Request,
    always,
    ask,
    made_up,
)

SMALL = 8192
ROUNDS = 25


class ChangeTests(ClusterCase):
    """
    An object is overwritten behind the nodes' backs, or through one.
    """

    def test_between_reads(self) -> None:
        """
        The next read after an overwrite gives the new bytes, on every node.
        """
        cluster = self.make_cluster(Plan(seed=30))
        for generation in range(4):
            data = made_up(generation, 5 * CHUNK + generation % 2)
            cluster.store.put(PATH, data)
            for answer in cluster.read_all(PATH):
                self.assert_got(answer, data)
            cluster.pass_time(1.0)

    def test_through_a_node(self) -> None:
        """
        A write through one node is seen by the next read through any other.
        """
        cluster = self.make_cluster(Plan(seed=31))
        for generation, member in enumerate(cluster.members):
            data = made_up(generation, 3 * CHUNK)
            put = cluster.get(member, PATH, method=b"PUT", body=data)
            self.assertEqual(cluster.wait(put).status, 200)
            for answer in cluster.read_all(PATH):
                self.assert_got(answer, data)

    def test_back_to_the_old(self) -> None:
        """
        An object that is put back to what it was is read right at each step.
        """
        cluster = self.make_cluster(Plan(seed=32))
        for generation in (0, 1, 0, 1):
            data = made_up(generation, 4 * CHUNK)
            cluster.store.put(PATH, data)
            for answer in cluster.read_all(PATH):
                self.assert_got(answer, data)

    def test_during_a_read(self) -> None:
        """
        An overwrite at any moment of reads through all nodes leaves each of them with
        all the old bytes, all the new ones, or a broken answer.
        """
        for seed in range(ROUNDS):
            cluster = self.make_cluster(Plan(seed=seed, chunk_size=SMALL, window=4096))
            self.overwrite_during_reads(cluster, random.Random(seed))

    def overwrite_during_reads(self, cluster: Cluster, rng: random.Random) -> None:
        """
        Overwrite an object when the store is asked for the n-th time.
        """
        size = rng.randint(1, 40 * SMALL)
        old = made_up(f"old {size}", size)
        new = made_up(f"new {size}", size + rng.choice((0, 0, 100)))
        cluster.store.put(PATH, old)
        moment = rng.randrange(1, 2 + size // SMALL)

        def choose(_: Asked) -> Fault:
            if len(cluster.store.log) == moment:
                cluster.store.put(PATH, new)
            return NO_FAULT

        cluster.store.choose = choose
        wanted = rng.choice((b"", b"bytes=%d-" % rng.randrange(size)))
        requests = [Request(member, PATH, wanted) for member in cluster.members]
        for request, answer in ask(cluster, requests):
            self.assertTrue(request.is_harmless(answer, (old, new)))
        cluster.store.choose = always(NO_FAULT)
        cluster.store.put(PATH, new)
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, new)

"""
A store that fails, lies and breaks off.
"""

import random

from eliop2p.testing.cluster import Cluster, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simstore import NO_FAULT, Asked, Fault
from tests.simulation.cases import PATH, ClusterCase, Request, always, ask, made_up

SMALL = 8 * 1024
WINDOW = 4 * 1024

FAULTS = {
    "truncated": Fault(truncate=5000),
    "truncated at once": Fault(truncate=0),
    "padded": Fault(pad=100),
    "too long a part": Fault(longer=100),
    "Range ignored": Fault(ignore_range=True),
    "another range": Fault(shift=1),
    "a range that is not sent": Fault(move=1),
    "another size": Fault(total=1),
    "another ETag": Fault(etag=b'"other"'),
    "reset": Fault(reset=6000),
    "reset at once": Fault(reset=0),
    "stalled": Fault(stall=3000),
    "stalled at once": Fault(stall=0),
    "error 500": Fault(status=500),
    "error 503": Fault(status=503),
    "not allowed": Fault(status=403),
    "no such range": Fault(status=416),
    "gone": Fault(status=404),
    "precondition failed": Fault(status=412),
}


class FaultCase(ClusterCase):
    """
    Reads through all nodes while the store misbehaves.
    """

    def read(self, cluster: Cluster, requests: list[Request], data: bytes) -> None:
        """
        Read, and judge what came.
        """
        for request, answer in ask(cluster, requests):
            self.judge(cluster, request, answer, data)

    def judge(
        self, cluster: Cluster, request: Request, answer: Answer, data: bytes
    ) -> None:
        """
        Demand that an answer is right, an error, broken off, or the very words of the
        store, which is all that a client without a node would have got.
        """
        if request.is_harmless(answer, (data,)):
            return
        self.assertEqual(answer.header(b"x-cache"), b"BYPASS", f"{answer.head}")
        asked = cluster.store.log[int(answer.header(b"x-amz-request-id"))]
        self.assertEqual(answer.status, asked.status)
        self.assertTrue(answer.body == asked.payload)
        self.assertNotEqual(asked.fault, NO_FAULT)

    def recover(self, cluster: Cluster, data: bytes) -> None:
        """
        Demand that everything is right once the store is.
        """
        cluster.store.choose = always(NO_FAULT)
        # Whatever the store said last of its objects may have been a lie.
        cluster.pass_time(1.0)
        ranges = (b"", b"bytes=%d-" % (len(data) // 2), b"bytes=0-99", b"bytes=-100")
        for value in ranges:
            requests = [Request(member, PATH, value) for member in cluster.members]
            for request, answer in ask(cluster, requests):
                self.assertTrue(request.is_right(answer, data), f"{value!r} {answer!r}")


class OneFaultTests(FaultCase):
    """
    One wrong answer at a time.
    """

    def check(self, fault: Fault, count: int, seed: int) -> None:
        """
        Let each of the first answers be wrong in turn.

        Args:
            fault: How.
            count: How many chunks the object has.
            seed: Of the cluster.
        """
        for number in (1, 3):
            plan = Plan(seed=seed, chunk_size=SMALL, window=WINDOW)
            cluster = self.make_cluster(plan)
            data = made_up(seed, count * SMALL - 100)
            cluster.store.put(PATH, data)

            def choose(
                _: Asked, cluster: Cluster = cluster, number: int = number
            ) -> Fault:
                return fault if len(cluster.store.log) == number else NO_FAULT

            cluster.store.choose = choose
            requests = [Request(member, PATH) for member in cluster.members]
            self.read(cluster, requests, data)
            self.recover(cluster, data)

    def test_small_objects(self) -> None:
        """
        No single fault makes a wrong answer, or one that stays wrong, of an object
        that is read in one answer.
        """
        for seed, fault in enumerate(FAULTS.values()):
            self.check(fault, 4, seed)

    def test_large_objects(self) -> None:
        """
        None does of an object that is read in many.
        """
        for seed, fault in enumerate(FAULTS.values()):
            self.check(fault, 16, seed)


class LastingFaultTests(FaultCase):
    """
    A store that is wrong all the time.
    """

    def test_down(self) -> None:
        """
        While the store gives errors every client gets an error, of an object that is
        warm too, and the right bytes afterwards.
        """
        for status in (500, 503):
            cluster = self.make_cluster(Plan(seed=status, chunk_size=SMALL))
            data = made_up(status, 4 * SMALL)
            cluster.store.put(PATH, data)
            cluster.read_all(PATH, cluster.members[:1])
            cluster.store.choose = always(Fault(status=status))
            for answer in cluster.read_all(PATH):
                self.assertEqual((answer.status, answer.complete), (status, True))
            self.recover(cluster, data)

    def test_unreachable(self) -> None:
        """
        While the store cannot be reached clients are told to come again, cold or warm.
        """
        cluster = self.make_cluster(Plan(seed=50, chunk_size=SMALL))
        data = made_up(50, 4 * SMALL)
        cluster.store.put(PATH, data)
        cluster.read_all(PATH, cluster.members[:1])
        cluster.stop_store()
        for answer in cluster.read_all(PATH):
            self.assertEqual((answer.status, answer.complete), (503, True))
            self.assertEqual(answer.header(b"retry-after"), b"1")
        cluster.start_store()
        self.recover(cluster, data)

    def test_every_fault(self) -> None:
        """
        Whatever is wrong with all answers, nothing wrong is kept of them.
        """
        for seed, fault in enumerate(FAULTS.values()):
            plan = Plan(seed=seed, chunk_size=SMALL, window=WINDOW, nodes=2)
            cluster = self.make_cluster(plan)
            data = made_up(seed, 14 * SMALL)
            cluster.store.put(PATH, data)
            cluster.store.choose = always(fault)
            requests = [
                Request(cluster.members[0], PATH),
                Request(cluster.members[1], PATH, b"bytes=100-40000"),
            ]
            self.read(cluster, requests, data)
            self.recover(cluster, data)


def any_fault(rng: random.Random) -> Fault:
    """
    Choose something that goes wrong, and when in the answer.
    """
    moment = rng.choice((0, 1, rng.randrange(SMALL), rng.randrange(12 * SMALL)))
    return rng.choice(
        (
            *FAULTS.values(),
            Fault(truncate=moment),
            Fault(reset=moment),
            Fault(stall=moment),
        )
    )


def any_request(rng: random.Random, cluster: Cluster, size: int) -> Request:
    """
    Choose a read.
    """
    first = rng.randrange(size)
    last = rng.randrange(first, size)
    value = rng.choice((b"", b"", b"bytes=%d-%d" % (first, last), b"bytes=%d-" % first))
    signed = bool(value) and rng.random() < 0.5
    return Request(rng.choice(cluster.members), PATH, value, signed)


class RandomFaultTests(FaultCase):
    """
    Sequences of faults and reads, made from seeds.
    """

    def check(self, seed: int) -> None:
        """
        Run one sequence.
        """
        rng = random.Random(seed)
        plan = Plan(nodes=rng.randint(1, 4), seed=seed, chunk_size=SMALL, window=WINDOW)
        cluster = self.make_cluster(plan)
        size = rng.choice((rng.randint(1, 3 * SMALL), rng.randint(1, 30 * SMALL)))
        data = made_up(seed, size)
        cluster.store.put(PATH, data)
        often = rng.choice((0.1, 0.3, 0.6))
        cluster.store.choose = lambda _: (
            any_fault(rng) if rng.random() < often else NO_FAULT
        )
        for _ in range(rng.randint(1, 3)):
            count = rng.randint(1, 4)
            self.read(
                cluster, [any_request(rng, cluster, size) for _ in range(count)], data
            )
        self.recover(cluster, data)

    def check_some(self, start: int) -> None:
        """
        Run thirty sequences.
        """
        for seed in range(start, start + 30):
            try:
                self.check(seed)
            except Exception as error:
                error.add_note(f"seed {seed}")
                raise

    def test_first_thirty(self) -> None:
        """
        Nothing that a store does makes a node give wrong bytes, or keep them.
        """
        self.check_some(0)

    def test_second_thirty(self) -> None:
        """
        Nor does it with other seeds.
        """
        self.check_some(100)

    def test_third_thirty(self) -> None:
        """
        Nor with these.
        """
        self.check_some(200)

    def test_fourth_thirty(self) -> None:
        """
        Nor with these.
        """
        self.check_some(300)

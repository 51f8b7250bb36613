"""
Signed ranges that are not made of whole chunks, through whole nodes.
"""

import random

from twisted.internet.defer import Deferred

from eliop2p.http1.message import Header
from eliop2p.testing.cluster import Member, Plan
from eliop2p.testing.simclient import Answer
from tests.simulation.cases import (
    ALICE,
    CHUNK,
    DATE,
    PATH,
    SIGNED_RANGE,
    ClusterCase,
    Request,
    ask,
    made_up,
)

MIB = 1024 * 1024
SIZE = 5 * CHUNK + 123


class PartTests(ClusterCase):
    """
    The store is asked for exactly what was signed, once.
    """

    def setUp(self) -> None:
        """
        Start two nodes with disks.
        """
        self.cluster = self.make_cluster(Plan(seed=70, nodes=2, disk=64 * MIB))
        self.data = made_up("parts", SIZE)
        self.cluster.store.put(PATH, self.data)
        self.one, self.other = self.cluster.members

    def read(self, member: Member, start: int, stop: int) -> tuple[Answer, int]:
        """
        Read a signed range.

        Returns:
            The answer, and how many bytes left the store for it.
        """
        before = self.cluster.store.sent
        value = b"bytes=%d-%d" % (start, stop - 1)
        request = Request(member, PATH, value, signed=True)
        ((_, answer),) = ask(self.cluster, [request])
        self.assertTrue(request.is_right(answer, self.data))
        return answer, self.cluster.store.sent - before

    def test_again(self) -> None:
        """
        A range inside of what was read before is served from it, once the store has
        agreed; one that is not is asked for as it is.
        """
        answer, sent = self.read(self.one, 1000, 2 * CHUNK + 7)
        self.assertEqual(sent, 2 * CHUNK - 993)
        self.assertEqual(answer.header(b"x-cache"), b"MISS")
        answer, sent = self.read(self.one, 1500, 2 * CHUNK)
        self.assertEqual(sent, 0)
        self.assertEqual(answer.header(b"x-cache"), b"HIT")
        self.assertEqual(self.cluster.store.log[-1].status, 304)
        _, sent = self.read(self.one, 999, 1500)
        self.assertEqual(sent, 501)
        _, sent = self.read(self.one, 999, 1500)
        self.assertEqual(sent, 0)

    def test_refused(self) -> None:
        """
        Nobody gets a part whom the store refuses.
        """
        self.read(self.one, 1000, 2000)
        self.cluster.store.denied.add(SIGNED_RANGE[1][1])
        value = b"bytes=1000-1999"
        refused = self.cluster.get(
            self.one, PATH, (b"Range", value), *SIGNED_RANGE, ALICE
        )
        self.assertEqual(self.cluster.wait(refused).status, 403)

    def test_killed(self) -> None:
        """
        Parts outlive the death of their node.
        """
        self.read(self.one, 1000, CHUNK + 7)
        self.cluster.kill_node(self.one)
        self.cluster.start_node(self.one)
        self.cluster.until(self.cluster.is_settled)
        _, sent = self.read(self.one, 1000, CHUNK + 7)
        self.assertEqual(sent, 0)

    def test_made_whole(self) -> None:
        """
        Ranges that make up chunks make them chunks, which other nodes are given.
        """
        for start in range(0, SIZE, 50_000):
            self.read(self.one, start, min(start + 50_000, SIZE))
        self.assertEqual(self.cluster.store.sent, SIZE)
        self.cluster.pass_time(5.0)
        value = (b"Range", b"bytes=0-%d" % (SIZE - 1))
        answer = self.cluster.wait(
            self.cluster.get(self.other, PATH, ALICE, DATE, value)
        )
        self.assert_got(answer, self.data, 206)
        self.assertEqual(self.cluster.store.sent, SIZE)

    def test_gaps_only(self) -> None:
        """
        Who may ask for any range completes what ranges have left, and no more.
        """
        self.read(self.one, 1000, CHUNK + 7)
        self.read(self.one, 3 * CHUNK - 5, 3 * CHUNK + 5)
        ranges: tuple[Header, ...] = ((b"Range", b"bytes=0-%d" % (SIZE - 1)),)
        before = self.cluster.store.sent
        answer = self.cluster.wait(
            self.cluster.get(self.one, PATH, ALICE, DATE, *ranges)
        )
        self.assertEqual(answer.body, self.data)
        kept = CHUNK + 7 - 1000 + 10
        self.assertEqual(self.cluster.store.sent - before, SIZE - kept)

    def test_at_the_same_time(self) -> None:
        """
        The same range for many clients at the same time leaves the store once.
        """
        self.read(self.one, 5 * CHUNK, SIZE)
        before = self.cluster.store.sent
        requests = [
            Request(self.one, PATH, b"bytes=1000-%d" % (2 * CHUNK), signed=True)
            for _ in range(6)
        ]
        for request, answer in ask(self.cluster, requests):
            self.assertTrue(request.is_right(answer, self.data))
        self.assertEqual(self.cluster.store.sent - before, 2 * CHUNK - 999)

    def test_the_first_goes(self) -> None:
        """
        Who reads along with a client that goes away gets all bytes, right.
        """
        self.read(self.one, 5 * CHUNK, SIZE)
        value = (b"Range", b"bytes=1000-%d" % (3 * CHUNK))
        first = self.cluster.get(self.one, PATH, value, *SIGNED_RANGE)
        first.addErrback(lambda _: None)
        self.cluster.pass_time(0.003)
        request = Request(self.one, PATH, value[1], signed=True)
        second: Deferred[Answer] = request.send(self.cluster)
        self.cluster.pass_time(0.002)
        first.cancel()
        self.assertTrue(request.is_right(self.cluster.wait(second), self.data))

    def test_random(self) -> None:
        """
        Whatever ranges clients sign, at whatever times, they get what they asked for.
        """
        rng = random.Random(70)
        for _ in range(12):
            requests = []
            for _ in range(rng.randrange(1, 6)):
                start = rng.randrange(SIZE)
                stop = rng.randrange(start, SIZE)
                value = b"bytes=%d-%d" % (start, stop)
                member = rng.choice(self.cluster.members)
                signed = rng.random() < 0.8
                requests.append(Request(member, PATH, value, signed=signed))
            for request, answer in ask(self.cluster, requests):
                self.assertTrue(request.is_right(answer, self.data), request)

"""
Many nodes read the same objects.
"""

from eliop2p.testing.cluster import Plan
from tests.simulation.cases import (
    ALICE,
    CHUNK,
    DATE,
    MALLORY,
    PATH,
    ClusterCase,
    Request,
    made_up,
)

MAX_AMPLIFICATION = 1.02
SMALL_WINDOW = 16 * 1024
"""
Bytes that the store can have sent in vain when a read of it is given up.
"""


class ColdTests(ClusterCase):
    """
    Nodes that have nothing, all asked at once.
    """

    def check(self, nodes: int) -> None:
        """
        Read an object through all of them, twice.
        """
        plan = Plan(nodes=nodes, seed=nodes, window=SMALL_WINDOW)
        cluster = self.make_cluster(plan)
        data = made_up(nodes, 64 * CHUNK + 77)
        cluster.store.put(PATH, data)
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, data)
        self.assertLessEqual(cluster.store.sent / len(data), MAX_AMPLIFICATION)
        before = cluster.store.sent
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, data)
            self.assertEqual(answer.header(b"x-cache"), b"HIT")
        self.assertEqual(cluster.store.sent, before)

    def test_three(self) -> None:
        """
        Three nodes read the store once between them, and not again.
        """
        self.check(3)

    def test_four(self) -> None:
        """
        Four nodes do.
        """
        self.check(4)

    def test_five(self) -> None:
        """
        Five nodes do.
        """
        self.check(5)

    def test_six(self) -> None:
        """
        Six nodes do.
        """
        self.check(6)

    def test_seven(self) -> None:
        """
        Seven nodes do.
        """
        self.check(7)

    def test_eight(self) -> None:
        """
        Eight nodes do.
        """
        self.check(8)

    def test_small_objects(self) -> None:
        """
        Objects of all lengths around a chunk's come right, empty ones too, and each is
        read once.
        """
        cluster = self.make_cluster(Plan(seed=1))
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
            path = b"/bucket/%d" % size
            data = made_up(size, size)
            cluster.store.put(path, data)
            before = cluster.store.sent
            for _ in range(2):
                for answer in cluster.read_all(path):
                    self.assert_got(answer, data)
            if size:
                self.assertEqual(cluster.store.sent - before, size)

    def test_signed_ranges(self) -> None:
        """
        Ranges that no other range may be asked for in place of are shared too, when
        they are chunks; others are answered right.
        """
        cluster = self.make_cluster(Plan(seed=2))
        data = made_up("signed", 8 * CHUNK)
        cluster.store.put(PATH, data)
        for first, last in ((0, CHUNK - 1), (CHUNK, 3 * CHUNK - 1), (5, 70_000)):
            value = b"bytes=%d-%d" % (first, last)
            for member in cluster.members:
                request = Request(member, PATH, value, signed=True)
                answer = cluster.wait(request.send(cluster))
                self.assertTrue(request.is_right(answer, data))
        self.assertLess(cluster.store.sent, 4 * CHUNK)

    def test_unsigned_ranges(self) -> None:
        """
        A cold read of a range whose bounds lie within chunks ends, whichever of its
        chunks other nodes or a tier have already.
        """
        data = made_up("ranges", 8 * CHUNK + 77)
        whole = b"bytes=%d-%d" % (CHUNK, 2 * CHUNK - 1)
        for held in (None, b"bytes=0-0", whole):
            for first, last in ((1, 2 * CHUNK), (CHUNK - 1, 3 * CHUNK + 5), (5, 9)):
                for holder in (0, 1):
                    cluster = self.make_cluster(Plan(nodes=2, seed=1))
                    cluster.store.put(PATH, data)
                    if held is not None:
                        warm = Request(cluster.members[holder], PATH, held)
                        cluster.wait(warm.send(cluster))
                    part = b"bytes=%d-%d" % (first, last)
                    request = Request(cluster.members[0], PATH, part)
                    answer = cluster.wait(request.send(cluster))
                    self.assertTrue(request.is_right(answer, data), (held, part))


class RightsTests(ClusterCase):
    """
    Who may read what is in the cache.
    """

    def test_refused(self) -> None:
        """
        A client without rights gets the store's own refusal of a warm object, from
        every node, and no byte of it leaves the store or the cache.
        """
        cluster = self.make_cluster(Plan(seed=3))
        data = made_up("secret", 5 * CHUNK)
        cluster.store.put(PATH, data)
        for member in cluster.members:
            answer = cluster.wait(cluster.get(member, PATH, ALICE, DATE))
            self.assert_got(answer, data)
        cluster.store.denied.add(MALLORY[1])
        before = cluster.store.sent
        for member in cluster.members:
            for more in ((), ((b"Range", b"bytes=0-9"),)):
                answer = cluster.wait(cluster.get(member, PATH, MALLORY, DATE, *more))
                said = cluster.store.log[-1]
                self.assertEqual(said.status, 403)
                self.assert_got(answer, said.payload, 403)
        self.assertEqual(cluster.store.sent, before)

    def test_refused_meanwhile(self) -> None:
        """
        A client that is refused while another reads the same cold object through the
        same node gets the refusal, and the other one its bytes.
        """
        cluster = self.make_cluster(Plan(seed=4))
        data = made_up("secret", 40 * CHUNK)
        cluster.store.put(PATH, data)
        cluster.store.denied.add(MALLORY[1])
        for member in cluster.members:
            refused = cluster.get(member, PATH, MALLORY, DATE)
            granted = cluster.get(member, PATH, ALICE, DATE)
            self.assertEqual(cluster.wait(refused).status, 403)
            self.assert_got(cluster.wait(granted), data)

    def test_signature_without_date(self) -> None:
        """
        A signature of which it is not known how long it lasts is used once only: large
        objects come in the one answer to it, cold and warm.
        """
        cluster = self.make_cluster(Plan(seed=6))
        data = made_up("undated", 40 * CHUNK)
        cluster.store.put(PATH, data)
        for _ in range(2):
            for member in cluster.members:
                answer = cluster.wait(cluster.get(member, PATH, ALICE))
                self.assert_got(answer, data)

    def test_rights_withdrawn(self) -> None:
        """
        A client that has read an object is refused the next time when the store says
        so.
        """
        cluster = self.make_cluster(Plan(seed=5))
        data = made_up("secret", 5 * CHUNK)
        cluster.store.put(PATH, data)
        member = cluster.members[0]
        self.assert_got(cluster.wait(cluster.get(member, PATH, ALICE, DATE)), data)
        cluster.store.denied.add(ALICE[1])
        answer = cluster.wait(cluster.get(member, PATH, ALICE, DATE))
        self.assertEqual(answer.status, 403)

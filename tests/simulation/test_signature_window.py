"""
Downloads that take longer than the signature under which they began.
"""

from twisted.internet.defer import CancelledError

from eliop2p.http1.message import Header
from eliop2p.http1.signature import HEADER_LIFE, MARGIN
from eliop2p.model.ranges import parse_range
from eliop2p.testing.cluster import EPOCH, Cluster, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import NO_FAULT, Fault
from eliop2p.testing.simstore import Asked
from tests.simulation.cases import ALICE, DATE, PATH, ClusterCase, made_up

SMALL = 8 * 1024
WINDOW = 4 * 1024

COUNT = 100
"""
Chunks of the object: more than are read from the store in one answer.
"""

SKEW = 15 * 60
"""
Seconds for which stores take a signature by its date.
"""

PAUSE = 1.0
"""
Seconds between two pieces that a slow client takes: some twenty minutes for all.
"""


def presigned(life: int) -> bytes:
    """
    Name the object in a URL that holds for so many seconds.
    """
    return PATH + b"?AWSAccessKeyId=a&Signature=s&Expires=%d" % (EPOCH + life)


class SignatureWindowTests(ClusterCase):
    """
    A store that refuses requests whose signature is too old, as every store does.
    """

    def set_up(self, nodes: int = 1, life: int = SKEW, count: int = COUNT) -> Cluster:
        """
        Start a cluster with an object in its store.

        Args:
            nodes: How many nodes it has.
            life: For how many seconds the store takes the signature.
            count: The object's chunks.
        """
        plan = Plan(nodes=nodes, seed=7, chunk_size=SMALL, window=WINDOW)
        cluster = self.make_cluster(plan)
        self.data = made_up("signature", count * SMALL - 100)
        cluster.store.put(PATH, self.data)

        def check(asked: Asked) -> Fault:
            return NO_FAULT if asked.at < EPOCH + life else Fault(status=403)

        cluster.store.choose = check
        return cluster

    def read_slowly(
        self, cluster: Cluster, path: bytes = PATH, *headers: Header
    ) -> Answer:
        """
        Read the object through the first node with a slow client.
        """
        reading = cluster.get(cluster.members[0], path, *headers, pause=PAUSE)
        return cluster.wait(reading, 3000.0)

    def assert_in_time(self, cluster: Cluster, life: int) -> list[Asked]:
        """
        Demand that the store was asked nothing that it had to refuse.

        Returns:
            What it was asked for.
        """
        reads = [asked for asked in cluster.store.log if asked.head.method == b"GET"]
        self.assertLess(max(asked.at for asked in reads), EPOCH + life)
        self.assertNotIn(403, [asked.status for asked in reads])
        return reads

    def test_dated(self) -> None:
        """
        A slow download of a large object outlives its signature: what is missing is
        asked for in one last range to the end, while the store still answers.
        """
        cluster = self.set_up()
        answer = self.read_slowly(cluster, PATH, ALICE, DATE)
        self.assert_got(answer, self.data)
        self.assertGreater(cluster.clock.seconds(), EPOCH + SKEW)
        reads = self.assert_in_time(cluster, HEADER_LIFE - MARGIN)
        last = reads[-1].head
        part = parse_range(last.get(b"range") or b"")
        assert part is not None
        asked = part.resolve(len(self.data))
        assert asked is not None
        self.assertEqual(asked.stop, len(self.data))
        self.assertGreater(asked.length, 2 * SMALL)
        self.assertIsNotNone(last.get(b"if-match"))

    def test_nothing_twice(self) -> None:
        """
        The last range begins where the ranges before it end.
        """
        cluster = self.set_up()
        self.read_slowly(cluster, PATH, ALICE, DATE)
        first, *others = self.assert_in_time(cluster, SKEW)
        sent = sum(asked.sent for asked in others)
        # Of the first answer the store has sent a little more than its first chunk.
        self.assertEqual(sent, len(self.data) - SMALL)
        self.assertLess(first.sent, 4 * SMALL)

    def test_presigned(self) -> None:
        """
        The same with a URL that expires after a minute.
        """
        cluster = self.set_up(life=60)
        self.assert_got(self.read_slowly(cluster, presigned(60)), self.data)
        self.assert_in_time(cluster, 60)

    def test_about_to_expire(self) -> None:
        """
        Under a signature that holds for a moment only, the answer to the client's own
        request is read to its end.
        """
        cluster = self.set_up(life=20)
        self.assert_got(self.read_slowly(cluster, presigned(20)), self.data)
        self.assertEqual(len(self.assert_in_time(cluster, 20)), 1)

    def test_known_in_part(self) -> None:
        """
        What is held already is not asked for: the last range begins behind it.
        """
        cluster = self.set_up()
        known = b"bytes=0-%d" % (COUNT * SMALL * 3 // 4 - 1)
        reading = cluster.get(cluster.members[0], PATH, (b"Range", known))
        cluster.wait(reading)
        cluster.store.log.clear()
        self.assert_got(self.read_slowly(cluster, PATH, ALICE, DATE), self.data)
        _, *reads = self.assert_in_time(cluster, SKEW)
        missing = len(self.data) - COUNT * SMALL * 3 // 4
        self.assertEqual(sum(asked.sent for asked in reads), missing)

    def test_known(self) -> None:
        """
        A download from the cache asks for nothing when its signature ends.
        """
        cluster = self.set_up()
        cluster.wait(cluster.get(cluster.members[0], PATH))
        cluster.store.log.clear()
        self.assert_got(self.read_slowly(cluster, PATH, ALICE, DATE), self.data)
        self.assertEqual(len(self.assert_in_time(cluster, SKEW)), 1)

    def test_one_answer(self) -> None:
        """
        An object that is read in one answer survives too when a part of it came from
        another node, so that the answer was cut.
        """
        cluster = self.set_up(nodes=2, life=60, count=10)
        part = b"bytes=%d-%d" % (SMALL, 2 * SMALL - 1)
        cluster.wait(cluster.get(cluster.members[1], PATH, (b"Range", part)))
        self.assert_got(self.read_slowly(cluster, presigned(60)), self.data)
        self.assert_in_time(cluster, 60)

    def test_together(self) -> None:
        """
        A slow and a quick client of one object both get all of it.
        """
        cluster = self.set_up()
        slow = cluster.get(cluster.members[0], PATH, ALICE, DATE, pause=PAUSE)
        cluster.pass_time(300.0)
        quick = cluster.get(cluster.members[0], PATH, ALICE, DATE)
        self.assert_got(cluster.wait(quick), self.data)
        self.assert_got(cluster.wait(slow, 3000.0), self.data)
        self.assert_in_time(cluster, SKEW)

    def test_gone(self) -> None:
        """
        A client that goes away after its signature ended leaves nothing open.
        """
        cluster = self.set_up(life=60)
        reading = cluster.get(cluster.members[0], presigned(60), pause=PAUSE)
        cluster.pass_time(100.0)
        reading.cancel()
        cluster.pass_time(10.0)
        self.failureResultOf(reading, CancelledError)
        self.assertEqual(cluster.members[0].running.chunks.inflight, 0)

    def test_refused(self) -> None:
        """
        A store that gives no last range breaks the download off, and the bytes before
        it are right.
        """
        cluster = self.set_up(life=30)
        answer = self.read_slowly(cluster, presigned(60))
        self.assertFalse(answer.complete)
        self.assertTrue(self.data.startswith(answer.body))

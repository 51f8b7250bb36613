"""
Whole nodes that hold objects against the checksums of a store.
"""

from collections.abc import Callable

import attrs

from eliop2p.http1.message import Header, RequestHead
from eliop2p.model.checksum import CRCS
from eliop2p.proxy import integrity
from eliop2p.testing import simstore
from eliop2p.testing.cluster import Cluster, Member, Plan
from eliop2p.testing.simfaults import Fault
from eliop2p.testing.simstore import StoredObject
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

CHUNKS = 10  # Few enough to be read from the store in one answer.
SIZE = CHUNKS * CHUNK - 77
LONG = 3.0
"""
Seconds after which everything has been checked.
"""

_Content = Callable[
    [RequestHead, StoredObject, Fault], tuple[int, tuple[Header, ...], bytes]
]


class IntegrityCase(ClusterCase):
    """
    A cluster and its store, which can be damaged.
    """

    def start(self, *, nodes: int = 1, disk: int = 0) -> Cluster:
        """
        Start a cluster with an object in its store.
        """
        cluster = self.make_cluster(Plan(nodes=nodes, disk=disk))
        self.data = made_up("integrity", SIZE)
        cluster.store.put(PATH, self.data)
        return cluster

    def damage(self, cluster: Cluster, path: bytes = PATH) -> bytes:
        """
        Let the store send other bytes than those that its checksum is about.
        """
        stored = cluster.store._objects[path]
        data = stored.data[: SIZE // 2] + b"damage" + stored.data[SIZE // 2 + 6 :]
        cluster.store._objects[path] = attrs.evolve(stored, data=data)
        return data

    def repair(self, cluster: Cluster) -> None:
        """
        Let the store send the right bytes again.
        """
        stored = cluster.store._objects[PATH]
        cluster.store._objects[PATH] = attrs.evolve(stored, data=self.data)

    def outcome(self, member: Member, outcome: str) -> int:
        """
        Tell what a node has counted.
        """
        counter = member.running.metrics.integrity
        return int(
            next(
                sample.value
                for family in counter.collect()
                for sample in family.samples
                if sample.labels.get("outcome") == outcome
                and sample.name.endswith("_total")
            )
        )

    def held(self, member: Member) -> int:
        """
        Count the chunks that a node holds.
        """
        return len(list(member.running.chunks.holdings()))


class NodeTests(IntegrityCase):
    """
    One node.
    """

    def test_right(self) -> None:
        """
        What is right is verified once, stays, and costs the store nothing more.
        """
        cluster = self.start()
        (member,) = cluster.members
        for _ in range(3):
            (answer,) = cluster.read_all(PATH)
            self.assert_got(answer, self.data)
            cluster.pass_time(LONG)
        self.assertEqual(self.outcome(member, "verified"), 1)
        self.assertEqual(self.held(member), CHUNKS)
        self.assertEqual(cluster.store.sent, SIZE)

    def test_wrong(self) -> None:
        """
        What is wrong is dropped after it was read, and the next read has it from the
        store anew.
        """
        cluster = self.start(disk=64 * CHUNK * CHUNKS)
        (member,) = cluster.members
        wrong = self.damage(cluster)
        (answer,) = cluster.read_all(PATH)
        self.assert_got(answer, wrong)
        cluster.pass_time(LONG)
        self.assertEqual(self.outcome(member, "failed"), 1)
        self.assertEqual(self.held(member), 0)
        self.repair(cluster)
        sent = cluster.store.sent
        (answer,) = cluster.read_all(PATH)
        self.assert_got(answer, self.data)
        self.assertEqual(cluster.store.sent - sent, SIZE)
        cluster.pass_time(LONG)
        self.assertEqual(self.outcome(member, "verified"), 1)
        (answer,) = cluster.read_all(PATH)
        self.assert_got(answer, self.data)
        self.assertEqual(answer.header(b"x-cache"), b"HIT")

    def test_wrong_for_good(self) -> None:
        """
        What is wrong again and again is passed on and not kept, until there is another
        version.
        """
        cluster = self.start()
        (member,) = cluster.members
        wrong = self.damage(cluster)
        caches = []
        for _ in range(4):
            (answer,) = cluster.read_all(PATH)
            self.assert_got(answer, wrong)
            caches.append(answer.header(b"x-cache"))
            cluster.pass_time(LONG)
        self.assertEqual(caches, [b"MISS", b"MISS", b"BYPASS", b"BYPASS"])
        self.assertEqual((self.outcome(member, "failed"), self.held(member)), (2, 0))
        cluster.store.put(PATH, self.data[::-1])
        for expected in (b"MISS", b"HIT"):
            (answer,) = cluster.read_all(PATH)
            self.assert_got(answer, self.data[::-1])
            self.assertEqual(answer.header(b"x-cache"), expected)

    def test_crc_of_ranges(self) -> None:
        """
        An object that is read in ranges and offers a CRC is checked when all of them
        have been read, wherever they meet.
        """
        crc = CRCS["crc64ecma"].compute(made_up("integrity", SIZE))
        content: _Content = simstore._content

        def with_crc(
            head: RequestHead, found: StoredObject, fault: Fault
        ) -> tuple[int, tuple[Header, ...], bytes]:
            status, headers, body = content(head, found, fault)
            added = (b"x-oss-hash-crc64ecma", b"%d" % crc)
            return status, (*headers, added), body

        self.patch(simstore, "_content", with_crc)
        cluster = self.start()
        (member,) = cluster.members
        for start in range(0, SIZE, 3 * CHUNK // 2):
            stop = min(start + 3 * CHUNK // 2, SIZE)
            value = b"bytes=%d-%d" % (start, stop - 1)
            answer = cluster.wait(cluster.get(member, PATH, (b"Range", value)))
            self.assert_got(answer, self.data[start:stop], 206)
        cluster.pass_time(LONG)
        self.assertEqual(self.outcome(member, "verified"), 1)

    def test_restart(self) -> None:
        """
        What was verified is not verified again after a restart.
        """
        cluster = self.start(disk=64 * CHUNK * CHUNKS)
        (member,) = cluster.members
        cluster.read_all(PATH)
        cluster.pass_time(LONG)
        cluster.wait(cluster.stop_node(member))
        cluster.start_node(member)
        cluster.until(cluster.is_settled)
        (answer,) = cluster.read_all(PATH)
        self.assert_got(answer, self.data)
        self.assertEqual(answer.header(b"x-cache"), b"HIT")
        cluster.pass_time(LONG)
        self.assertEqual(self.outcome(member, "verified"), 0)

    def test_stopped_meanwhile(self) -> None:
        """
        A node that stops in the middle of a check leaves nothing behind.
        """
        self.patch(integrity, "DIGEST_RATE", 2 * CHUNK)
        cluster = self.start()
        cluster.read_all(PATH)
        lane = cluster.members[0].running.checks._digests
        cluster.until(lambda: lane._busy)
        cluster.pass_time(1.0)
        self.assertTrue(lane._busy)


class ClusterTests(IntegrityCase):
    """
    Several nodes.
    """

    def test_wrong_everywhere(self) -> None:
        """
        Nodes that all got the same wrong bytes all drop them, and the cluster reads the
        right ones once.
        """
        cluster = self.start(nodes=4)
        wrong = self.damage(cluster)
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, wrong)
        cluster.pass_time(LONG)
        for member in cluster.members:
            self.assertEqual(self.outcome(member, "failed"), 1)
            self.assertEqual(self.held(member), 0)
        self.repair(cluster)
        sent = cluster.store.sent
        for answer in cluster.read_all(PATH):
            self.assert_got(answer, self.data)
        self.assertEqual(cluster.store.sent - sent, SIZE)
        cluster.pass_time(LONG)
        for member in cluster.members:
            self.assertEqual(self.outcome(member, "verified"), 1)

    def test_wrong_part_elsewhere(self) -> None:
        """
        A node that gets a wrong chunk again and again, from another that holds only a
        part of the object and cannot tell, ends up passing on the store's own bytes.
        """
        cluster = self.start(nodes=2)
        whole, part = cluster.members
        wrong = self.damage(cluster)
        middle = SIZE // 2 // CHUNK * CHUNK
        value = b"bytes=%d-%d" % (middle, middle + CHUNK - 1)
        answer = cluster.wait(cluster.get(part, PATH, (b"Range", value)))
        self.assert_got(answer, wrong[middle : middle + CHUNK], 206)
        self.repair(cluster)
        for _ in range(2):
            cluster.read_all(PATH, [whole])
            cluster.pass_time(LONG)
        self.assertEqual(self.outcome(whole, "failed"), 2)
        (answer,) = cluster.read_all(PATH, [whole])
        self.assert_got(answer, self.data)
        self.assertEqual(answer.header(b"x-cache"), b"BYPASS")

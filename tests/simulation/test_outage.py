"""
What is served while the store cannot be reached.
"""

from eliop2p.http1.message import Header
from eliop2p.testing.cluster import Cluster, Member, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import NO_FAULT, Fault
from tests.simulation.cases import CHUNK, PATH, ClusterCase, made_up

SIZE = 3 * CHUNK + 17
DATA = made_up("outage", SIZE)
MIB = 1024 * 1024
CHECKSUMS: Header = (b"x-amz-checksum-mode", b"ENABLED")
UNKNOWN = b"/bucket/unknown"


class OutageCase(ClusterCase):
    """
    Three nodes of which the first has read an object.
    """

    def begin(self, auth: str) -> None:
        """
        Start the cluster and read the object.
        """
        plan = Plan(seed=11, disk=64 * MIB, flags={"proxy.auth": auth})
        self.cluster = self.make_cluster(plan)
        self.cluster.store.put(PATH, DATA)
        self.first, self.second, _ = self.cluster.members
        self.assert_got(self.get(self.first), DATA)
        self.cluster.pass_time(5)

    def get(
        self,
        member: Member,
        *headers: Header,
        path: bytes = PATH,
        method: bytes = b"GET",
    ) -> Answer:
        """
        Send a request through a node.
        """
        cluster: Cluster = self.cluster
        return cluster.wait(cluster.get(member, path, *headers, method=method))


class OpenTests(OutageCase):
    """
    Nobody has to be asked who may read: what was last known stands.
    """

    def setUp(self) -> None:
        """
        Start, and take the store away.
        """
        self.begin("open")
        self.cluster.stop_store()

    def test_whole(self) -> None:
        """
        The object is read whole and in parts, with and without its checksums, from the
        node that has it and through one that never read it.
        """
        for member in (self.first, self.second):
            for headers in ((), (CHECKSUMS,)):
                self.assert_got(self.get(member, *headers), DATA)
                ranged: Header = (b"Range", b"bytes=70000-139999")
                part = self.get(member, ranged, *headers)
                self.assert_got(part, DATA[70_000:140_000], 206)

    def test_head(self) -> None:
        """
        A HEAD tells what the GET has, and has no body.
        """
        answer = self.get(self.first, CHECKSUMS, method=b"HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.header(b"content-length"), b"%d" % SIZE)
        self.assertEqual(answer.header(b"etag"), self.get(self.first).header(b"etag"))

    def test_started_anew(self) -> None:
        """
        A node that is started without the store serves what is on its disk.
        """
        self.cluster.wait(self.cluster.stop_node(self.first))
        self.cluster.start_node(self.first)
        self.cluster.until(self.cluster.is_settled)
        self.assert_got(self.get(self.first), DATA)

    def test_another_version(self) -> None:
        """
        Who insists on another version gets no other.
        """
        answer = self.get(self.first, (b"If-Match", b'"another"'))
        self.assertEqual(answer.status, 503)

    def test_unknown(self) -> None:
        """
        What was never read cannot be read, nor looked at, nor written; afterwards what
        was known of what was to be written counts no more.
        """
        self.assertEqual(self.get(self.first, path=UNKNOWN).status, 503)
        answer = self.get(self.first, path=UNKNOWN, method=b"HEAD")
        self.assertEqual(answer.status, 503)
        self.assertEqual(self.get(self.first, method=b"DELETE").status, 503)
        self.assertEqual(self.get(self.first).status, 503)

    def test_back(self) -> None:
        """
        Once the store is back its word counts: what has changed is read anew.
        """
        self.assert_got(self.get(self.first), DATA)
        changed = made_up("changed", SIZE)
        self.cluster.store.put(PATH, changed)
        self.cluster.start_store()
        self.assert_got(self.get(self.first), changed)


class FailingTests(OutageCase):
    """
    A store that answers that it cannot answer.
    """

    def test_open(self) -> None:
        """
        It counts as not reached, for reads and for looks.
        """
        self.begin("open")
        self.cluster.store.choose = lambda _: Fault(status=503)
        self.assert_got(self.get(self.first), DATA)
        self.assertEqual(self.get(self.first, method=b"HEAD").status, 200)
        self.cluster.store.choose = lambda _: NO_FAULT


class PassthroughTests(OutageCase):
    """
    The store decides who may read.
    """

    def test_refused(self) -> None:
        """
        While it does not answer nobody may, and what was known is known afterwards:
        the next read costs the store no byte of the object.
        """
        self.begin("passthrough")
        self.cluster.stop_store()
        for method in (b"GET", b"HEAD"):
            self.assertEqual(self.get(self.first, method=method).status, 503)
        self.cluster.start_store()
        sent = self.cluster.store.sent
        self.assert_got(self.get(self.first), DATA)
        self.assertEqual(self.cluster.store.sent, sent)

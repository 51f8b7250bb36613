"""
A node is told to get an object, and tells how far it is.
"""

from eliop2p.http1.message import Header
from eliop2p.testing.cluster import Member, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import NO_FAULT, Fault
from tests.simulation.cases import PATH, ClusterCase, made_up

MIB = 1024 * 1024
SIZE = 2 * MIB + 5
DATA = made_up("preheat", SIZE)
PREHEAT: Header = (b"X-Elio-Preheat", b"1")


class PreheatTests(ClusterCase):
    """
    Three nodes, and an object of two MiB and a little.
    """

    def setUp(self) -> None:
        """
        Start them.
        """
        self.cluster = self.make_cluster(Plan(seed=12, disk=64 * MIB))
        self.cluster.store.put(PATH, DATA)
        self.first, self.second, self.third = self.cluster.members

    def ask(
        self,
        member: Member,
        *headers: Header,
        method: bytes = b"GET",
        path: bytes = PATH,
    ) -> Answer:
        """
        Tell a node to get the object.
        """
        asked = self.cluster.get(member, path, PREHEAT, *headers, method=method)
        return self.cluster.wait(asked)

    def assert_told(self, answer: Answer, size: int = SIZE) -> None:
        """
        Demand a byte for each MiB, and one for the rest.
        """
        self.assert_got(answer, b"." * -(-size // MIB))
        self.assertEqual(answer.header(b"x-elio-preheat"), b"%d" % size)

    def test_read(self) -> None:
        """
        The store is read once however many nodes are told, is told nothing of it, and
        each of them has the whole object then; telling them again changes nothing.
        """
        for member in (self.first, self.second, self.first):
            self.assert_told(self.ask(member))
        asked = {head for each in self.cluster.store.log for head in each.head.headers}
        self.assertNotIn(PREHEAT, asked)
        sent = self.cluster.store.sent
        self.assertLess(sent, 1.05 * SIZE)
        for member in (self.first, self.second):
            chunks = member.running.chunks.usage()["memory"].used
            self.assertEqual(chunks, SIZE)
            answer = self.cluster.wait(self.cluster.get(member, PATH))
            self.assert_got(answer, DATA)
            self.assertEqual(answer.header(b"x-cache"), b"HIT")
        self.assertEqual(self.cluster.store.sent, sent)

    def test_part(self) -> None:
        """
        A part is got as well, under a signature that covers its range too.
        """
        ranged: Header = (b"Range", b"bytes=0-1048576")
        self.assert_told(self.ask(self.first, ranged), MIB + 1)

    def test_empty(self) -> None:
        """
        Of nothing there is nothing to tell.
        """
        self.cluster.store.put(b"/bucket/empty", b"")
        self.assert_told(self.ask(self.first, path=b"/bucket/empty"), 0)

    def test_refused(self) -> None:
        """
        Who may not read may not preheat: the store's refusal comes as it is.
        """
        self.cluster.store.choose = lambda _: Fault(status=403)
        plain = self.cluster.wait(self.cluster.get(self.first, PATH))
        answer = self.ask(self.first)
        self.assertEqual((answer.status, answer.body), (403, plain.body))
        self.cluster.store.choose = lambda _: NO_FAULT

    def test_broken(self) -> None:
        """
        When the object does not come whole, its tale is not whole either.
        """
        self.cluster.store.choose = lambda _: Fault(reset=MIB + 7)
        answer = self.ask(self.first)
        self.assertFalse(answer.complete and answer.status == 200)
        self.cluster.store.choose = lambda _: NO_FAULT
        self.assert_told(self.ask(self.first))

    def test_not_kept(self) -> None:
        """
        What must not be kept is not read for nothing.
        """
        add: Header = (b"Cache-Control", b"no-store")
        self.cluster.store.choose = lambda _: Fault(add=(add,))
        answer = self.ask(self.first)
        self.assertEqual(answer.status, 400)
        self.assertIn(b"not to be kept", answer.body)
        self.assertLess(self.cluster.store.sent, SIZE)
        self.cluster.store.choose = lambda _: NO_FAULT

    def test_other_requests(self) -> None:
        """
        Only a plain read can be told of; a write is not done.
        """
        for method in (b"DELETE", b"HEAD"):
            self.assertEqual(self.ask(self.first, method=method).status, 400)
        self.assertEqual(self.cluster.store.log, [])

    def test_cancelled(self) -> None:
        """
        When who told the node goes, the node stops.
        """
        self.cluster.store.choose = lambda _: Fault(stall=MIB)
        asked = self.cluster.get(self.first, PATH, PREHEAT)
        self.cluster.pass_time(2)
        self.assertGreater(self.first.running.chunks.inflight, 0)
        asked.addErrback(lambda _: None)
        asked.cancel()
        self.cluster.pass_time(1)
        self.assertEqual(self.first.running.chunks.inflight, 0)
        self.cluster.store.choose = lambda _: NO_FAULT

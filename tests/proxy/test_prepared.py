"""
Tests for :mod:`eliop2p.proxy.prepared_answers` and :mod:`eliop2p.proxy.prepared`: hits
that are answered without thought differ in nothing from others.
"""

from pathlib import Path
from unittest.mock import patch

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from eliop2p.admin.explain import explanation
from eliop2p.base.metrics import Metrics
from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.model.chunk import ChunkId
from eliop2p.model.span import FileSpan, Span
from eliop2p.model.trail import RequestTrail
from eliop2p.proxy import prepared_answers
from eliop2p.proxy.prepared import cut_head
from eliop2p.testing.cluster import (
    CLIENTS,
    PROXY_PORT,
    STORE,
    STORE_PORT,
    Cluster,
    Plan,
)
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simstore import Asked, SimStore

PATH = b"/bucket/key"
DATA = bytes(range(256)) * 100
LARGE = bytes(range(251)) * 3000
OPEN = {"proxy.auth": "open", "proxy.freshness_seconds": "3600"}
HOST: Header = (b"Host", f"{STORE}:{STORE_PORT}".encode())


class DatedStore(SimStore):
    """
    A store that says when it answers.
    """

    def ask(self, head: RequestHead, body: bytes) -> tuple[Asked, ResponseHead]:
        """
        Answer with a date.
        """
        asked, answer = super().ask(head, body)
        return asked, answer.adding((b"Date", http_date(self._clock.seconds())))


class Client(Protocol):
    """
    A client that keeps its connection.
    """

    heard = b""
    gone = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        """
        Note it.
        """
        self.gone = True


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """
    Give all values that count something.
    """
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name.endswith(("_total", "_count", "_bucket"))
        and "peer" not in sample.name
    }


class PreparedCase(SynchronousTestCase):
    """
    One node, and an object that it holds.
    """

    flags = OPEN
    disk = 0

    def setUp(self) -> None:
        """
        Start the node and read the object often enough.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        plan = Plan(
            nodes=1, seed=7, chunk_size=1024 * 1024, disk=self.disk, flags=self.flags
        )
        self.cluster = Cluster(directory, plan)
        self.cluster.stop_store()
        self.cluster.store = DatedStore(self.cluster.clock)
        self.cluster.start_store()
        self.cluster.start()
        self.addCleanup(self.cluster.stop)
        self.member = self.cluster.members[0]
        self.node = self.member.running
        self.cluster.store.put(PATH, DATA)
        self.warm()

    def read(self, *headers: Header, path: bytes = PATH, pause: float = 0.0) -> Answer:
        """
        Read through the node.
        """
        return self.cluster.wait(
            self.cluster.get(self.member, path, *headers, pause=pause)
        )

    def warm(self, *headers: Header, path: bytes = PATH) -> None:
        """
        Read until nothing new is to be found out.
        """
        self.read(*headers, path=path)
        self.cluster.pass_time(5.0)
        for _ in range(2):
            self.read(*headers, path=path)

    def given(self) -> int:
        """
        Tell how many answers were given without thought since the last call.
        """
        last, self._last = getattr(self, "_last", 0), self.node.prepared.given
        return self._last - last

    def connect(self) -> Client:
        """
        Make a connection that is kept.
        """
        client = Client()
        factory = Factory.forProtocol(lambda: client)
        factory.noisy = False
        network = self.cluster.network.host(CLIENTS)
        self.cluster.wait(
            network.connect(self.member.address, PROXY_PORT, factory, 5.0, False)
        )
        return client

    def say(self, client: Client, *heads: RequestHead) -> bytes:
        """
        Send requests in one piece, and give what comes within a second.
        """
        assert client.transport is not None
        client.transport.write(b"".join(head.serialize() for head in heads))
        self.cluster.pass_time(1.0)
        heard, client.heard = client.heard, b""
        return heard


class SameTests(PreparedCase):
    """
    What the ordinary way gives.
    """

    def trail(self, answer: Answer) -> RequestTrail:
        """
        Find how an answer came about.
        """
        found = self.node.trails.get(answer.header(b"x-elio-request-id").decode())
        assert found is not None
        return found

    def test_head_and_body(self) -> None:
        """
        Head and body are those of an ordinary hit, with a date and a name of their own,
        for the whole object and for a part of it.
        """
        for headers in ((), ((b"Range", b"bytes=100-299"),)):
            self.warm(*headers)
            self.given()
            # An answer that a header makes an ordinary one.
            ordinary = self.read(*headers, (b"X-Once", b"1"))
            self.assertEqual(self.given(), 0)
            quick = self.read(*headers)
            self.assertEqual(self.given(), 1)
            assert ordinary.head is not None
            assert quick.head is not None
            self.assertEqual(quick.body, ordinary.body)
            own = (b"x-elio-request-id", b"date")
            for head in (quick.head, ordinary.head):
                self.assertEqual(
                    head.get(b"date"), http_date(self.cluster.clock.seconds())
                )
            self.assertNotEqual(quick.head.get(own[0]), ordinary.head.get(own[0]))
            names = [name for name, _ in quick.head.headers]
            self.assertEqual(names, [name for name, _ in ordinary.head.headers])
            self.assertEqual(
                quick.head.without(frozenset(own)),
                ordinary.head.without(frozenset(own)),
            )

    def test_metrics(self) -> None:
        """
        All that is counted for an ordinary hit is counted, and nothing else.
        """
        grown = []
        for headers in (((b"X-Once", b"1"),), ()):
            before = counted(self.node.metrics)
            self.read(*headers)
            after = counted(self.node.metrics)
            grown.append({name: after[name] - before[name] for name in after})
        self.assertEqual(self.node.prepared.given, 1)
        self.assertEqual(grown[0], grown[1])
        self.assertEqual(sum(1 for value in grown[1].values() if value == len(DATA)), 1)

    def test_explained(self) -> None:
        """
        It is explained as an ordinary hit is, later as well as at once, and listed in
        its place.
        """
        ordinary = explanation(self.trail(self.read((b"X-Once", b"1"))))
        quick_answer = self.read()
        quick = explanation(self.trail(quick_answer))
        last = self.read((b"X-Once", b"2"))
        for found in (ordinary, quick):
            found["request_id"] = found["started"] = ""  # type: ignore[typeddict-item]
        self.assertEqual(quick, ordinary)
        self.assertEqual(
            [trail.request_id for trail in self.node.trails.recent(2)],
            [
                last.header(b"x-elio-request-id").decode(),
                quick_answer.header(b"x-elio-request-id").decode(),
            ],
        )

    def test_keep_alive(self) -> None:
        """
        Requests that follow each other on a connection, and those that come in one
        piece, are answered in order.
        """
        client = self.connect()
        whole = RequestHead(b"GET", PATH, (HOST,))
        part = RequestHead(b"GET", PATH, (HOST, (b"Range", b"bytes=5-6")))
        self.say(client, whole)
        self.assertTrue(self.say(client, whole).endswith(b"\r\n\r\n" + DATA))
        both = self.say(client, whole, part, whole)
        self.assertEqual(both.count(b"HTTP/1.1 200"), 2)
        first, _, rest = both.partition(DATA)
        second, _, third = rest.partition(b"\r\n\r\n" + DATA[5:7])
        self.assertTrue(first.startswith(b"HTTP/1.1 200"))
        self.assertTrue(second.startswith(b"HTTP/1.1 206"))
        self.assertTrue(third.startswith(b"HTTP/1.1 200"))
        self.assertTrue(third.endswith(DATA))

    def test_behind_half_a_head(self) -> None:
        """
        What looks like a known request but ends another is part of that.
        """
        client = self.connect()
        assert client.transport is not None
        client.transport.write(b"PUT /bucket/other HTTP/1.1\r\nX-Elio: ")
        self.cluster.pass_time(0.5)
        self.given()
        said = self.say(client, RequestHead(b"GET", PATH, (HOST,)))
        self.assertEqual(self.given(), 0)
        self.assertNotIn(DATA, said)

    def test_closing(self) -> None:
        """
        A client that wants the connection closed has it closed each time.
        """
        head = RequestHead(b"GET", PATH, (HOST, (b"Connection", b"close")))
        for _ in range(4):
            client = self.connect()
            self.assertIn(b"\r\nConnection: close\r\n", self.say(client, head))
            self.assertTrue(client.gone)

    def test_stopping(self) -> None:
        """
        A node that stops ends the connection, whatever is asked on it.
        """
        client = self.connect()
        self.say(client, RequestHead(b"GET", PATH, (HOST,)))
        stopping = self.cluster.stop_node(self.member)
        self.say(client, RequestHead(b"GET", PATH, (HOST,)))
        self.cluster.wait(stopping)
        self.assertTrue(client.gone)


class InvalidationTests(PreparedCase):
    """
    What an answer rests on.
    """

    def assert_reads(self, data: bytes, given: int) -> None:
        """
        Read, and compare.
        """
        self.given()
        self.assertEqual(self.read().body, data)
        self.assertEqual(self.given(), given)

    def write(self, method: bytes, body: bytes = b"") -> None:
        """
        Write through the node.
        """
        sent = self.cluster.get(self.member, PATH, method=method, body=body)
        self.assertLess(self.cluster.wait(sent).status, 300)

    def test_put(self) -> None:
        """
        After a PUT through the node the new object is read, and soon quickly.
        """
        self.assert_reads(DATA, 1)
        self.write(b"PUT", b"new")
        self.assert_reads(b"new", 0)
        self.warm()
        self.assert_reads(b"new", 1)

    def test_dropped(self) -> None:
        """
        What is not in memory any more is read anew.
        """
        self.assert_reads(DATA, 1)
        for chunk_id, _ in list(self.node.chunks.holdings()):
            self.cluster.wait(self.node.chunks.drop(chunk_id))
        asked = len(self.cluster.store.log)
        self.assert_reads(DATA, 0)
        self.assertGreater(len(self.cluster.store.log), asked)

    def test_store_forgotten(self) -> None:
        """
        When the store's word counts no more it is asked again.
        """
        self.cluster.store.put(PATH, b"behind the node's back")
        self.assert_reads(DATA, 1)
        self.cluster.pass_time(3600.0)
        self.assert_reads(b"behind the node's back", 0)

    def test_clock_set_back(self) -> None:
        """
        A word of the future does not count.
        """
        earlier = self.cluster.clock.seconds() - 3600.0
        with patch.object(self.node.prepared, "_now", lambda: earlier):
            self.assert_reads(DATA, 0)

    def test_other_heads(self) -> None:
        """
        Requests that differ in anything have answers of their own.
        """
        for headers in (
            ((b"Range", b"bytes=0-9"),),
            ((b"Range", b"bytes=0-8"),),
            ((b"If-Match", b'"other"'),),
            ((b"If-None-Match", b"*"),),
        ):
            self.given()
            for _ in range(3):
                answer = self.read(*headers)
            expected = {b"0-9": DATA[:10], b"0-8": DATA[:9]}
            wanted = expected.get(headers[0][1].removeprefix(b"bytes="))
            self.assertEqual(self.given(), int(wanted is not None))
            if wanted is not None:
                self.assertEqual(answer.body, wanted)
            else:
                self.assertIn(answer.status, (304, 412))

    def test_bounded(self) -> None:
        """
        However many different requests come, what is remembered of them is bounded,
        and all of it is counted.
        """
        known = self.node.prepared
        with patch.object(prepared_answers, "MAX_BYTES", 20_000):
            for number in range(20):
                for _ in range(2):
                    self.read((b"X-Client", b"%d" % number))
                self.assertLessEqual(known.used, 20_000)
        self.assertIn(len(known), range(4, 12))
        for number in range(20):
            self.read((b"X-Client", b"%d" % number))
        with patch.object(prepared_answers, "MAX_BYTES", 0):
            for _ in range(2):
                self.read((b"X-Client", b"last"))
        self.assertEqual((len(known), known.used), (0, 0))

    def test_once(self) -> None:
        """
        Nothing is remembered of a request that comes only once.
        """
        before = len(self.node.prepared)
        for number in range(5):
            self.read((b"X-Client", b"%d" % number))
        self.assertEqual(len(self.node.prepared), before)


class SlowTests(PreparedCase):
    """
    Clients that do not take an answer at once.
    """

    def setUp(self) -> None:
        """
        Hold an object that is more than a transport takes at once.
        """
        super().setUp()
        self.cluster.store.put(PATH, LARGE)
        self.cluster.pass_time(3600.0)
        self.warm()

    def test_whole(self) -> None:
        """
        They get every byte, also when the chunk is dropped meanwhile, and are counted
        and explained as others are.
        """
        self.given()
        before = counted(self.node.metrics)
        reading = self.cluster.get(self.member, PATH, pause=0.2)
        self.cluster.pass_time(1.0)
        self.assertFalse(reading.called)
        (running,) = self.node.trails.recent(1)
        self.assertLess(running.seconds, 0)
        for chunk_id, _ in list(self.node.chunks.holdings()):
            self.cluster.wait(self.node.chunks.drop(chunk_id))
        answer = self.cluster.wait(reading)
        self.assertEqual(answer.body, LARGE)
        self.cluster.pass_time(1.0)
        self.assertEqual(self.given(), 1)
        after = counted(self.node.metrics)
        labels = "[('cache', 'hit'), ('method', 'GET'), ('status', '2xx')]"
        name = ("eliop2p_requests_total", labels)
        self.assertEqual(after[name] - before[name], 1)
        (ended,) = self.node.trails.recent(1)
        self.assertEqual((ended.sent, ended.status, ended.error), (len(LARGE), 200, ""))
        self.assertEqual(self.node.chunks.usage()["memory"].used, 0)

    def test_follows(self) -> None:
        """
        What a client asks for meanwhile is answered afterwards.
        """
        client = self.connect()
        head = RequestHead(b"GET", PATH, (HOST,)).serialize()
        assert client.transport is not None
        client.transport.write(head)
        self.cluster.pass_time(0.001)
        client.transport.write(head)
        self.cluster.pass_time(60.0)
        self.assertEqual(client.heard.count(LARGE), 2)

    def test_gone(self) -> None:
        """
        One that goes away in the middle leaves nothing open.
        """
        reading = self.cluster.get(self.member, PATH, pause=0.2)
        self.cluster.pass_time(1.0)
        self.assertFalse(reading.called)
        reading.addErrback(lambda failure: failure.trap(CancelledError))
        reading.cancel()
        self.cluster.pass_time(1.0)
        (ended,) = self.node.trails.recent(1)
        self.assertEqual(ended.error, "the client went away")
        for chunk_id, _ in list(self.node.chunks.holdings()):
            self.cluster.wait(self.node.chunks.drop(chunk_id))
        self.assertEqual(self.node.chunks.usage()["memory"].used, 0)


class FileTests(PreparedCase):
    """
    A node that has a disk tier.
    """

    disk = 64 * 1024 * 1024

    def test_from_a_file(self) -> None:
        """
        A body in a file that is open is given again without looking it up, each time
        as a use of the chunk, but not once the chunk has been dropped.
        """
        data = LARGE[:100_000]
        self.cluster.store.put(PATH, data)
        self.cluster.pass_time(3600.0)
        self.warm()
        opened = self.node.chunks.hits_memory
        views = []
        view = self.node.prepared._view

        def noted(chunk: ChunkId, start: int, stop: int) -> Span | None:
            views.append(view(chunk, start, stop))
            return views[-1]

        self.patch(self.node.prepared, "_view", noted)
        clients = [self.connect() for _ in range(5)]
        head = RequestHead(b"GET", PATH, (HOST,))
        self.say(clients[0], head)
        self.say(clients[0], head)
        self.given()
        views.clear()
        for client in clients:
            assert client.transport is not None
            client.transport.write(head.serialize())
        self.cluster.pass_time(1.0)
        self.assertEqual([client.heard.count(data) for client in clients], [1] * 5)
        self.assertEqual(self.given(), 5)
        self.assertGreaterEqual(self.node.chunks.hits_memory - opened, 5)
        if not isinstance(views[0], FileSpan):
            raise SkipTest("this kernel has no cachestat or openat2")
        self.assertLess(len(views), 5)
        for chunk_id, _ in list(self.node.chunks.holdings()):
            self.cluster.wait(self.node.chunks.drop(chunk_id))
        clients[0].heard = b""
        self.assertEqual(self.say(clients[0], head).count(data), 1)
        self.assertEqual(self.given(), 0)


class PassthroughTests(PreparedCase):
    """
    Where the store decides who may read.
    """

    flags = {"proxy.auth": "passthrough"}  # noqa: RUF012  # Never changed.

    def test_asked(self) -> None:
        """
        Without an operator who wants it otherwise the store is asked each time.
        """
        for data in (b"one", b"another"):
            self.cluster.store.put(PATH, data)
            for _ in range(4):
                asked = len(self.cluster.store.log)
                self.assertEqual(self.read().body, data)
                self.assertGreater(len(self.cluster.store.log), asked)
            self.cluster.pass_time(2.0)
        self.cluster.store.denied.add(b"")
        self.assertEqual(self.read().status, 403)
        self.assertEqual(self.given(), 0)


class AtHandTests(PreparedCase):
    """
    Hits in memory for which the store is asked.
    """

    flags = {"proxy.auth": "passthrough"}  # noqa: RUF012  # Never changed.

    def drop(self) -> None:
        """
        Take every chunk out of the node.
        """
        for chunk_id, _ in list(self.node.chunks.holdings()):
            self.cluster.wait(self.node.chunks.drop(chunk_id))

    def test_as_from_chunks(self) -> None:
        """
        A part that lies in one chunk is answered, counted and explained as one is that
        lies in two.
        """
        whole = bytes(range(256)) * 5000
        self.cluster.store.put(PATH, whole)
        self.warm()
        said = []
        border = 1024 * 1024
        for start in (1000, border - 10):
            wanted = b"bytes=%d-%d" % (start, start + 99)
            before = counted(self.node.metrics)
            answer = self.read((b"Range", wanted))
            after = counted(self.node.metrics)
            self.assertEqual(answer.body, whole[start : start + 100])
            assert answer.head is not None
            trail = self.node.trails.recent(1)[0]
            said.append(
                (
                    [name for name, _ in answer.head.headers],
                    answer.header(b"x-elio-source"),
                    {
                        name: after[name] - before[name]
                        for name in after
                        if "chunk_opens" not in name[0]
                    },
                    (trail.status, trail.sent, trail.cache, len(trail.asked)),
                    sum(chunk.bytes for chunk in trail.chunks),
                )
            )
        self.assertEqual(said[0], said[1])

    def test_slow(self) -> None:
        """
        A client that does not take it all at once gets every byte, also when the chunk
        is dropped meanwhile.
        """
        self.cluster.store.put(PATH, LARGE)
        self.warm()
        reading = self.cluster.get(self.member, PATH, pause=0.2)
        self.cluster.pass_time(1.0)
        self.assertFalse(reading.called)
        self.drop()
        answer = self.cluster.wait(reading)
        self.assertEqual(answer.body, LARGE)
        self.assertEqual(answer.header(b"x-cache"), b"HIT")
        self.cluster.pass_time(1.0)
        (ended,) = self.node.trails.recent(1)
        self.assertEqual((ended.sent, ended.error), (len(LARGE), ""))
        self.assertEqual(self.node.chunks.usage()["memory"].used, 0)

    def test_gone(self) -> None:
        """
        One that goes away in the middle leaves nothing open.
        """
        self.cluster.store.put(PATH, LARGE)
        self.warm()
        reading = self.cluster.get(self.member, PATH, pause=0.2)
        reading.addErrback(lambda failure: failure.trap(CancelledError))
        self.cluster.pass_time(1.0)
        self.assertFalse(reading.called)
        reading.cancel()
        self.cluster.pass_time(1.0)
        self.assertEqual(self.node.trails.recent(1)[0].error, "the client went away")
        self.drop()
        self.assertEqual(self.node.chunks.usage()["memory"].used, 0)


class CutTests(SynchronousTestCase):
    """
    Where a head is cut.
    """

    def test_cut(self) -> None:
        """
        Only what is surely the date and the id is replaced.
        """
        date = b"Sun, 06 Nov 1994 08:49:37 GMT"
        end = b"X-Elio-Request-Id: 0123\r\nX-Cache: HIT\r\n\r\n"
        after = b"\r\nX-Cache: HIT\r\n\r\n"
        for text, expected in (
            (
                b"A: b\r\ndate: " + date + b"\r\n" + end,
                (
                    *(b"A: b\r\ndate: ", date, b"\r\nX-Elio-Request-Id: "),
                    after,
                ),
            ),
            (b"A: b\r\n" + end, (b"A: b\r\nX-Elio-Request-Id: ", b"", b"", after)),
            (b"Last-Modified: " + date + b"\r\n" + end, None),
            (b"Date: " + date + b"\r\nExpires: " + date + b"\r\n" + end, None),
            (b"Date: " + date + b"\r\nETag: 0123\r\n" + end, None),
            (b"Date: x" + date + b"\r\n" + end, None),
            (b"Date: " + date + b"\r\n\r\n", None),
        ):
            self.assertEqual(cut_head(text, date, b"0123"), expected)

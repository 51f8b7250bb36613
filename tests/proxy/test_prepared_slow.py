"""
Tests for prepared answers to slow clients, from files, and in passthrough.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from eliop2p.http1.message import RequestHead
from eliop2p.model.chunk import ChunkId
from eliop2p.model.span import FileSpan, Span
from eliop2p.proxy.prepared import cut_head
from tests.proxy.prepared_case import LARGE, PATH, PreparedCase, counted
from tests.proxy.test_prepared import HOST


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

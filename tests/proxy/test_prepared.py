"""
Tests for :mod:`eliop2p.proxy.prepared_answers` and :mod:`eliop2p.proxy.prepared`: hits
that are answered without thought differ in nothing from others.
"""

from unittest.mock import patch

from eliop2p.admin.explain import explanation
from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header, RequestHead
from eliop2p.model.trail import RequestTrail
from eliop2p.proxy import prepared_answers
from eliop2p.testing.cluster import (
    STORE,
    STORE_PORT,
)
from eliop2p.testing.simclient import Answer
from tests.proxy.prepared_case import DATA, PATH, PreparedCase, counted

HOST: Header = (b"Host", f"{STORE}:{STORE_PORT}".encode())


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

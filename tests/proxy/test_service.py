"""
Tests for :mod:`eliop2p.proxy.service` and :mod:`eliop2p.proxy.relay`.
"""

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import OriginUnavailable, WrongAnswer
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import Header, ResponseHead
from eliop2p.interfaces import IObjectDirectory
from eliop2p.model.chunk import ObjectId, ObjectKey
from eliop2p.model.store import StoreAddress, Stores
from eliop2p.proxy.gate import StoreDecides
from eliop2p.proxy.objects import ObjectReads
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids
from eliop2p.proxy.service import ProxyService
from eliop2p.proxy.trust import Trust, request_authority
from tests.proxy.fakes import FakeOrigin, FakeResponse
from tests.proxy.wires import Upload, Wire, connect, make_factory
from tests.proxy.wires import request as head_of

KEY = ObjectKey(FakeOrigin.name, b"b", b"k")
CHUNKED: Header = (b"Transfer-Encoding", b"chunked")


@implementer(IObjectDirectory)
class Told:
    """
    A cluster that knows nothing and notes what it is told to forget.
    """

    def __init__(self) -> None:
        self.forgotten: list[ObjectId] = []

    def find(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Give the turn.
        """
        return succeed(None)

    def publish(self, object_id: ObjectId, record: bytes) -> None:
        """
        Take it.
        """

    def release(self, object_id: ObjectId) -> None:
        """
        Take it.
        """

    def forget(self, object_id: ObjectId) -> None:
        """
        Note it.
        """
        self.forgotten.append(object_id)


def length_of(body: bytes) -> Header:
    """
    Announce a body.
    """
    return (b"Content-Length", b"%d" % len(body))


class ServiceCase(SynchronousTestCase):
    """
    A client, the service, and a store that is answered for by hand.
    """

    def setUp(self) -> None:
        """
        Put them together.
        """
        self.clock = Clock()
        self.origin = FakeOrigin()
        self.told = Told()
        metrics = Metrics()
        records = Records(None, self.told, 64)
        service = ProxyService(
            self.origin,
            cast("ObjectReads", None),  # No test here reads an object.
            records,
            metrics,
            stores=Stores(StoreAddress(self.origin.name)),
            tunnels=None,
            gate=StoreDecides(),
            trust=Trust(
                request_authority, self.clock.seconds, metrics, fresh=0, stale=0
            ),
            seconds=self.clock.seconds,
        )
        self.factory = make_factory(self.clock, service.answer)
        self.wire = connect(self.clock, self.factory)

    def answer(self, status: int, *headers: Header) -> FakeResponse:
        """
        Let the store answer.
        """
        return self.origin.answer(ResponseHead(status, b"Said", headers))

    def upload(self) -> Upload:
        """
        Begin to take the body of the last request, as the store's side does.
        """
        upload = Upload(self.origin.bodies[-1])
        upload.start()
        return upload


class RelayTests(ServiceCase):
    """
    Requests for the store alone.
    """

    def test_as_it_was(self) -> None:
        """
        Head and body of request and answer pass as they are, but for what concerns the
        connection, and what the proxy adds.
        """
        list_head = head_of(
            b"/b?list-type=2", (b"X-oDD", b" a  b "), (b"Connection", b"keep-alive")
        )
        self.wire.say(list_head)
        (head,) = self.origin.heads
        self.assertEqual(
            head.serialize(),
            b"GET /b?list-type=2 HTTP/1.1\r\nHost: store\r\nX-oDD: a  b\r\n\r\n",
        )
        response = self.answer(
            299, (b"x-AMZ-Odd", b"1"), length_of(b"hello"), (b"Connection", b"close")
        )
        response.send(b"hello")
        response.end()
        said = self.wire.heard()
        self.assertTrue(
            said.startswith(
                b"HTTP/1.1 299 Said\r\nx-AMZ-Odd: 1\r\nContent-Length: 5\r\n"
                b"X-Elio-Request-Id: "
            )
        )
        self.assertTrue(said.endswith(b"\r\nX-Cache: BYPASS\r\n\r\nhello"))
        self.assertFalse(self.wire.closed)

    def test_head(self) -> None:
        """
        A HEAD is the store's to answer; it has a length and no body.
        """
        self.wire.say(head_of(b"/b/k", method=b"HEAD"))
        self.answer(200, (b"Content-Length", b"1000")).end()
        said = self.wire.heard()
        self.assertIn(b"\r\nContent-Length: 1000\r\n", said)
        self.assertTrue(said.endswith(b"\r\n\r\n"))
        self.assertFalse(self.wire.closed)

    def test_until_close(self) -> None:
        """
        A body that only the end of the connection ends does so here as well.
        """
        self.wire.say(head_of(b"/b"))
        response = self.answer(200)
        response.send(b"some")
        response.end()
        self.assertIn(b"\r\nConnection: close\r\n", self.wire.heard())
        self.assertTrue(self.wire.closed)

    def test_chunked_answer(self) -> None:
        """
        A chunked answer keeps its chunks and trailers.
        """
        body = b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
        self.wire.say(head_of(b"/b"))
        response = self.answer(200, CHUNKED)
        response.send(body)
        response.end()
        self.assertTrue(self.wire.heard().endswith(b"\r\n\r\n" + body))

    def test_slow_client(self) -> None:
        """
        The store is not read faster than the client takes the answer.
        """
        wire = connect(self.clock, self.factory, room=1)
        wire.say(head_of(b"/b"))
        data = bytes(range(256)) * 40
        response = self.answer(200, length_of(data))
        sent = response.send(data)
        self.assertLess(sent, 100)
        while sent < len(data):
            wire.take(1000)
            sent += response.send(data[sent:])
        response.end()
        wire.take(1000)
        self.assertTrue(wire.heard().endswith(b"\r\n\r\n" + data))

    def test_broken_answer(self) -> None:
        """
        A store that breaks off in the middle breaks the client's connection.
        """
        self.wire.say(head_of(b"/b"))
        response = self.answer(200, length_of(b"hello"))
        response.send(b"he")
        response.fail(OriginUnavailable("gone"))
        self.assertTrue(self.wire.aborted)

    def test_gone_while_waiting(self) -> None:
        """
        The request is given up when the client goes before it is answered.
        """
        self.wire.say(head_of(b"/b"))
        self.wire.hang_up()
        self.assertEqual(self.origin.given_up, 1)

    def test_gone_in_the_middle(self) -> None:
        """
        The answer is dropped when the client goes while it comes.
        """
        self.wire.say(head_of(b"/b"))
        response = self.answer(200, length_of(b"hello"))
        response.send(b"he")
        self.wire.hang_up()
        self.assertTrue(response.aborted)

    def test_unreachable(self) -> None:
        """
        A store that cannot be reached is told in the store's own form, with when to
        come again, and in the log, without the query.
        """
        for error, status in (
            (OriginUnavailable("refused"), 503),
            (WrongAnswer("no HTTP"), 502),
        ):
            with capturedLogs() as events:
                self.wire.say(head_of(b"/b/k?X-Amz-Signature=secret&acl"))
                self.origin.waiting.pop(0).errback(error)
            said = self.wire.heard()
            self.assertTrue(said.startswith(b"HTTP/1.1 %d " % status))
            self.assertEqual(b"\r\nRetry-After: 1\r\n" in said, status == 503)
            self.assertIn(b"<RequestId>", said)
            self.assertFalse(self.wire.closed)
            self.assertEqual(len(events), 1)
            self.assertNotIn("secret", str(events))

    def test_unreachable_head(self) -> None:
        """
        A HEAD gets the same head, and no body.
        """
        self.wire.say(head_of(b"/b/k", method=b"HEAD"))
        self.origin.waiting.pop(0).errback(OriginUnavailable("refused"))
        said = self.wire.heard()
        self.assertTrue(said.startswith(b"HTTP/1.1 503 "))
        self.assertTrue(said.endswith(b"\r\n\r\n"))


class UploadTests(ServiceCase):
    """
    Writes.
    """

    def put(self, *headers: Header) -> Wire:
        """
        Begin an upload.
        """
        self.wire.say(head_of(b"/b/k", *headers, method=b"PUT"))
        return self.wire

    def test_continue(self) -> None:
        """
        A client that waits to be asked for its body is asked by the store alone.
        """
        expect = (b"Expect", b"100-continue")
        self.put(expect, (b"Content-Length", b"5"))
        self.assertEqual(self.origin.heads[0].get(b"expect"), b"100-continue")
        upload = self.upload()
        self.assertEqual(self.wire.heard(), b"")
        interim = self.origin.interims[0]
        assert interim is not None
        interim(ResponseHead(100, b"Continue"))
        self.assertEqual(self.wire.heard(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wire.say(b"hello")
        self.assertEqual((upload.data, upload.ended), (b"hello", "finished"))
        self.answer(200, (b"Content-Length", b"0")).end()
        self.assertTrue(self.wire.heard().startswith(b"HTTP/1.1 200 "))
        self.assertFalse(self.wire.closed)

    def test_not_continued(self) -> None:
        """
        One that is refused instead gets the refusal, and need not send its body.
        """
        expect = (b"Expect", b"100-continue")
        self.put(expect, (b"Content-Length", b"5"))
        upload = self.upload()
        upload.source.stop()
        response = self.answer(403, length_of(b"no"))
        response.send(b"no")
        response.end()
        self.assertTrue(self.wire.heard().endswith(b"\r\n\r\nno"))
        self.assertTrue(self.wire.half_closed)
        self.wire.hang_up()

    def test_trailers(self) -> None:
        """
        A chunked upload reaches the store byte for byte, trailers included.
        """
        body = b"5;ext=1\r\nhello\r\n0\r\nx-amz-checksum-crc32: AA==\r\n\r\n"
        trailer = (b"x-amz-trailer", b"x-amz-checksum-crc32")
        self.put(CHUNKED, trailer)
        upload = self.upload()
        self.wire.say(*(body[at : at + 3] for at in range(0, len(body), 3)))
        self.assertEqual((upload.data, upload.ended), (body, "finished"))
        self.assertEqual(self.origin.heads[0].get(b"transfer-encoding"), b"chunked")

    def test_forgets(self) -> None:
        """
        A write that the store has taken, or may have taken, makes the cluster forget
        what it believes of the object; one that was refused does not.
        """
        for status, forgets in ((200, True), (204, True), (403, False), (0, True)):
            self.told.forgotten.clear()
            self.put((b"Content-Length", b"0"))
            if status:
                self.answer(status, (b"Content-Length", b"0")).end()
            else:
                self.origin.waiting.pop(0).errback(OriginUnavailable("gone"))
            expected = list(record_ids(KEY)) if forgets else []
            self.assertEqual(self.told.forgotten, expected)
            self.wire.heard()

    def test_delete(self) -> None:
        """
        So does a DELETE.
        """
        self.wire.say(head_of(b"/b/k", method=b"DELETE"))
        self.answer(204).end()
        self.assertEqual(self.told.forgotten, list(record_ids(KEY)))

    def test_gone(self) -> None:
        """
        A client that goes away in the middle of an upload ends it, and makes the
        object doubtful.
        """
        self.put((b"Content-Length", b"5"))
        upload = self.upload()
        self.wire.say(b"he")
        self.wire.hang_up()
        self.assertEqual(upload.ended, "failed")

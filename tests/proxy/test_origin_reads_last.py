"""
Tests for reads from the store whose client has gone, and for ranges that were signed.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.ranges import Interval
from eliop2p.proxy.body_stream import BodyStream
from eliop2p.proxy.origin_reads import ClientOrigin
from tests.proxy.fakes import FakeOrigin, FakeResponse, FakeSink, partial
from tests.proxy.origin_reads_case import CHUNKS, DATA, ETAG, LAYOUT, OK, WHOLE, content


class LastCallTests(SynchronousTestCase):
    """
    Reads on from when the signature is about to end.
    """

    def setUp(self) -> None:
        """
        Borrow a request whose range is not signed.
        """
        self.store = FakeOrigin()
        self.usable = True
        self.origin = ClientOrigin(
            self.store,
            RequestHead(b"GET", b"/b/k", ((b"Host", b"h"),)),
            LAYOUT.version,
            None,
            lambda: self.usable,
        )

    def call(self) -> FakeResponse:
        """
        Make the call, let the signature end, and have the store answer.
        """
        rest = Interval(64, 100)
        self.origin.last_call(rest)
        self.usable = False
        return self.store.answer(partial(rest, 100, ETAG))

    def test_one_range(self) -> None:
        """
        Everything else is asked for at once, pinned to the version known, and feeds
        the chunks in it one after the other.
        """
        response = self.call()
        (head,) = self.store.heads
        self.assertEqual(head.get(b"range"), b"bytes=64-99")
        self.assertEqual(head.get(b"if-match"), ETAG)
        for chunk in CHUNKS[2:]:
            self.assertTrue(self.origin.can_read(chunk))
            sink = FakeSink(chunk)
            result = self.origin.read(sink)
            response.send(content(chunk))
            self.successResultOf(result)
            self.assertEqual(bytes(sink.data), content(chunk))
        self.assertEqual(len(self.store.heads), 1)
        self.assertTrue(response.aborted)

    def test_while_it_opens(self) -> None:
        """
        A chunk can be asked for before the store has answered.
        """
        self.origin.last_call(Interval(64, 100))
        self.usable = False
        self.assertTrue(self.origin.can_read(CHUNKS[2]))
        sink = FakeSink(CHUNKS[2])
        result = self.origin.read(sink)
        response = self.store.answer(partial(Interval(64, 100), 100, ETAG))
        response.send(DATA[64:])
        self.successResultOf(result)
        self.assertEqual(len(self.store.heads), 1)

    def test_range_under_way(self) -> None:
        """
        A chunk that is being read by a range of its own goes on, and is dropped from
        the last one when it passes by.
        """
        sinks = [FakeSink(chunk) for chunk in CHUNKS[2:]]
        by_range = self.origin.read(sinks[0])
        answer = self.store.answer(partial(CHUNKS[2].interval, 100, ETAG))
        response = self.call()
        self.assertTrue(self.origin.has_dealt_with(CHUNKS[2]))
        answer.send(content(CHUNKS[2]))
        answer.end()
        self.successResultOf(by_range)
        last = self.origin.read(sinks[1])
        response.send(DATA[64:])
        self.successResultOf(last)
        for sink in sinks:
            self.assertEqual(bytes(sink.data), content(sink.chunk))

    def test_answer_still_open(self) -> None:
        """
        Where the answer to the client's own request brings the rest, it is kept, and
        not cut any more.
        """
        response = FakeResponse(OK)
        self.origin.attach(BodyStream(response, WHOLE), 100)
        self.origin.last_call(Interval(32, 100))
        self.usable = False
        first, last = FakeSink(CHUNKS[0]), FakeSink(CHUNKS[3])
        results = [self.origin.read(sink) for sink in (first, last)]
        self.origin.passed_over(CHUNKS[1])
        self.origin.passed_over(CHUNKS[2])
        response.send(DATA)
        for result in results:
            self.successResultOf(result)
        self.assertEqual(self.store.heads, [])

    def test_answer_cut(self) -> None:
        """
        The answer to the client's own request still feeds the chunk before its cut,
        and is closed behind it.
        """
        first = FakeResponse(OK)
        self.origin.attach(BodyStream(first, WHOLE), 32)
        sink = FakeSink(CHUNKS[0])
        result = self.origin.read(sink)
        self.call()
        first.send(DATA)
        self.successResultOf(result)
        self.assertEqual(bytes(sink.data), content(CHUNKS[0]))
        self.assertTrue(first.aborted)

    def test_overwritten(self) -> None:
        """
        When the object has been overwritten meanwhile nothing more can be read.
        """
        self.origin.last_call(Interval(64, 100))
        self.usable = False
        self.store.answer(ResponseHead(412, b"Precondition Failed"))
        self.assertFalse(self.origin.can_read(CHUNKS[2]))

    def test_released_while_it_opens(self) -> None:
        """
        A client that goes before the store has answered leaves nothing open.
        """
        self.origin.last_call(Interval(64, 100))
        self.origin.release()
        response = self.store.answer(partial(Interval(64, 100), 100, ETAG))
        self.assertTrue(response.aborted)


class SignedRangeTests(SynchronousTestCase):
    """
    Reads where the signature allows one range only.
    """

    def setUp(self) -> None:
        """
        Borrow a request whose range covers the second and third chunk.
        """
        self.signed = Interval(32, 96)
        self.store = FakeOrigin()
        self.origin = ClientOrigin(
            self.store,
            RequestHead(b"GET", b"/b/k", ((b"Range", b"bytes=32-95"),)),
            LAYOUT.version,
            self.signed,
            lambda: True,
        )

    def test_rights(self) -> None:
        """
        Only chunks that lie within the range can be read.
        """
        self.assertEqual(
            [self.origin.can_read(chunk) for chunk in CHUNKS],
            [False, True, True, False],
        )

    def test_one_answer_for_all(self) -> None:
        """
        The exact range is asked for once and feeds every chunk in it.
        """
        sinks = [FakeSink(chunk) for chunk in CHUNKS[1:3]]
        results = [self.origin.read(sink) for sink in sinks]
        self.assertEqual(len(self.store.heads), 1)
        self.assertEqual(
            self.store.heads[0].headers,
            ((b"Range", b"bytes=32-95"), (b"If-Match", ETAG)),
        )
        response = self.store.answer(partial(self.signed, 100, ETAG))
        response.send(DATA[32:96])
        response.end()
        for sink, result in zip(sinks, results, strict=True):
            self.successResultOf(result)
            self.assertEqual(bytes(sink.data), content(sink.chunk))

    def test_passes_what_came_from_elsewhere(self) -> None:
        """
        A chunk that came from a peer is passed over on the way to one that did not.
        """
        sink = FakeSink(CHUNKS[2])
        self.origin.passed_over(CHUNKS[1])
        result = self.origin.read(sink)
        response = self.store.answer(partial(self.signed, 100, ETAG))
        response.send(DATA[32:96])
        self.successResultOf(result)
        self.assertEqual(bytes(sink.data), content(CHUNKS[2]))
        self.assertEqual(len(self.store.heads), 1)

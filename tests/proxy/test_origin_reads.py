"""
Tests for :mod:`eliop2p.proxy.origin_reads` and :mod:`eliop2p.proxy.body_stream`.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import (
    CorruptChunk,
    OriginRefused,
    OriginUnavailable,
    WrongAnswer,
)
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.ranges import Interval
from eliop2p.proxy.body_stream import BodyStream
from eliop2p.proxy.origin_reads import ClientOrigin
from tests.proxy.fakes import FakeOrigin, FakeResponse, FakeSink, partial
from tests.proxy.origin_reads_case import (
    CHUNKS,
    DATA,
    ETAG,
    LAYOUT,
    OK,
    WHOLE,
    ContradictedSink,
    content,
)


class StreamTests(SynchronousTestCase):
    """
    One answer fed to several chunks.
    """

    def setUp(self) -> None:
        """
        Open a stream over the whole object.
        """
        self.response = FakeResponse(OK)
        self.stream = BodyStream(self.response, WHOLE)

    def test_in_order(self) -> None:
        """
        Each chunk gets its bytes, and its Deferred fires with its last byte.
        """
        sinks = [FakeSink(chunk) for chunk in CHUNKS]
        results = [self.stream.feed(sink) for sink in sinks]
        self.assertEqual(self.response.send(DATA), 100)
        self.response.end()
        for sink, result in zip(sinks, results, strict=True):
            self.successResultOf(result)
            self.assertEqual(bytes(sink.data), content(sink.chunk))
        self.assertFalse(self.stream.open)

    def test_waits_for_takers(self) -> None:
        """
        Nothing is read from the store before a chunk that nobody has asked for yet.
        """
        self.assertIsNone(self.response.receiver)
        first = FakeSink(CHUNKS[0])
        result = self.stream.feed(first)
        sent = self.response.send(DATA)
        self.successResultOf(result)
        self.assertEqual(sent, 35)
        self.assertFalse(self.response.flowing)
        second = FakeSink(CHUNKS[1])
        later = self.stream.feed(second)
        self.response.send(DATA[sent:])
        self.successResultOf(later)
        self.assertEqual(bytes(second.data), content(CHUNKS[1]))

    def test_skips(self) -> None:
        """
        The bytes of a chunk that came from elsewhere are dropped.
        """
        self.stream.skip(CHUNKS[0])
        second = FakeSink(CHUNKS[1])
        result = self.stream.feed(second)
        self.response.send(DATA)
        self.successResultOf(result)
        self.assertEqual(bytes(second.data), content(CHUNKS[1]))

    def test_short(self) -> None:
        """
        A body that ends early fails every chunk that waits for more of it.
        """
        result = self.stream.feed(FakeSink(CHUNKS[0]))
        self.response.send(DATA[:20])
        self.response.end()
        self.failureResultOf(result, WrongAnswer)
        self.assertFalse(self.stream.open)

    def test_broken(self) -> None:
        """
        A body that breaks off fails every chunk that waits, with the reason.
        """
        results = [self.stream.feed(FakeSink(chunk)) for chunk in CHUNKS[:2]]
        self.response.fail(OriginUnavailable("reset"))
        for result in results:
            self.failureResultOf(result, OriginUnavailable)

    def test_given_up(self) -> None:
        """
        Closing the stream drops the rest of the answer.
        """
        result = self.stream.feed(FakeSink(CHUNKS[0]))
        self.stream.close()
        self.failureResultOf(result, OriginUnavailable)
        self.assertTrue(self.response.aborted)

    def test_cancelled(self) -> None:
        """
        A chunk that is no longer wanted holds the stream until it is asked to go on.
        """
        result = self.stream.feed(FakeSink(CHUNKS[0]))
        self.response.send(DATA[:10])
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.response.send(DATA[10:40]), 5)
        self.assertTrue(self.stream.idle)

    def test_contradicted(self) -> None:
        """
        A chunk that contradicts the stream fails alone; the others get their bytes.
        """
        for position in (0, 12, 31):
            self.setUp()
            results = [self.stream.feed(ContradictedSink(CHUNKS[0], position))]
            sinks = [FakeSink(chunk) for chunk in CHUNKS[1:]]
            results += [self.stream.feed(sink) for sink in sinks]
            self.assertEqual(self.response.send(DATA), 100)
            self.failureResultOf(results[0], CorruptChunk)
            for sink, result in zip(sinks, results[1:], strict=True):
                self.successResultOf(result)
                self.assertEqual(bytes(sink.data), content(sink.chunk))


class RangeTests(SynchronousTestCase):
    """
    Reads where the signature leaves the range open.
    """

    def setUp(self) -> None:
        """
        Borrow a request whose range is not signed.
        """
        self.store = FakeOrigin()
        self.usable = True
        self.origin = ClientOrigin(
            self.store,
            RequestHead(b"GET", b"/b/k", ((b"Host", b"h"), (b"Range", b"bytes=1-2"))),
            LAYOUT.version,
            None,
            lambda: self.usable,
        )

    def test_own_condition(self) -> None:
        """
        An If-Match of the client, which may be signed, is sent as the client wrote it.
        """
        own = (b"iF-mATCH", ETAG.strip(b'"'))
        origin = ClientOrigin(
            self.store,
            RequestHead(b"GET", b"/b/k", (own,)),
            LAYOUT.version,
            None,
            lambda: True,
        )
        origin.read(FakeSink(CHUNKS[1])).addErrback(lambda _: None)
        self.assertEqual(self.store.heads[0].headers, (own, (b"Range", b"bytes=32-63")))

    def test_exact_range(self) -> None:
        """
        A chunk is asked for by its range, pinned to the version known.
        """
        sink = FakeSink(CHUNKS[1])
        result = self.origin.read(sink)
        self.assertEqual(
            self.store.heads[0].headers,
            ((b"Host", b"h"), (b"Range", b"bytes=32-63"), (b"If-Match", ETAG)),
        )
        response = self.store.answer(partial(CHUNKS[1].interval, 100, ETAG))
        response.send(content(CHUNKS[1]))
        response.end()
        self.successResultOf(result)
        self.assertEqual(bytes(sink.data), content(CHUNKS[1]))

    def test_resumes(self) -> None:
        """
        Only what is missing of a chunk is asked for.
        """
        sink = FakeSink(CHUNKS[1])
        sink.write(0, content(CHUNKS[1])[:12])
        self.origin.read(sink).addErrback(lambda failure: None)
        self.assertEqual(self.store.heads[0].get(b"range"), b"bytes=44-63")

    def test_unusable_answers(self) -> None:
        """
        Another version or none, another range, another length, chunked transfer, 200
        to a range: nothing of it is used.
        """
        wanted = CHUNKS[1].interval
        good = partial(wanted, 100, ETAG)
        chunked = (b"Transfer-Encoding", b"chunked")
        for head, error in (
            (ResponseHead(412, b"Precondition Failed"), OriginRefused),
            (ResponseHead(403, b"Forbidden"), OriginRefused),
            (OK, WrongAnswer),
            (partial(wanted, 100, b'"e2"'), WrongAnswer),
            (partial(wanted, 101, ETAG), WrongAnswer),
            (partial(Interval(32, 63), 100, ETAG), WrongAnswer),
            (partial(Interval(31, 63), 100, ETAG), WrongAnswer),
            (good.without(frozenset((b"etag",))), WrongAnswer),
            (good.without(frozenset((b"content-length",))), WrongAnswer),
            (
                good.without(frozenset((b"content-length",))).adding(chunked),
                WrongAnswer,
            ),
        ):
            sink = FakeSink(CHUNKS[1])
            result = self.origin.read(sink)
            response = self.store.answer(head)
            self.failureResultOf(result, error)
            self.assertTrue(response.aborted)
            self.assertEqual(sink.filled, 0)

    def test_short(self) -> None:
        """
        An answer that ends before its length is a failure.
        """
        result = self.origin.read(FakeSink(CHUNKS[1]))
        response = self.store.answer(partial(CHUNKS[1].interval, 100, ETAG))
        response.send(content(CHUNKS[1])[:-1])
        response.end()
        self.failureResultOf(result, WrongAnswer)

    def test_cancelled(self) -> None:
        """
        Cancelling a read drops its answer.
        """
        result = self.origin.read(FakeSink(CHUNKS[1]))
        response = self.store.answer(partial(CHUNKS[1].interval, 100, ETAG))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertTrue(response.aborted)

    def test_contradicted(self) -> None:
        """
        A chunk that contradicts the store drops the answer and fails.
        """
        result = self.origin.read(ContradictedSink(CHUNKS[1], 12))
        response = self.store.answer(partial(CHUNKS[1].interval, 100, ETAG))
        response.send(content(CHUNKS[1]))
        self.failureResultOf(result, CorruptChunk)
        self.assertTrue(response.aborted)

    def test_time_window(self) -> None:
        """
        A signature that is too old is not used again.
        """
        self.assertTrue(self.origin.can_read(CHUNKS[1]))
        self.usable = False
        self.assertFalse(self.origin.can_read(CHUNKS[1]))

    def test_stream_then_ranges(self) -> None:
        """
        The first chunk comes from the answer itself, which is closed after it; the
        others are asked for by range.
        """
        response = FakeResponse(OK)
        self.origin.attach(BodyStream(response, WHOLE), 32)
        first, second = FakeSink(CHUNKS[0]), FakeSink(CHUNKS[1])
        result = self.origin.read(first)
        self.origin.read(second).addErrback(lambda failure: None)
        self.assertEqual(len(self.store.heads), 1)
        response.send(DATA)
        self.successResultOf(result)
        self.assertTrue(response.aborted)
        self.assertEqual(bytes(first.data), content(CHUNKS[0]))

    def test_stream_not_needed(self) -> None:
        """
        When the first chunk came from elsewhere the answer is closed unread.
        """
        response = FakeResponse(OK)
        self.origin.attach(BodyStream(response, WHOLE), 100)
        self.origin.passed_over(CHUNKS[0])
        self.assertTrue(response.aborted)

    def test_stream_overtaken(self) -> None:
        """
        A chunk that waits for the stream behind one that came from elsewhere is asked
        for by range instead.
        """
        response = FakeResponse(OK)
        self.origin.attach(BodyStream(response, WHOLE), 100)
        first, third = FakeSink(CHUNKS[0]), FakeSink(CHUNKS[2])
        result = self.origin.read(first)
        later = self.origin.read(third)
        self.origin.passed_over(CHUNKS[1])
        self.assertEqual(self.store.heads[0].get(b"range"), b"bytes=64-95")
        response.send(DATA)
        self.successResultOf(result)
        self.assertTrue(response.aborted)
        answer = self.store.answer(partial(CHUNKS[2].interval, 100, ETAG))
        answer.send(content(CHUNKS[2]))
        answer.end()
        self.successResultOf(later)
        self.assertEqual(bytes(third.data), content(CHUNKS[2]))

    def test_release(self) -> None:
        """
        A client that goes leaves the answer open while others wait for its bytes.
        """
        response = FakeResponse(OK)
        self.origin.attach(BodyStream(response, WHOLE), 100)
        result = self.origin.read(FakeSink(CHUNKS[0]))
        self.origin.release()
        self.assertFalse(response.aborted)
        response.send(DATA)
        self.successResultOf(result)
        self.assertTrue(response.aborted)

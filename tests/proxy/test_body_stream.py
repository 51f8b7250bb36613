"""
Tests for :mod:`eliop2p.proxy.body_stream` when those it feeds hang together.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import OriginUnavailable, WrongAnswer
from eliop2p.http1.message import ResponseHead
from eliop2p.model.chunk import Layout, ObjectKey, ObjectVersion
from eliop2p.model.ranges import Interval
from eliop2p.proxy.body_stream import BodyStream, StreamCut
from tests.proxy.fakes import FakeResponse, FakeSink

LAYOUT = Layout(ObjectKey(b"http://s", b"b", b"k"), ObjectVersion(b'"e"', 96), 32)


class UnwantedTests(SynchronousTestCase):
    """
    A stream whose reader has gone, and of which others wait for something.
    """

    def test_before(self) -> None:
        """
        What comes before the first chunk that is waited for is dropped; without that
        the stream would wait for somebody to want it.
        """
        response = FakeResponse(ResponseHead(200, b"OK"))
        stream = BodyStream(response, Interval(0, 96))
        sink = FakeSink(LAYOUT.chunk(1))
        waiting = stream.feed(sink)
        self.assertNoResult(waiting)
        stream.pass_unwanted()
        response.send(bytes(range(96)))
        self.successResultOf(waiting)
        self.assertEqual(sink.filled, 32)
        self.assertEqual(stream.position, 64)


class CascadeTests(SynchronousTestCase):
    """
    One reader that fails and takes the others with it.
    """

    def setUp(self) -> None:
        """
        Let three chunks wait; whoever hears of the first cancels the others.
        """
        self.response = FakeResponse(ResponseHead(200, b"OK"))
        self.stream = BodyStream(self.response, Interval(0, 96))
        chunks = map(LAYOUT.chunk, range(3))
        self.waiting = [self.stream.feed(FakeSink(chunk)) for chunk in chunks]
        self.heard: list[type[Exception] | None] = []
        self.waiting[0].addErrback(self.give_up)

    def give_up(self, failure: object) -> None:
        """
        Cancel the others.
        """
        self.heard.append(getattr(failure, "type", None))
        for other in self.waiting[1:]:
            other.cancel()

    def assert_cancelled(self, waiting: "Deferred[None]") -> None:
        """
        Demand that somebody heard that it was given up.
        """
        self.failureResultOf(waiting, CancelledError)

    def test_broken(self) -> None:
        """
        Each hears of the end of a broken stream once.
        """
        self.response.fail(OriginUnavailable("reset"))
        self.assertEqual(self.heard, [OriginUnavailable])
        for waiting in self.waiting[1:]:
            self.assert_cancelled(waiting)

    def test_cut(self) -> None:
        """
        So they do of a stream that is cut short.
        """
        self.stream.cut(0)
        self.assertEqual(self.heard, [StreamCut])
        for waiting in self.waiting[1:]:
            self.assert_cancelled(waiting)


class EndTests(SynchronousTestCase):
    """
    An answer that ends in the middle of a chunk.
    """

    def feed(self, sent: int) -> "Deferred[None]":
        """
        Feed a chunk of 32 bytes with an answer that covers ten.
        """
        response = FakeResponse(ResponseHead(206, b"Partial Content"))
        stream = BodyStream(response, Interval(0, 10))
        waiting = stream.feed(FakeSink(LAYOUT.chunk(0)))
        response.send(bytes(sent))
        response.end()
        return waiting

    def test_covered(self) -> None:
        """
        When it has brought all that it covers, the rest is to be read in another way.
        """
        self.failureResultOf(self.feed(10), StreamCut)

    def test_short(self) -> None:
        """
        When it has not, the store has answered wrongly.
        """
        self.failureResultOf(self.feed(9), WrongAnswer)

"""
Tests for :mod:`eliop2p.proxy.recording`.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import OriginUnavailable
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.recording import Recording
from eliop2p.proxy.relay import ask_origin
from eliop2p.proxy.request import shown_target
from tests.proxy.fakes import FakeOrigin, FakeResponse
from tests.proxy.reading_case import Sender


class RecordingTests(SynchronousTestCase):
    """
    What is noted of requests.
    """

    def setUp(self) -> None:
        """
        Take a request.
        """
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.trails = Trails(10, 1 << 20)
        self.answering: Deferred[None] = Deferred()
        head = RequestHead(b"GET", b"/b/key?X-Amz-Signature=abc")
        self.exchange = Exchange(
            head,
            None,
            "id1",
            sender=Sender(),
            keep_alive=True,
            seconds=self.clock.seconds,
        )
        recording = Recording(lambda _: self.answering, self.trails, self.clock.seconds)
        self.ended = recording.answer(self.exchange)

    def trail(self) -> RequestTrail:
        """
        Give what is noted.
        """
        found = self.trails.get("id1")
        assert found is not None
        return found

    def test_runs(self) -> None:
        """
        A request is known while it runs, without its signature.
        """
        self.assertEqual(self.trail().target, b"/b/key?X-Amz-Signature=*")
        self.assertLess(self.trail().seconds, 0)

    def test_ends(self) -> None:
        """
        Times, status and what the cache had to do with it are noted at its end.
        """
        self.clock.advance(0.5)
        self.exchange.begin(ResponseHead(200, b"OK", ()), (b"X-Cache", b"HIT"))
        self.clock.advance(1.5)
        self.answering.callback(None)
        self.successResultOf(self.ended)
        trail = self.trail()
        self.assertEqual((trail.first, trail.seconds), (0.5, 2.0))
        self.assertEqual((trail.status, trail.cache, trail.error), (200, "hit", ""))

    def test_fails(self) -> None:
        """
        A failure is noted in words, and goes on to the connection.
        """
        self.answering.errback(OriginUnavailable("no route"))
        self.failureResultOf(self.ended, OriginUnavailable)
        self.assertEqual(self.trail().error, "OriginUnavailable: no route")

    def test_client_goes(self) -> None:
        """
        A client that goes away is called that.
        """
        self.ended.cancel()
        self.failureResultOf(self.ended, CancelledError)
        self.assertEqual(self.trail().error, "the client went away")

    def test_store(self) -> None:
        """
        Each question to the store is noted with its answer and its time.
        """
        origin = FakeOrigin()
        for status, seconds in ((304, 0.25), (0, 1.0)):
            asking = Deferred.fromCoroutine(
                ask_origin(origin, self.exchange.head, None, self.exchange)
            )
            self.clock.advance(seconds)
            waiting = origin.waiting.pop()
            if status:
                waiting.callback(FakeResponse(ResponseHead(status, b"", ())))
                self.successResultOf(asking)
            else:
                waiting.errback(OriginUnavailable("gone"))
                self.failureResultOf(asking, OriginUnavailable)
        self.assertEqual(self.trail().asked, [(304, 0.25, ""), (0, 1.0, "")])


class TargetTests(SynchronousTestCase):
    """
    How request lines are shown.
    """

    def test_values(self) -> None:
        """
        Names of a query are shown, values never.
        """
        for target, shown in (
            (b"/b/k", b"/b/k"),
            (b"/b/k?", b"/b/k?"),
            (b"/b?list-type=2&prefix=a=b&acl", b"/b?list-type=*&prefix=*&acl"),
            (b"/b/k?Signature=s3cr3t", b"/b/k?Signature=*"),
        ):
            self.assertEqual(shown_target(target), shown)

    def test_long(self) -> None:
        """
        A long query is cut.
        """
        self.assertLess(len(shown_target(b"/k?" + b"a=1&" * 100_000)), 10_000)

"""
Tests for what becomes of requests whose peer is in doubt.
"""

from eliop2p.base.errors import PeerUnreachable
from eliop2p.p2p.calls import FORSAKEN_AFTER, LOCATE_TIMEOUT
from eliop2p.wire.cluster_events import FindObject, ForgetObject
from eliop2p.wire.events import Cancel, Get, Locate
from tests.p2p.chunk_requests import Taker, chunk_id
from tests.p2p.protocol_case import OBJECT, ConnectionCase

LOCATE = Locate(0, chunk_id(1), 0, True, ())
GET = Get(0, chunk_id(1), 0, 0)


class DoubtTests(ConnectionCase):
    """
    A peer that owes answers.
    """

    def setUp(self) -> None:
        """
        Establish the connection.
        """
        super().setUp()
        self.establish()
        self.calls = self.connection.calls

    def cancelled(self) -> list[int]:
        """
        Give the requests that the connection has cancelled since the last time.
        """
        return [each.request_id for each in self.heard() if isinstance(each, Cancel)]

    def test_forsaken(self) -> None:
        """
        All that is asked of a peer in doubt fails at once, so that others are asked.
        """
        asked = [self.calls.get(GET, Taker()), self.calls.ask(LOCATE)]
        self.clock.advance(FORSAKEN_AFTER)
        self.connection.doubt()
        for each in asked:
            self.failureResultOf(each, PeerUnreachable)

    def test_heard_a_moment_ago(self) -> None:
        """
        A peer that was heard a moment ago may still answer what else it was asked.
        """
        asked = self.calls.get(GET, Taker())
        self.clock.advance(FORSAKEN_AFTER / 2)
        self.connection.doubt()
        self.assertNoResult(asked)

    def test_cancelled_when_heard(self) -> None:
        """
        A peer in doubt is told what is not wanted any more when it is heard of.
        """
        getting = self.calls.get(GET, Taker())
        self.clock.advance(FORSAKEN_AFTER)
        self.connection.doubt()
        self.failureResultOf(getting, PeerUnreachable)
        (request,) = [each for each in self.heard() if isinstance(each, Get)]
        self.say(ForgetObject(OBJECT))
        self.assertEqual(self.cancelled(), [request.request_id])
        self.say(ForgetObject(OBJECT))
        self.assertEqual(self.cancelled(), [])

    def test_pardoned(self) -> None:
        """
        It is told the same when it is a member anew.
        """
        getting = self.calls.get(GET, Taker())
        self.clock.advance(FORSAKEN_AFTER)
        self.connection.doubt()
        self.failureResultOf(getting, PeerUnreachable)
        self.heard()
        self.calls.resume()
        self.assertFalse(self.calls.in_doubt)
        self.assertEqual(len(self.cancelled()), 1)

    def test_questions(self) -> None:
        """
        A question that is answered at once is not cancelled, one that may wait is.
        """
        for question, cancels in ((LOCATE, 0), (FindObject(0, OBJECT), 1)):
            asking = self.calls.ask(question)
            asking.addErrback(lambda _: None)
            asking.cancel()
            self.assertEqual(len(self.cancelled()), cancels)
        self.clock.advance(LOCATE_TIMEOUT)

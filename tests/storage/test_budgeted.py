"""
Tests for :mod:`eliop2p.storage.budgeted`.
"""

import random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import IBodyReceiver, IOrigin, IOriginResponse
from eliop2p.net.store_budget import HEADROOM, StoreBudget
from eliop2p.storage.budgeted import PATIENCE, BudgetedOrigin, PacedResponse

RATE = 1_000_000.0


@implementer(IOriginResponse)
class Response:
    """
    An answer whose body the test gives.
    """

    def __init__(self, status: int, *headers: Header) -> None:
        self.head = ResponseHead(status, b"", headers)
        self.receiver: IBodyReceiver | None = None
        self.paused = False
        self.narrowed = False
        self.aborted = False

    def deliver(self, receiver: IBodyReceiver) -> None:
        """
        Note who takes the body.
        """
        self.receiver = receiver

    def pause(self) -> None:
        """
        Note it.
        """
        self.paused = True

    def resume(self) -> None:
        """
        Note it.
        """
        self.paused = False

    def narrow(self) -> None:
        """
        Note it.
        """
        self.narrowed = True

    def abort(self) -> None:
        """
        Note it.
        """
        self.aborted = True


@implementer(IOrigin)
class Store:
    """
    A store that answers as it is told.
    """

    name = b"http://store"
    bytes_in = 0

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.asked: list[bytes] = []

    @property
    def requests(self) -> int:
        """
        The number of requests.
        """
        return len(self.asked)

    def request(
        self,
        head: RequestHead,
        body: object,
        interim: object,
    ) -> Deferred[IOriginResponse]:
        """
        Give the next answer.
        """
        self.asked.append(head.method)
        answered: Deferred[IOriginResponse] = Deferred()
        answered.callback(self.answers.pop(0))
        return answered

    def close(self) -> Deferred[None]:
        """
        Nothing is open.
        """
        raise AssertionError


@implementer(IBodyReceiver)
class Client:
    """
    Takes a body.
    """

    def __init__(self) -> None:
        self.got = 0
        self.ended = False
        self.error: Exception | None = None

    def data_received(self, data: bytes) -> None:
        """
        Count.
        """
        self.got += len(data)

    def body_ended(self) -> None:
        """
        Note it.
        """
        self.ended = True

    def body_failed(self, error: Exception) -> None:
        """
        Note it.
        """
        self.error = error


class BudgetedOriginTests(SynchronousTestCase):
    """
    Tests for :class:`.BudgetedOrigin`.
    """

    def setUp(self) -> None:
        """
        Make one without a budget.
        """
        self.clock = Clock()
        self.store = Store()
        self.make()

    def make(self, rate: float = 0, requests: float = 0) -> None:
        """
        Make one with a budget.
        """
        self.budget = StoreBudget(self.clock, rate, requests)
        self.origin = BudgetedOrigin(
            self.store, self.budget, self.clock, random.Random(1)
        )

    def ask(
        self, *headers: Header, method: bytes = b"GET"
    ) -> Deferred[IOriginResponse]:
        """
        Send a request.
        """
        return self.origin.request(RequestHead(method, b"/b/k", headers), None, None)

    def test_interface(self) -> None:
        """
        It and its answers provide what the interfaces ask for.
        """
        verifyObject(IOrigin, self.origin)
        paced = PacedResponse(Response(200), self.budget, 0)
        verifyObject(IOriginResponse, paced)
        verifyObject(IBodyReceiver, paced)

    def test_untouched(self) -> None:
        """
        Without a budget an answer is the store's own.
        """
        answer = Response(200, (b"Content-Length", b"5"))
        self.store.answers = [answer]
        self.assertIs(self.successResultOf(self.ask()), answer)

    def test_tried_again(self) -> None:
        """
        A read that the store puts off is tried again, no sooner than it asks for, and
        its connection is used again.
        """
        busy = Response(503, (b"Retry-After", b"3"), (b"Content-Length", b"9"))
        answer = Response(200)
        self.store.answers = [busy, answer]
        asking = self.ask()
        self.clock.advance(2.99)
        self.assertNoResult(asking)
        self.assertEqual(self.store.requests, 1)
        self.assertIsNotNone(busy.receiver)
        self.clock.advance(2.0)
        self.assertIs(self.successResultOf(asking), answer)
        self.assertEqual(self.budget.slowed, 1)

    def test_patience(self) -> None:
        """
        In the end the client hears what the store says.
        """
        self.store.answers = [Response(429) for _ in range(50)]
        asking = self.ask()
        self.clock.pump([0.1] * int(10 * PATIENCE))
        self.assertEqual(self.successResultOf(asking).head.status, 429)
        self.assertLess(self.store.requests, 10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_long(self) -> None:
        """
        A store that wants to be left alone for longer than that is not waited for.
        """
        self.store.answers = [Response(503, (b"Retry-After", b"3600"))]
        self.assertEqual(self.successResultOf(self.ask()).head.status, 503)

    def test_given_up(self) -> None:
        """
        A client that goes away while its read waits leaves nothing behind.
        """
        self.store.answers = [Response(503)]
        asking = self.ask()
        asking.addErrback(lambda _: None)
        asking.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_writes(self) -> None:
        """
        Writes count, but wait for nothing, and are not tried again.
        """
        self.make(requests=1)
        self.store.answers = [Response(503) for _ in range(5)] + [Response(200)]
        for _ in range(5):
            answer = self.successResultOf(self.ask(method=b"PUT"))
            self.assertEqual(answer.head.status, 503)
        asking = self.ask()
        self.clock.advance(4.0 / HEADROOM)
        self.assertNoResult(asking)
        self.clock.advance(1.2 / HEADROOM)
        self.successResultOf(asking)

    def test_body(self) -> None:
        """
        A body comes no faster than the budget, and all of it comes.
        """
        self.make(rate=RATE)
        size = 1_000_000
        answer = Response(200, (b"Content-Length", b"%d" % size))
        self.store.answers = [answer]
        asking, client = self.ask(), Client()
        self.clock.pump([0.01] * 20)
        paced = self.successResultOf(asking)
        paced.deliver(client)
        self.assertTrue(answer.narrowed)
        receiver, begun = answer.receiver, self.clock.seconds()
        assert receiver is not None
        while client.got < size:
            if not answer.paused:
                receiver.data_received(bytes(10_000))
            self.clock.advance(0.001)
        receiver.body_ended()
        self.assertTrue(client.ended)
        seconds = self.clock.seconds() - begun
        self.assertGreater(seconds, 0.8 * size / RATE)
        self.assertLess(seconds, 1.2 * size / RATE)

    def test_aborted(self) -> None:
        """
        A body that is given up while it waits leaves nothing behind.
        """
        self.make(rate=RATE)
        answer = Response(200, (b"Content-Length", b"9000000"))
        self.store.answers = [answer]
        asking = self.ask()
        self.clock.pump([0.01] * 20)
        paced = self.successResultOf(asking)
        paced.deliver(Client())
        assert answer.receiver is not None
        answer.receiver.data_received(bytes(500_000))
        answer.receiver.data_received(bytes(500_000))
        self.assertTrue(answer.paused)
        paced.abort()
        self.assertTrue(answer.aborted)
        self.assertEqual(self.budget.pace.waiting, 0)

    def test_given_back(self) -> None:
        """
        What was paid for and did not come is given back.
        """
        self.make(rate=RATE)
        self.store.answers = [Response(200, (b"Content-Length", b"10"))]
        asking = self.ask()
        self.clock.pump([0.01] * 20)
        self.successResultOf(asking)
        self.assertAlmostEqual(self.budget.pace.passed, 10)

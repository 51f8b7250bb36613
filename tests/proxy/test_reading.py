"""
Tests for :mod:`eliop2p.proxy.reading`.
"""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import ChunkUnavailable, SpanUnreadable
from eliop2p.model.ranges import Interval
from eliop2p.model.trail import RequestTrail
from eliop2p.proxy.reading import AHEAD, BodyReader
from tests.proxy.reading_case import (
    DATA,
    HEAD,
    LAYOUT,
    SIZE,
    Chunks,
    Sender,
    exchange_to,
)


class ReaderTests(SynchronousTestCase):
    """
    The body of an answer.
    """

    def setUp(self) -> None:
        """
        Make a client and a cache.
        """
        self.chunks = Chunks()
        self.sender = Sender()
        self.exchange = exchange_to(self.sender)
        self.counted: dict[str, int] = {}
        self.done: list[int] = []

    def send(self, start: int, stop: int, ahead: int = 2) -> Deferred[None]:
        """
        Begin to send a part of the object.
        """
        body = BodyReader(
            self.chunks,
            LAYOUT,
            self.chunks,
            self.count,
            lambda chunk: self.done.append(chunk.index),
            ahead=ahead,
        )
        return Deferred.fromCoroutine(
            body.send(
                self.exchange,
                Interval(start, stop),
                lambda: self.exchange.begin(HEAD),
            )
        )

    def count(self, source: str, length: int) -> None:
        """
        Count bytes by source.
        """
        self.counted[source] = self.counted.get(source, 0) + length

    def assert_sent(self, start: int, stop: int) -> None:
        """
        Demand that exactly a part was sent.
        """
        self.assertEqual(self.sender.data.partition(b"\r\n\r\n")[2], DATA[start:stop])

    def assert_all_closed(self) -> None:
        """
        Demand that every chunk was let go of, once.
        """
        self.assertEqual({reading.closed for reading in self.chunks.opened}, {1})

    def test_parts(self) -> None:
        """
        Any part is sent, from exactly the chunks that cover it, each of them let go of.
        """
        for start, stop in ((0, 250), (0, 1), (9, 11), (10, 20), (13, 247), (249, 250)):
            self.setUp()
            self.chunks.at_hand = True
            self.successResultOf(self.send(start, stop))
            self.assert_sent(start, stop)
            covering = list(range(start // SIZE, -(-stop // SIZE)))
            self.assertEqual(self.chunks.indexes, covering)
            self.assertEqual(self.chunks.passed, covering)
            self.assertEqual(self.done, covering)
            self.assertEqual(self.counted, {"peer": stop - start})
            self.assert_all_closed()

    def test_nothing_before_bytes(self) -> None:
        """
        The answer begins with the first bytes, so that it can still become an error.
        """
        sending = self.send(0, 30)
        self.assertFalse(self.exchange.begun)
        self.chunks.fill(0)
        self.assertTrue(self.exchange.begun)
        sending.cancel()
        self.failureResultOf(sending)

    def test_window_grows(self) -> None:
        """
        A client that waits for its bytes has more and more chunks opened ahead of it,
        up to a bound.
        """
        self.send(0, 250).addErrback(lambda _: None)
        ahead = []
        for index in range(8):
            ahead.append(len(self.chunks.opened) - index - 1)
            self.chunks.fill(index)
        self.assertEqual(ahead[:4], [2, 4, 8, 12])
        self.assertEqual(max(ahead), AHEAD)

    def test_others_while_it_waits(self) -> None:
        """
        While the client waits for a chunk, each of those behind it that comes makes
        room for another; not while it is the client that is slow.
        """
        sending = self.send(0, 250)
        self.assertEqual(self.chunks.indexes, [0, 1, 2])
        self.chunks.fill(2)
        self.assertEqual(self.chunks.indexes, [0, 1, 2, 3])
        self.sender.slow = True
        self.chunks.fill(0)
        self.assertEqual(self.chunks.indexes, [0, 1, 2, 3, 4])
        self.chunks.fill(1)
        self.assertEqual(self.chunks.indexes, [0, 1, 2, 3, 4])
        sending.addErrback(lambda _: None).cancel()

    def test_window_shrinks(self) -> None:
        """
        A client for which everything is there before it takes it holds little.
        """
        self.chunks.at_hand = True
        self.sender.slow = True
        sending = self.send(0, 250, ahead=8)
        ahead = []
        for index in range(25):
            ahead.append(len(self.chunks.opened) - index - 1)
            while index == len(self.done):
                self.sender.take()
        self.assertEqual(ahead[:9], [8, 7, 6, 5, 4, 3, 2, 1, 1])
        self.successResultOf(sending)
        self.assert_sent(0, 250)

    def test_held_are_not_opened(self) -> None:
        """
        What a tier has is opened only when it is its turn.
        """
        self.chunks.held = {1, 2, 3}
        self.send(0, 50).addErrback(lambda _: None)
        self.assertEqual(self.chunks.indexes, [0])
        self.chunks.fill(0)
        self.assertEqual(self.chunks.indexes, [0, 1, 2, 3, 4])
        self.assertEqual(self.done, [0, 1, 2, 3])

    def test_all_held(self) -> None:
        """
        Chunks that tiers have are sent by one call, each opened when the one before has
        been taken, and only then.
        """
        self.chunks.held = set(range(25))
        self.sender.slow = True
        self.exchange.trail = RequestTrail("id", b"GET", b"/b/k", 0.0)
        sending = self.send(13, 47)
        self.sender.take()
        for index in (1, 2, 3, 4):
            self.assertEqual(self.chunks.indexes[-1], index)
            self.assertEqual(
                [each.closed for each in self.chunks.opened[:-1]], (index - 1) * [1]
            )
            self.assertEqual(self.done, list(range(1, index)))
            self.sender.take()
        self.successResultOf(sending)
        self.assert_sent(13, 47)
        self.assert_all_closed()
        self.assertEqual(self.sender.runs, 1)
        self.assertEqual(self.counted, {"memory": 34})
        self.assertEqual((self.exchange.sent, self.done), (34, [1, 2, 3, 4]))
        noted = [(each.index, each.bytes) for each in self.exchange.trail.chunks]
        self.assertEqual(noted, [(1, 7), (2, 10), (3, 10), (4, 7)])

    def test_held_among_others(self) -> None:
        """
        While chunks go out that tiers have, those behind them that nobody has are on
        their way, and all go out in order.
        """
        self.chunks.held = {0, 1, 4, 5, 6}
        self.sender.slow = True
        sending = self.send(0, 80)
        self.sender.take()
        self.assertEqual(self.chunks.indexes, [0])
        self.sender.take()
        self.assertEqual(self.chunks.indexes, [0, 1, 2, 3])
        self.chunks.at_hand = True
        self.chunks.fill(2)
        self.chunks.fill(3)
        for _ in range(7):
            self.assertNoResult(sending)
            self.sender.take()
        self.successResultOf(sending)
        self.assert_sent(0, 80)
        self.assert_all_closed()
        self.assertEqual(self.done, list(range(8)))
        self.assertEqual(self.counted, {"memory": 50, "peer": 30})

    def test_held_is_unreadable(self) -> None:
        """
        The rest of a chunk whose file cannot be read comes from elsewhere, and those
        behind it from their tier.
        """
        for at_hand in (True, False):
            self.setUp()
            self.chunks.held = set(range(25))
            self.chunks.at_hand = at_hand
            self.sender.unreadable = [4]
            sending = self.send(3, 33)
            if not at_hand:
                self.chunks.fill(-1)
            self.successResultOf(sending)
            self.assert_sent(3, 33)
            self.assertEqual(self.chunks.dropped, [0])
            self.assertEqual(self.counted, {"memory": 27, "peer": 3})
            self.assertEqual(self.exchange.sent, 30)
            self.assertEqual(self.done, [0, 1, 2, 3])
            self.assert_all_closed()

    def test_held_and_client_gone(self) -> None:
        """
        A client that goes away, or is given up, lets go of the chunk that it was being
        sent.
        """
        for error in (ConnectionLost(), None):
            self.setUp()
            self.chunks.held = set(range(25))
            self.sender.slow = True
            sending = self.send(0, 250)
            self.sender.take()
            waiting, self.sender.waiting = self.sender.waiting, None
            assert waiting is not None
            if error is None:
                sending.cancel()
                self.failureResultOf(sending)
            else:
                waiting.errback(error)
                self.failureResultOf(sending, ConnectionLost)
            self.assertEqual(self.chunks.indexes, [0])
            self.assert_all_closed()

    def test_unreadable(self) -> None:
        """
        A chunk that cannot be read while it is sent is dropped and opened once more;
        the client gets the rest of it from there.
        """
        self.chunks.at_hand = True
        self.sender.unreadable = [4]
        self.successResultOf(self.send(3, 33))
        self.assert_sent(3, 33)
        self.assertEqual(self.counted, {"peer": 30})
        self.assertEqual(self.exchange.sent, 30)
        self.assertEqual(self.chunks.dropped, [0])
        self.assertEqual(self.chunks.indexes.count(0), 2)
        self.assert_all_closed()

    def test_unreadable_again(self) -> None:
        """
        One that cannot be read from elsewhere either breaks the answer off.
        """
        self.chunks.at_hand = True
        self.sender.unreadable = [4, 0]
        self.failureResultOf(self.send(3, 33), SpanUnreadable)
        self.assertEqual(self.counted, {"peer": 4})
        self.assert_all_closed()

    def test_unavailable(self) -> None:
        """
        A chunk that cannot be had fails the answer when it is its turn, and not
        before; everything is let go of.
        """
        self.chunks.failing = 2
        sending = self.send(0, 50)
        self.chunks.fill(0)
        self.assertNoResult(sending)
        self.chunks.fill(1)
        self.failureResultOf(sending, ChunkUnavailable)
        self.assert_sent(0, 20)
        self.assert_all_closed()

    def test_client_gone(self) -> None:
        """
        A client that goes away lets go of everything.
        """
        sending = self.send(0, 250)
        self.sender.error = ConnectionLost()
        self.chunks.fill(0)
        self.failureResultOf(sending, ConnectionLost)
        self.assert_all_closed()

    def test_cancelled(self) -> None:
        """
        So does an answer that is given up while it waits for bytes.
        """
        sending = self.send(0, 250)
        sending.cancel()
        self.failureResultOf(sending)
        self.assert_all_closed()

    def test_cancelled_while_opening(self) -> None:
        """
        So does one that waits for a chunk to be opened.
        """
        cancelled: list[object] = []
        self.chunks.pending = Deferred(cancelled.append)
        sending = self.send(0, SIZE)
        sending.cancel()
        self.failureResultOf(sending)
        self.assertEqual(cancelled, [self.chunks.pending])

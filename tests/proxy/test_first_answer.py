"""
What is taken from the store's first answer, and when the rest is asked for.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import ResponseHead
from eliop2p.model.chunk import MIB, Layout, ObjectKey, ObjectVersion
from eliop2p.model.ranges import Interval
from eliop2p.proxy.first_answer import (
    LONGEST_WAY,
    MOST_CARRIED,
    STREAMED_BYTES,
    Opening,
    carried_until,
    gives_way_for,
    is_carried,
    opened_wide,
    opening_of,
    use_answer,
)
from eliop2p.proxy.origin_reads import ClientOrigin
from eliop2p.proxy.reading import AHEAD, BodyReader
from tests.proxy.fakes import FakeOrigin, FakeResponse
from tests.proxy.reading_case import (
    DATA,
    HEAD,
    LAYOUT,
    SIZE,
    Chunks,
    Sender,
    exchange_to,
)

CHUNK = 8 * MIB


def layout_of(chunks: int) -> Layout:
    """
    Name an object of some chunks.
    """
    key = ObjectKey(b"http://s", b"b", b"k")
    return Layout(key, ObjectVersion(b'"e"', chunks * CHUNK), CHUNK)


class CarriedTests(SynchronousTestCase):
    """
    How much an answer carries.
    """

    def test_small(self) -> None:
        """
        An object of 160 MiB comes in one answer, a larger one does not.
        """
        most = STREAMED_BYTES // CHUNK
        self.assertTrue(is_carried(layout_of(most)))
        self.assertFalse(is_carried(layout_of(most + 1)))

    def test_share(self) -> None:
        """
        An answer carries no more than each of the ranges side by side, one chunk at
        least and four at most.
        """
        side_by_side = AHEAD + 1
        for chunks, carried in (
            (side_by_side - 1, 1),
            (2 * side_by_side - 1, 1),
            (2 * side_by_side, 2),
            (64, 4),
            (1000, MOST_CARRIED),
        ):
            stop = carried_until(layout_of(chunks), Interval(0, chunks * CHUNK))
            self.assertEqual(stop, carried * CHUNK)

    def test_within_a_chunk(self) -> None:
        """
        An answer that begins within a chunk carries no other, and never more than was
        asked for.
        """
        layout = layout_of(64)
        self.assertEqual(carried_until(layout, Interval(1, 64 * CHUNK)), CHUNK)
        self.assertEqual(carried_until(layout, Interval(CHUNK, CHUNK + 9)), CHUNK + 9)

    def test_opening(self) -> None:
        """
        Of a large object only what the answer carries is opened at once, and the rest
        after as long as the store took to answer; of another one all at once.
        """
        some = opening_of(layout_of(64), 4 * CHUNK, 0.02)
        self.assertEqual(some, Opening(3, None, 0.02))
        whole = opening_of(layout_of(15), 15 * CHUNK, None)
        self.assertEqual(whole, Opening(15))
        few = opening_of(layout_of(2), 2 * CHUNK, None)
        self.assertEqual(few, Opening(AHEAD))

    def test_slow_store(self) -> None:
        """
        Nobody gives way for long because a store is slow to answer.
        """
        self.assertEqual(gives_way_for(0.01), 0.01)
        self.assertEqual(gives_way_for(7.0), LONGEST_WAY)


class UseTests(SynchronousTestCase):
    """
    The answer as a source of chunks.
    """

    def origin(self) -> tuple[ClientOrigin, FakeResponse]:
        """
        Make a client's right, and an answer to its request.
        """
        store = FakeOrigin()
        head = exchange_to(Sender()).head
        right = ClientOrigin(store, head, LAYOUT.version, None, lambda: False)
        return right, FakeResponse(ResponseHead(200, b"OK"))

    def test_carries(self) -> None:
        """
        All that an answer passes by can be read from it, also when the client's request
        allows nothing more.
        """
        right, response = self.origin()
        use_answer(right, response, LAYOUT, Interval(0, len(DATA)), 2 * SIZE)
        readable = [right.can_read(LAYOUT.chunk(index)) for index in range(2)]
        self.assertEqual(readable, [True, True])

    def test_narrow(self) -> None:
        """
        The store sends little ahead from the last chunk on that an answer carries; all
        the time where that is the first, and never where the answer is read to its end.
        """
        for stop, narrow in ((SIZE, True), (3 * SIZE, False), (len(DATA), False)):
            right, response = self.origin()
            use_answer(right, response, LAYOUT, Interval(0, len(DATA)), stop)
            self.assertEqual(response.narrowed, narrow)

    def test_begun_chunk(self) -> None:
        """
        The chunk that an answer begins within cannot be read from it, those behind can.
        """
        right, response = self.origin()
        use_answer(right, response, LAYOUT, Interval(5, 30), 30)
        readable = [right.can_read(LAYOUT.chunk(index)) for index in range(3)]
        self.assertEqual(readable, [False, True, True])


class WideTests(SynchronousTestCase):
    """
    When the chunks that an answer does not carry are opened.
    """

    def setUp(self) -> None:
        """
        Begin a body of which an answer carries three chunks.
        """
        self.clock, self.chunks = Clock(), Chunks()
        exchange = exchange_to(Sender())
        opening = Opening(2, None, 0.02)
        body = BodyReader(
            self.chunks,
            LAYOUT,
            self.chunks,
            lambda _source, _size: None,
            lambda _chunk: None,
            ahead=opening.ahead,
        )

        async def send() -> None:
            with opened_wide(body, opening, self.clock):
                await body.send(
                    exchange, Interval(0, len(DATA)), lambda: exchange.begin(HEAD)
                )

        self.sending = Deferred.fromCoroutine(send())

    def test_gives_way(self) -> None:
        """
        Chunks that the answer carries are opened at once, and as many more as may be
        when others have had their time.
        """
        self.assertEqual(self.chunks.indexes, [0, 1, 2])
        self.clock.advance(0.019)
        self.assertEqual(self.chunks.indexes, [0, 1, 2])
        self.clock.advance(0.001)
        self.assertEqual(self.chunks.indexes, list(range(AHEAD + 1)))
        self.sending.addErrback(lambda _: None).cancel()

    def test_ends_early(self) -> None:
        """
        A body that has ended opens nothing any more.
        """
        self.sending.addErrback(lambda _: None).cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

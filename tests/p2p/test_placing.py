"""
Bytes of chunks that come straight to where they belong, however they are cut.
"""

import random

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from eliop2p.base.errors import PeerUnreachable, WrongAnswer
from eliop2p.wire.codec import MAX_DATA, encode, encode_data_header
from eliop2p.wire.events import Cancel, Done, Fail, Fault, Get
from tests.p2p.chunk_requests import DIGEST, PlacingTaker, chunk_id
from tests.p2p.protocol_case import ConnectionCase


class FullTaker(PlacingTaker):
    """
    Wants nothing of what it has got.
    """

    def wrote(self, offset: int, size: int) -> None:
        """
        Refuse it.
        """
        raise WrongAnswer("no")


class PlacingCase(ConnectionCase):
    """
    A connection that is given bytes as a stream gives them.
    """

    def setUp(self) -> None:
        """
        Establish it.
        """
        super().setUp()
        self.establish()
        self.heard()

    def get(self, taker: PlacingTaker) -> None:
        """
        Ask for a chunk; the answer is what the test makes of it.
        """
        self.done = self.connection.calls.get(Get(0, chunk_id(1), 0, 0), taker)
        (asked,) = self.heard()
        assert isinstance(asked, Get)
        self.request_id = asked.request_id

    def data(self, payload: bytes) -> bytes:
        """
        Write a part of the answer.
        """
        return encode_data_header(self.request_id, len(payload)) + payload

    def deliver(self, data: bytes, most: int = 1 << 30, scratch: int = 1 << 30) -> None:
        """
        Let bytes arrive, so many at a time at most.
        """
        view = memoryview(data)
        while view:
            room = self.connection.room()
            if room is None:
                size = min(most, scratch, len(view))
                # Its memory is used again, for something else.
                seen = bytearray(view[:size])
                self.connection.dataReceived(memoryview(seen))
                seen[:] = bytes(size)
            else:
                size = min(most, len(view), len(room))
                room[:size] = view[:size]
                self.connection.filled(size)
            view = view[size:]


class PlacingTests(PlacingCase):
    """
    The bytes of one chunk.
    """

    def test_every_boundary(self) -> None:
        """
        Wherever two messages of data and the end are cut, the chunk is the same.
        """
        content = random.Random(1).randbytes(40)
        for place in range(2 * 12 + 40 + 1):
            taker = PlacingTaker(40)
            self.get(taker)
            stream = self.data(content[:15]) + self.data(content[15:])
            stream += encode(Done(self.request_id, DIGEST))
            self.deliver(stream[:place])
            self.deliver(stream[place:])
            answer = self.successResultOf(self.done)
            self.assertEqual(answer, Done(self.request_id, DIGEST))
            self.assertEqual(bytes(taker.content), content)

    def test_every_boundary_of_the_last(self) -> None:
        """
        The same where the last bytes say that they are.
        """
        content = random.Random(4).randbytes(40)
        for place in range(12 + 44 + 40 + 1):
            taker = PlacingTaker(40)
            self.get(taker)
            stream = self.data(content[:15])
            stream += encode_data_header(self.request_id, 25, DIGEST) + content[15:]
            self.deliver(stream[:place])
            self.deliver(stream[place:])
            answer = self.successResultOf(self.done)
            self.assertEqual(answer, Done(self.request_id, DIGEST))
            self.assertEqual(bytes(taker.content), content)

    def test_byte_by_byte(self) -> None:
        """
        The same in single bytes: but for none of the headers, each goes to its place.
        """
        content = random.Random(2).randbytes(50)
        taker = PlacingTaker(50)
        self.get(taker)
        self.deliver(self.data(content) + encode(Done(self.request_id, DIGEST)), 1)
        self.successResultOf(self.done)
        self.assertEqual(bytes(taker.content), content)
        self.assertEqual(taker.placed, [(place, 1) for place in range(50)])
        self.assertEqual(taker.written, [])

    def test_only_the_beginning_is_seen(self) -> None:
        """
        Of each message at most what came with its header is copied.
        """
        size = MAX_DATA - 4
        content = random.Random(3).randbytes(2 * size)
        taker = PlacingTaker(2 * size)
        self.get(taker)
        before = self.owner.bytes_received
        self.deliver(self.data(content[:size]) + self.data(content[size:]), scratch=512)
        self.assertEqual(bytes(taker.content), content)
        self.assertEqual(sum(size for _, size in taker.written), 2 * (512 - 12))
        self.assertEqual(self.owner.bytes_received, before + 2 * (size + 12))

    def test_given_up_in_the_middle(self) -> None:
        """
        What comes after a transfer was given up has no place; it is counted, and what
        comes behind it is understood.
        """
        taker = PlacingTaker(100)
        self.get(taker)
        frame = self.data(b"x" * 100)
        self.deliver(frame[:52])
        self.done.cancel()
        self.failureResultOf(self.done)
        self.assertEqual(self.heard(), [Cancel(self.request_id)])
        self.assertIsNone(self.connection.room())
        self.deliver(frame[52:] + encode(Fail(self.request_id, Fault.FAILED)))
        self.assertEqual((taker.content.count(b"x"), taker.discarded), (40, 60))
        other = PlacingTaker(10)
        self.get(other)
        self.deliver(self.data(b"y" * 10))
        self.assertEqual(bytes(other.content), b"y" * 10)
        self.assertEqual(self.owner.errors, [])

    def test_a_taker_that_refuses(self) -> None:
        """
        Who refuses what is in its place already is asked no more.
        """
        taker = FullTaker(100)
        self.get(taker)
        frame = self.data(b"x" * 100)
        self.deliver(frame[:12])
        self.deliver(frame[12:72])
        self.failureResultOf(self.done, WrongAnswer)
        self.deliver(frame[72:])
        self.assertEqual(taker.discarded, 40)

    def test_more_than_there_is_room_for(self) -> None:
        """
        A length beyond the end of the chunk gets no memory at all.
        """
        taker = PlacingTaker(100)
        self.get(taker)
        frame = self.data(b"x" * 101)
        self.deliver(frame[:12])
        self.assertIsNone(self.connection.room())

    def test_nobody_asked(self) -> None:
        """
        Bytes that nobody asked for, or for a question that is answered otherwise, get
        no room, and cost their sender the connection.
        """
        self.request_id = 77
        frame = self.data(b"x" * 100)
        self.deliver(frame[:12])
        self.assertIsNone(self.connection.room())
        self.connection.dataReceived(frame[12:13])
        self.assertEqual(
            self.owner.errors, ["Data answers request 77, which is not open"]
        )
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.connection.room())

    def test_a_length_that_is_too_long(self) -> None:
        """
        A frame that is longer than any may be is refused by its header.
        """
        self.get(PlacingTaker(2 * MAX_DATA))
        frame = bytearray(self.data(b"x"))
        frame[:4] = (MAX_DATA + 1).to_bytes(4, "big")
        self.connection.dataReceived(bytes(frame[:8]))
        self.assertEqual(len(self.owner.errors), 1)
        self.assertIsNone(self.connection.room())
        self.failureResultOf(self.done, PeerUnreachable)

    def test_loss_in_the_middle(self) -> None:
        """
        The transfer fails when the connection is lost in the middle of its bytes.
        """
        taker = PlacingTaker(100)
        self.get(taker)
        self.deliver(self.data(b"x" * 100)[:50])
        self.connection.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.done, PeerUnreachable)
        self.assertEqual(taker.content.count(b"x"), 38)

    def test_the_same_as_without(self) -> None:
        """
        What the session makes of bytes does not depend on who takes them.
        """
        content = random.Random(4).randbytes(3000)
        taker = PlacingTaker(3000)
        self.get(taker)
        stream = b"".join(
            self.data(content[start : start + 250]) for start in range(0, 3000, 250)
        )
        sizes = random.Random(5)
        while stream:
            size = sizes.randint(1, 700)
            self.deliver(stream[:size], sizes.randint(1, 300), sizes.randint(1, 100))
            stream = stream[size:]
        self.assertEqual(bytes(taker.content), content)
        spans = sorted(taker.placed + taker.written)
        self.assertEqual([at for at, _ in spans[1:]], [at + n for at, n in spans[:-1]])

"""
Peers that know the secret and break the rules: what they cost a connection.
"""

import tracemalloc

from eliop2p.p2p.calls import MAX_LATE
from eliop2p.p2p.pulse import HANDSHAKE_TIMEOUT, MAX_BACKLOG, PING_AFTER, STALL_TIMEOUT
from eliop2p.wire.cluster_events import MAX_UPDATES, FoundObject
from eliop2p.wire.codec import MAX_CONTROL, MAX_DATA, encode, encode_data_header
from eliop2p.wire.events import (
    MAX_HOLDERS,
    Done,
    Fail,
    Fault,
    Get,
    Have,
    Holder,
    Locate,
    Located,
    Message,
    Verdict,
)
from eliop2p.wire.session import MAX_INBOUND
from tests.p2p.chunk_requests import DIGEST, MemoryReading, Taker, chunk_id
from tests.p2p.protocol_case import ConnectionCase

MIB = 1024 * 1024


def header(length: int, kind: int) -> bytes:
    """
    Begin a frame.
    """
    return length.to_bytes(4, "big") + bytes((kind, 0, 0, 0))


class SilenceTests(ConnectionCase):
    """
    Peers that take their time.
    """

    def test_handshake_byte_by_byte(self) -> None:
        """
        Bytes that trickle in do not prolong the time for the proofs.
        """
        hello = self.peer.data_to_send()
        for number in range(len(hello)):
            self.clock.advance(HANDSHAKE_TIMEOUT / (len(hello) - 1))
            if self.transport.disconnected:
                break
            self.receive(hello[number : number + 1])
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.dropped(), ["it does not prove itself"])

    def test_message_byte_by_byte(self) -> None:
        """
        A message that is never finished ends its connection, however alive its sender
        seems; so does silence in the middle of one.
        """
        self.establish()
        gone = encode(Have(((chunk_id(1), DIGEST),) * 512))
        for number in range(len(gone) - 1):
            self.receive(gone[number : number + 1])
            self.clock.advance(1.0)
            if self.transport.disconnected:
                break
        self.assertTrue(self.transport.disconnected)
        self.assertLessEqual(number, STALL_TIMEOUT + PING_AFTER)
        self.assertEqual(self.dropped(), ["it does not finish its message"])

    def test_messages_in_pieces(self) -> None:
        """
        A peer whose messages are always cut by segments is heard, as long as they go
        on.
        """
        self.establish()
        said = encode(Have(((chunk_id(1), DIGEST),)))
        half = len(said) // 2
        self.receive(said[:half])
        for _ in range(200):
            self.clock.advance(1.0)
            self.receive(said[half:] + said[:half])
        self.assertFalse(self.transport.disconnected)
        self.assertEqual(len(self.requests.messages), 200)


class FloodTests(ConnectionCase):
    """
    Peers that say too much.
    """

    def setUp(self) -> None:
        """
        Begin with a connection that is established.
        """
        super().setUp()
        self.establish()

    def cancelled(self) -> tuple[Taker, int]:
        """
        Ask for a chunk and cancel that: give what takes it, and the request's id.
        """
        late = Taker()
        got = self.connection.calls.get(Get(0, chunk_id(1), 0, 0), late)
        got.addErrback(lambda _: None)
        (asked,) = self.heard()
        assert isinstance(asked, Get)
        got.cancel()
        self.heard()
        return late, asked.request_id

    def test_unasked_answers(self) -> None:
        """
        Answers to what was never asked end the connection, and are counted.
        """
        holders = (Holder("liar", True),)
        answers: tuple[Message, ...] = (
            Located(9, Verdict.HOLDERS, 1, b"", holders),
            Done(9, DIGEST),
            Fail(9, Fault.MISSING),
            FoundObject(9, b"record"),
        )
        for answer in answers:
            self.setUp()
            self.receive(encode(answer))
            self.assertTrue(self.transport.disconnected)
            self.assertEqual(len(self.owner.errors), 1)
        self.setUp()
        self.receive(encode_data_header(9, 100) + bytes(100))
        self.assertTrue(self.transport.disconnected)

    def test_endless_data(self) -> None:
        """
        A peer that goes on sending a chunk that was cancelled is dropped, before that
        has cost more than the buffers on the way hold; nothing of it is kept.
        """
        late, request_id = self.cancelled()
        piece = bytes(MAX_DATA - 4)
        frame = encode_data_header(request_id, len(piece)) + piece
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        sent = 0
        while not self.transport.disconnected and sent < 2 * MAX_LATE:
            self.receive(frame)
            sent += len(piece)
        self.assertTrue(self.transport.disconnected)
        self.assertLessEqual(late.discarded, MAX_LATE + MAX_DATA)
        self.assertLess(tracemalloc.get_traced_memory()[1], MIB)

    def test_late_data(self) -> None:
        """
        What was on its way when a chunk was cancelled is counted, and forgiven.
        """
        for _ in range(10):
            late, request_id = self.cancelled()
            frame = encode_data_header(request_id, MIB // 2) + bytes(MIB // 2)
            for _ in range(8):
                self.receive(frame)
            self.receive(encode(Fail(request_id, Fault.FAILED)))
            self.assertEqual(late.discarded, 4 * MIB)
        self.assertFalse(self.transport.disconnected)

    def test_huge_lengths(self) -> None:
        """
        A frame that says it is too long, or lists too much, costs its sender the
        connection by its first eight bytes; none of it is waited for.
        """
        heads = [
            header(length, kind)
            for kind in (*range(1, 31), 255)
            for length in (MAX_DATA + 1, 2**31, 2**32 - 1)
        ]
        heads += [header(MAX_CONTROL + 1, kind) for kind in (1, 3, 4, 5, 15, 22)]
        for head in heads:
            self.setUp()
            self.receive(head)
            self.assertTrue(self.transport.disconnected, head)

    def test_huge_lists(self) -> None:
        """
        More holders, members or chunks than a message may list end the connection.
        """
        holder = b"\x01h\x01\x00\x00\x00"
        located = (9).to_bytes(4, "big") + b"\x01" + bytes(8) + b"\x00"
        count = MAX_HOLDERS + 1
        lists = [
            (4, located + count.to_bytes(2, "big") + count * holder),
            (5, (513).to_bytes(2, "big") + bytes(513 * 64)),
            (6, (65535).to_bytes(2, "big") + bytes(32)),
            (22, (MAX_UPDATES + 1).to_bytes(2, "big") + bytes(90_000)),
        ]
        for kind, payload in lists:
            self.setUp()
            self.receive(header(len(payload), kind) + payload)
            self.assertTrue(self.transport.disconnected, kind)
            self.assertEqual(len(self.owner.errors), 1)

    def test_gets(self) -> None:
        """
        However many chunks are asked for at once, only so many requests are open; the
        others are refused, and answered again when there is room.
        """
        for number in range(MAX_INBOUND):
            reading = MemoryReading(bytes(100), filled=10)
            self.requests.readings[chunk_id(number)] = reading
        for number in range(10 * MAX_INBOUND):
            self.say(Get(number + 1, chunk_id(number % MAX_INBOUND), 0, 0))
            for event in self.heard():
                if isinstance(event, Fail):
                    self.assertIs(event.fault, Fault.BUSY)
        self.assertEqual(self.connection.uploads, MAX_INBOUND)
        self.assertFalse(self.transport.disconnected)
        self.lose()
        opened = self.requests.opened
        self.assertEqual(len(opened), MAX_INBOUND)
        closed = [r for r in opened if isinstance(r, MemoryReading) and r.closed]
        self.assertEqual(len(closed), MAX_INBOUND)

    def test_questions_whose_answers_are_not_read(self) -> None:
        """
        Who asks without end and reads nothing is dropped before the answers pile up.
        """
        self.connection.pauseProducing()
        for number in range(1, 500_000, 100):
            asked = [
                encode(Locate(number + more, chunk_id(more), 0, True, ()))
                for more in range(100)
            ]
            self.receive(b"".join(asked))
            if self.transport.disconnected:
                break
        self.assertTrue(self.transport.disconnected)
        self.assertLess(len(self.transport.value()), MAX_BACKLOG + MIB)

"""
Messages survive the way through bytes, and bytes that are no messages do no harm.
"""

import itertools
import struct
from typing import get_args

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.wire.cluster_events import Last
from eliop2p.wire.codec import (
    FRAMES,
    MAX_CONTROL,
    MAX_DATA,
    MAX_PIECE,
    encode,
    encode_data_header,
)
from eliop2p.wire.decoder import FrameDecoder
from eliop2p.wire.events import (
    MINOR,
    Data,
    Done,
    Goodbye,
    Hello,
    Leased,
    Message,
    Ping,
    Verdict,
)
from tests.wire.strategies import ANY_MESSAGE, MESSAGES

MAX_HELD = 256 * 1024
END = b"the end"


def to_bytes(message: Message) -> bytes:
    """
    Encode any message, DATA and LAST too.
    """
    if isinstance(message, Data):
        payload = bytes(message.payload)
        return encode_data_header(message.request_id, len(payload)) + payload
    if isinstance(message, Last):
        size = len(END)
        return encode_data_header(message.request_id, size, message.digest) + END
    return encode(message)


def meant(message: Message) -> list[Message]:
    """
    Say what a message decodes to.
    """
    if not isinstance(message, Last):
        return [message]
    request_id = message.request_id
    return [Data(request_id, END), Done(request_id, message.digest)]


def header(length: int, kind: int, flags: int = 0, reserved: int = 0) -> bytes:
    """
    Write a frame header.
    """
    return struct.pack(">IBBH", length, kind, flags, reserved)


def joined(messages: list[Message]) -> list[Message]:
    """
    Put pieces of DATA for one request that follow each other together.
    """
    result: list[Message] = []
    for message in messages:
        last = result[-1] if result else None
        if isinstance(message, Data):
            payload = bytes(message.payload)
            if isinstance(last, Data) and last.request_id == message.request_id:
                result[-1] = Data(last.request_id, bytes(last.payload) + payload)
            else:
                result.append(Data(message.request_id, payload))
        else:
            result.append(message)
    return result


def cut(data: bytes, points: list[int]) -> list[bytes]:
    """
    Cut bytes at these points.
    """
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


STREAMS = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.builds(header, st.integers(0, 2**18), st.integers(0, 255), st.just(0)),
        ANY_MESSAGE.map(to_bytes),
    ),
    max_size=8,
)
"""
What somebody sends who does not know the protocol, or knows it too well.
"""


def check_stream(parts: list[bytes], newer: int) -> bool:
    """
    Demand that bytes give messages or a RemoteProtocolError, and that little is held.

    Args:
        parts: The bytes as they come.
        newer: By how much the minor version of their sender is newer.

    Returns:
        Whether they were refused.
    """
    decoder = FrameDecoder(peer_minor=MINOR + newer)
    try:
        for part in parts:
            list(decoder.feed(part))
            assert decoder.buffered <= MAX_HELD, f"{decoder.buffered} bytes are held"
    except RemoteProtocolError:
        return True
    return False


class RoundTripTests(SynchronousTestCase):
    """
    What goes in comes out.
    """

    def test_the_table_has_every_message(self) -> None:
        """
        Each message has exactly one type number, and the strategies cover it.
        """
        classes = set(get_args(Message))
        self.assertEqual({frame.message for frame in FRAMES}, classes)
        self.assertEqual(len({frame.kind for frame in FRAMES}), len(classes))
        self.assertEqual(set(MESSAGES), classes)

    def test_limits(self) -> None:
        """
        No frame but those with bytes of chunks can be longer than 128 KiB.
        """
        for frame in FRAMES:
            limit = MAX_DATA if frame.message in {Data, Last} else MAX_CONTROL
            self.assertLessEqual(frame.maximum, limit)

    @settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
    @given(ANY_MESSAGE)
    def test_every_message_survives(self, message: Message) -> None:
        """
        A message decodes to itself, or what it stands for, and leaves nothing behind.
        """
        decoder = FrameDecoder()
        self.assertEqual(joined(list(decoder.feed(to_bytes(message)))), meant(message))
        self.assertEqual(decoder.buffered, 0)

    @settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(ANY_MESSAGE, max_size=6), st.lists(st.integers(0, 10**6), max_size=12)
    )
    def test_segmentation_does_not_matter(
        self, messages: list[Message], points: list[int]
    ) -> None:
        """
        However a stream is cut, the same messages come out.
        """
        stream = b"".join(map(to_bytes, messages))
        decoder = FrameDecoder()
        pieces = [list(decoder.feed(part)) for part in cut(stream, points)]
        cut_up = [message for piece in pieces for message in piece]
        whole = list(FrameDecoder().feed(stream))
        self.assertEqual(joined(cut_up), joined(whole))

    def test_byte_by_byte(self) -> None:
        """
        A stream that comes in single bytes gives every message.
        """
        messages: list[Message] = [Ping(7), Goodbye(), Data(3, b"abc"), Ping(9)]
        decoder = FrameDecoder()
        seen = [
            message
            for byte in b"".join(map(to_bytes, messages))
            for message in decoder.feed(bytes([byte]))
        ]
        self.assertEqual(joined(seen), messages)

    def test_data_is_not_held(self) -> None:
        """
        Bytes of a chunk come out as they come in, before their frame is complete.
        """
        decoder = FrameDecoder()
        self.assertEqual(list(decoder.feed(encode_data_header(5, 600_000))), [])
        for _ in range(600):
            (piece,) = decoder.feed(bytes(1000))
            self.assertEqual(piece, Data(5, bytes(1000)))
            self.assertEqual(decoder.buffered, 0)
        self.assertEqual(list(decoder.feed(encode(Ping(1)))), [Ping(1)])

    def test_last(self) -> None:
        """
        The last bytes of a chunk come out as they come in, and then that it is done,
        also when somebody else has taken them.
        """
        digest = Digest(b"d" * 32)
        for places in ((1, 2, 3), (6,)):
            decoder = FrameDecoder()
            head = encode_data_header(5, 6, digest)
            self.assertEqual(list(decoder.feed(head)), [])
            self.assertEqual(decoder.awaited, (5, 6))
            *before, ended = [decoder.passed(size) for size in places]
            self.assertEqual((set(before) - {None}, ended), (set(), Done(5, digest)))
            self.assertEqual(list(decoder.feed(encode(Ping(1)))), [Ping(1)])
            self.assertEqual(
                list(decoder.feed(head + b"abcdef" + encode(Ping(2)))),
                [Data(5, b"abcdef"), Done(5, digest), Ping(2)],
            )


class HostileTests(SynchronousTestCase):
    """
    Whatever arrives, the decoder refuses it or holds little of it.
    """

    def refuse(self, data: bytes) -> None:
        """
        Check that bytes are refused, in one piece and one by one.
        """
        self.assertRaises(RemoteProtocolError, list, FrameDecoder().feed(data))
        decoder = FrameDecoder()

        def feed_slowly() -> None:
            for byte in data:
                list(decoder.feed(bytes([byte])))

        self.assertRaises(RemoteProtocolError, feed_slowly)

    def test_lengths_are_refused_by_the_header(self) -> None:
        """
        A frame that is too long for its type is refused before any of it comes.
        """
        for frame in FRAMES:
            self.refuse(header(frame.maximum + 1, frame.kind))
            self.refuse(header(2**32 - 1, frame.kind))

    def test_short_and_long_payloads(self) -> None:
        """
        A payload that is shorter or longer than its fields is refused.
        """
        for message in (
            Ping(1),
            Leased(ChunkId(b"c" * 32), "node"),
            Hello(1, 0, "n", b"n" * 32),
        ):
            data = encode(message)
            kind, payload = data[4], data[8:]
            self.refuse(header(len(payload) - 1, kind) + payload[:-1])
            if kind != 17:
                self.refuse(header(len(payload) + 1, kind) + payload + b"\0")

    def test_bad_fields(self) -> None:
        """
        Zero request ids, wrong counts, flags and names, and bad text are refused.
        """
        located = struct.pack(">IBQ", 1, Verdict.HOLDERS, 0)
        for kind, payload in (
            (17, bytes(4)),  # A request id of zero.
            (9, bytes(4) + b"data"),  # The same, with bytes of a chunk.
            (9, b"\0\0\0\1"),  # DATA without bytes.
            (12, b"\0\0\0\1\x63"),  # No such fault.
            (4, located + b"\x05" + bytes(5) + bytes(2)),  # A digest of five bytes.
            (4, located + b"\0" + b"\xff\xff"),  # 65535 holders.
            (4, located + b"\0" + b"\0\1" + b"\1n\2"),  # A flag of two.
            (7, bytes(32) + b"\0"),  # An empty node id.
            (7, bytes(32) + b"\2\xc3\x28"),  # Not UTF-8.
            (7, bytes(32) + b"\2a\n"),  # A node id that would break a log line.
            (7, bytes(32) + b"\xffab"),  # A text that is longer than its frame.
            (14, b"\0\0\0\1" + b"\xff\xff\xff\xff"),  # A record of 4 GiB.
            (19, b"x"),  # A payload where there is none.
        ):
            self.refuse(header(len(payload), kind) + payload)

    def test_flags_are_refused(self) -> None:
        """
        Bits without a meaning must be zero.
        """
        self.refuse(header(4, 17, flags=1) + b"\0\0\0\1")
        self.refuse(header(4, 17, reserved=1) + b"\0\0\0\1")

    def test_unknown_types(self) -> None:
        """
        Unknown frames are skipped when the peer is newer, and refused otherwise.
        """
        unknown = header(1000, 200) + bytes(1000)
        self.refuse(unknown)
        decoder = FrameDecoder(peer_minor=MINOR + 1)
        stream = unknown + encode(Ping(1)) + header(0, 201) + encode(Ping(2))
        seen = [m for part in cut(stream, [3, 9, 500]) for m in decoder.feed(part)]
        self.assertEqual(seen, [Ping(1), Ping(2)])
        too_long = decoder.feed(header(MAX_CONTROL + 1, 200))
        self.assertRaises(RemoteProtocolError, list, too_long)

    def test_a_lower_limit(self) -> None:
        """
        While the limit is low, even allowed lengths are refused.
        """
        decoder = FrameDecoder(limit=300)
        self.assertRaises(RemoteProtocolError, list, decoder.feed(header(301, 14)))

    @settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
    @given(STREAMS, st.integers(0, 1))
    @example([header(98_312, 14), bytes(98_311)], 0)
    def test_garbage(self, parts: list[bytes], newer: int) -> None:
        """
        Any bytes give messages or a RemoteProtocolError, and little is held.
        """
        check_stream(parts, newer)


class EncodingTests(SynchronousTestCase):
    """
    What does not fit is our own mistake.
    """

    def test_local_mistakes(self) -> None:
        """
        Values that do not fit their fields are never sent.
        """
        for message in (
            Ping(0),
            Ping(2**32),
            Hello(1, 0, "", bytes(32)),
            Hello(1, 0, "n" * 256, bytes(32)),
            Hello(1, 0, "two\nlines", bytes(32)),
            Hello(1, 0, "node", bytes(31)),
            Data(1, b"data"),
        ):
            self.assertRaises(LocalProtocolError, encode, message)
        for length in (0, MAX_DATA - 3):
            self.assertRaises(LocalProtocolError, encode_data_header, 1, length)
        self.assertEqual(len(encode_data_header(1, MAX_DATA - 4)), 12)
        last, digest = MAX_PIECE + 1, Digest(bytes(32))
        self.assertRaises(LocalProtocolError, encode_data_header, 1, last, digest)
        self.assertEqual(len(encode_data_header(1, MAX_PIECE, digest)), 44)

"""
Tests for :mod:`eliop2p.workers.messages`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.span import FileSpan
from eliop2p.workers.messages import (
    MAX_MESSAGE,
    Kind,
    Message,
    decode,
    decode_places,
    encode_places,
)

_NUMBERS = st.integers(0, 2**64 - 1)


class MessageTests(SynchronousTestCase):
    """
    The form of messages.
    """

    @given(st.sampled_from(Kind), _NUMBERS, _NUMBERS, _NUMBERS)
    def test_round_trip(self, kind: Kind, ticket: int, first: int, second: int) -> None:
        """
        What was written is read again, and is no longer than it may be.
        """
        message = Message(kind, ticket, first, second)
        data = message.encode()
        self.assertEqual(decode(data), message)
        self.assertLessEqual(len(data), MAX_MESSAGE)

    @given(st.binary(max_size=MAX_MESSAGE))
    def test_anything_else(self, data: bytes) -> None:
        """
        Bytes are a message that would be written so, or refused.
        """
        try:
            message = decode(data)
        except RemoteProtocolError:
            return
        self.assertEqual(message.encode(), data)

    @given(st.lists(st.tuples(st.integers(0, 99), _NUMBERS, _NUMBERS), max_size=16))
    def test_places(self, places: list[tuple[int, int, int]]) -> None:
        """
        Where bytes are in files is read as it was written, and the longest list of
        them fits into a message.
        """
        spans = tuple(FileSpan(*place) for place in places)
        files = [span.fd for span in spans]
        data = encode_places(spans)
        self.assertEqual(decode_places(data, files), spans)
        self.assertLess(len(data), MAX_MESSAGE // 2)
        with self.assertRaisesRegex(RemoteProtocolError, "files come with"):
            decode_places(data, [*files, 1])

    def test_unknown_kind(self) -> None:
        """
        A message of a kind that is not known is refused.
        """
        data = b"\xff" + Message(Kind.PING).encode()[1:]
        with self.assertRaisesRegex(RemoteProtocolError, "not a message"):
            decode(data)

"""
Tests for :mod:`eliop2p.model.record`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.chunk import Layout, ObjectKey, ObjectVersion
from eliop2p.model.record import MAX_RECORD, ObjectRecord, Verdict, decode_record

NAMES = st.binary(max_size=40)
NUMBERS = st.integers(0, 2**64 - 1)
RECORDS = st.builds(
    ObjectRecord,
    st.builds(ObjectKey, NAMES, NAMES, NAMES, NAMES),
    st.builds(ObjectVersion, NAMES, NUMBERS),
    st.integers(1, 2**64 - 1),
    st.binary(max_size=200),
    st.booleans(),
    st.sampled_from(Verdict),
)
RECORD = ObjectRecord(
    ObjectKey(b"http://s:80", b"bucket", b"key"),
    ObjectVersion(b'"etag"', 5),
    8,
    b"HTTP/1.1 200 OK\r\n\r\n",
    whole=True,
)


def refused(data: bytes) -> bool:
    """
    Tell whether bytes are refused as no record.
    """
    try:
        decode_record(data)
    except RemoteProtocolError:
        return True
    return False


class RecordTests(SynchronousTestCase):
    """
    What is remembered of objects.
    """

    @given(RECORDS)
    def test_round_trip(self, record: ObjectRecord) -> None:
        """
        A record that is written is read back.
        """
        self.assertEqual(decode_record(record.encode()), record)

    def test_layout(self) -> None:
        """
        A record tells how its object is cut.
        """
        self.assertEqual(RECORD.layout, Layout(RECORD.key, RECORD.version, 8))

    @given(RECORDS, st.data())
    def test_cut(self, record: ObjectRecord, data: st.DataObject) -> None:
        """
        A record that is shorter or longer than it says is refused.
        """
        encoded = record.encode()
        length = data.draw(st.integers(0, len(encoded) - 1))
        self.assertTrue(refused(encoded[:length]))
        self.assertTrue(refused(encoded + b"\0"))

    @given(RECORDS, st.data())
    def test_damaged(self, record: ObjectRecord, data: st.DataObject) -> None:
        """
        A record with a damaged byte is refused, or is another record that is written
        in just those bytes.
        """
        encoded = bytearray(record.encode())
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] ^= data.draw(st.integers(1, 255))
        damaged = bytes(encoded)
        if not refused(damaged):
            self.assertEqual(decode_record(damaged).encode(), damaged)

    @given(st.binary(max_size=300))
    def test_hostile(self, data: bytes) -> None:
        """
        Bytes of any kind are refused or are a record, and nothing else happens.
        """
        if not refused(data):
            self.assertEqual(decode_record(data).encode(), data)

    def test_refused(self) -> None:
        """
        Other formats, chunks of no bytes, and what is too long are refused.
        """
        encoded = RECORD.encode()
        self.assertTrue(refused(b"\2" + encoded[1:]))
        self.assertTrue(refused(encoded[:1] + b"\x08" + encoded[2:]))
        self.assertTrue(refused(encoded[:10] + bytes(8) + encoded[18:]))
        self.assertTrue(refused(encoded[:18] + b"\xff" * 4 + encoded[22:]))
        self.assertTrue(refused(encoded + bytes(MAX_RECORD)))
        self.assertTrue(refused(b""))

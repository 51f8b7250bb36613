"""
Tests for :mod:`eliop2p.control.messages` and :mod:`eliop2p.control.fields`.
"""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.fields import MAX_INTEGER, BadMessage, decode, encode
from eliop2p.control.membership import MembershipAnswer
from eliop2p.control.messages import (
    MAX_QUERIED,
    MAX_REPORTED,
    ChunkReport,
    Heartbeat,
    Location,
    LocationsAnswer,
    LocationsQuery,
    ReportAnswer,
    error_from_json,
    error_to_json,
    is_node_id,
    node_from_json,
    node_to_json,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo
from tests.control.support import chunk_id, node

counts = st.integers(0, MAX_INTEGER)
node_ids = st.text(min_size=1, max_size=255).filter(is_node_id)
labels = st.text(max_size=255).filter(str.isprintable)
chunk_ids = st.binary(min_size=32, max_size=32).map(ChunkId)
nodes = st.builds(
    PeerInfo,
    node_id=node_ids,
    host=st.from_regex(r"[A-Za-z0-9_.:%-]{1,253}", fullmatch=True),
    port=st.integers(1, 65535),
    proxy_port=st.integers(0, 65535),
    zone=labels,
    weight=st.floats(0, 1_000_000, exclude_min=True),
)
ids = st.lists(chunk_ids, max_size=5).map(tuple)
messages = st.one_of(
    st.builds(Heartbeat, counts, counts, counts, counts, counts),
    st.builds(ChunkReport, ids, ids),
    st.builds(LocationsQuery, ids),
    st.builds(
        LocationsAnswer,
        st.dictionaries(
            chunk_ids,
            st.builds(
                Location,
                st.integers(0, 10_000),
                st.lists(node_ids, max_size=3).map(tuple),
            ),
            max_size=4,
        ),
    ),
    st.builds(
        MembershipAnswer,
        counts,
        st.none() | st.lists(nodes, max_size=3).map(tuple),
    ),
    st.builds(ReportAnswer, counts, st.integers(0, MAX_REPORTED)),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)

NODE = {"node_id": "a", "host": "h", "port": 1}
HEARTBEAT = {
    "memory_used": 1,
    "disk_used": 2,
    "chunks": 3,
    "uploads": 4,
    "membership_version": 5,
}


class MessageTests(SynchronousTestCase):
    """
    What the messages promise.
    """

    @given(message=messages)
    def test_round_trip(self, message: Heartbeat) -> None:
        """
        A message that is written and read is the same message.
        """
        written = encode(message.to_json())
        self.assertEqual(type(message).from_json(decode(written)), message)

    @given(info=nodes)
    def test_node_round_trip(self, info: PeerInfo) -> None:
        """
        A node that is written and read is the same node.
        """
        self.assertEqual(node_from_json(decode(encode(node_to_json(info)))), info)

    @given(data=st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
    def test_anything(self, data: bytes) -> None:
        """
        Reading anything at all gives a message or a BadMessage.
        """
        for read in (
            node_from_json,
            Heartbeat.from_json,
            ChunkReport.from_json,
            LocationsQuery.from_json,
            LocationsAnswer.from_json,
            MembershipAnswer.from_json,
            ReportAnswer.from_json,
            error_from_json,
        ):
            try:
                read(decode(data))
            except BadMessage as error:
                self.assertTrue(error.remedy)
                self.assertLessEqual(len(error.value), 80)

    def assert_bad(self, read: object, value: object, field: str) -> None:
        """
        Reading fails with the field's name.
        """
        assert callable(read)
        error = self.assertRaises(BadMessage, read, value)
        self.assertEqual(error.field, field, str(error))

    def test_required_node_fields(self) -> None:
        """
        A node without its name, host or port is refused, and the field is named.
        """
        for field in NODE:
            rest = {name: value for name, value in NODE.items() if name != field}
            self.assert_bad(node_from_json, rest, field)
        self.assertEqual(node_from_json(NODE), PeerInfo("a", "h", 1))

    def test_node_bounds(self) -> None:
        """
        Every field of a node has bounds and a type of its own.
        """
        wrong: dict[str, tuple[object, ...]] = {
            "node_id": ("", "a" * 256, "a\nb", ".", "..", 7, None, "\ud800"),
            "host": ("", "a b", "h/", "é", "h" * 254, ["h"]),
            "port": (0, 65536, True, 1.0, "1", None, 10**30),
            "proxy_port": (-1, 65536, False),
            "zone": ("z" * 256, "\0", 1),
            "weight": (0, -1, 1e7, 10**400, True, "1", None, float("nan")),
        }
        for field, values in wrong.items():
            for value in values:
                self.assert_bad(node_from_json, NODE | {field: value}, field)

    def test_unknown_fields(self) -> None:
        """
        Fields that nobody knows are ignored.
        """
        self.assertEqual(
            node_from_json(NODE | {"colour": "red"}), PeerInfo("a", "h", 1)
        )
        self.assertEqual(
            Heartbeat.from_json(HEARTBEAT | {"x": []}), Heartbeat(1, 2, 3, 4, 5)
        )

    def test_heartbeat_fields(self) -> None:
        """
        Every field of a heartbeat is required and a count.
        """
        for field in HEARTBEAT:
            rest = {name: v for name, v in HEARTBEAT.items() if name != field}
            self.assert_bad(Heartbeat.from_json, rest, field)
            for value in (-1, 1.5, MAX_INTEGER + 1, "1", True):
                self.assert_bad(Heartbeat.from_json, HEARTBEAT | {field: value}, field)

    def test_report_bounds(self) -> None:
        """
        A report names up to 10,000 chunks, held and gone together, and at least one of
        the two lists.
        """
        one, half = [chunk_id(1).hex()], [chunk_id(1).hex()] * (MAX_REPORTED // 2)
        read = ChunkReport.from_json
        self.assert_bad(read, {}, "held")
        self.assert_bad(read, {"held": one * (MAX_REPORTED + 1)}, "held")
        self.assert_bad(read, {"held": half + one, "gone": half}, "held")
        self.assertEqual(read({"gone": one}), ChunkReport((), (chunk_id(1),)))
        self.assertEqual(len(read({"held": half, "gone": half}).gone), len(half))

    def test_query_bounds(self) -> None:
        """
        A query names up to 1,000 chunks.
        """
        many = [chunk_id(1).hex()] * (MAX_QUERIED + 1)
        self.assert_bad(LocationsQuery.from_json, {"chunk_ids": many}, "chunk_ids")
        self.assert_bad(LocationsQuery.from_json, {}, "chunk_ids")

    def test_chunk_ids(self) -> None:
        """
        A chunk id is 64 hexadecimal digits and nothing else, and a wrong one is named
        by its place.
        """
        good = "aB" * 32
        for bad in ("", "ab", "zz" * 32, "ab " * 21 + "a", 7, None, "ab" * 33):
            self.assert_bad(ChunkReport.from_json, {"held": [good, bad]}, "held[1]")

    def test_not_json(self) -> None:
        """
        What is not JSON in UTF-8 is refused: not a number, endless nesting, other
        encodings.
        """
        for data in (
            b"",
            b"{",
            b"\xff",
            b"NaN",
            b'{"a":Infinity}',
            b"[" * 100_000,
            '{"a":1}'.encode("utf-16"),
            b"9" * 5000,
        ):
            self.assertRaises(BadMessage, decode, data)

    def test_nested_paths(self) -> None:
        """
        An error inside a list of nodes says which node and which field.
        """
        value = {"version": 1, "nodes": [NODE, NODE | {"port": 0}]}
        self.assert_bad(MembershipAnswer.from_json, value, "nodes[1].port")

    def test_errors_round_trip(self) -> None:
        """
        What a server says of a bad message reaches whoever sent it.
        """
        error = error_from_json(error_to_json("port", "0", "send a port"))
        self.assertEqual(
            (error.field, error.value, error.remedy), ("port", "0", "send a port")
        )

    def test_deterministic(self) -> None:
        """
        The order of fields does not change what is written.
        """
        self.assertEqual(encode({"b": 1, "a": 2}), b'{"a":2,"b":1}')
        self.assertEqual(
            encode(node_to_json(node())),
            b'{"host":"10.0.0.1","node_id":"node-1","port":9000,"proxy_port":8080,'
            b'"weight":1.0,"zone":""}',
        )

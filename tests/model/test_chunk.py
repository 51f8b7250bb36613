"""
Tests for :mod:`eliop2p.model.chunk`.
"""

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import Layout, ObjectKey, ObjectVersion
from eliop2p.model.ranges import Interval

NAMES = st.binary(max_size=12)
KEYS = st.builds(ObjectKey, NAMES, NAMES, NAMES, NAMES)
VERSIONS = st.builds(ObjectVersion, NAMES, st.integers(0, 300))
LAYOUTS = st.builds(Layout, KEYS, VERSIONS, st.integers(1, 64))

KEY = ObjectKey(b"http://s:80", b"bucket", b"key", b"v1")
LAYOUT = Layout(KEY, ObjectVersion(b'"etag"', 1000), 100)
CHUNK_NAME = "f06e24c0492b9cba11f1b2f5f4f95d1c25e548cc53307447007b4cf52b299dd8"
OBJECT_NAME = "69e536698a5df0716a0310d8059274886162538442257047de841de6751ab615"


class LayoutTests(SynchronousTestCase):
    """
    How objects are cut.
    """

    @given(LAYOUTS)
    def test_pieces(self, layout: Layout) -> None:
        """
        The chunks follow each other without gap or overlap from the first byte to the
        last, all but the last of the chunk size.
        """
        chunks = [layout.chunk(index) for index in range(layout.count)]
        position = 0
        for index, chunk in enumerate(chunks):
            self.assertEqual((chunk.index, chunk.start), (index, position))
            self.assertEqual(
                chunk.interval, Interval(position, position + chunk.length)
            )
            self.assertGreater(chunk.length, 0)
            position += chunk.length
        self.assertEqual(position, layout.version.size)
        self.assertTrue(all(each.length == layout.chunk_size for each in chunks[:-1]))
        self.assertEqual(len({each.id for each in chunks}), len(chunks))

    @given(LAYOUTS, st.integers(), st.booleans())
    def test_no_such_piece(self, layout: Layout, distance: int, below: bool) -> None:
        """
        There are no chunks before the first and after the last.
        """
        index = -1 - abs(distance) if below else layout.count + abs(distance)
        self.assertRaises(IndexError, layout.chunk, index)

    @given(LAYOUTS, st.data())
    def test_covering(self, layout: Layout, data: st.DataObject) -> None:
        """
        The chunks that cover an interval are those that hold a byte of it, in order.
        """
        if not layout.version.size:
            return
        start = data.draw(st.integers(0, layout.version.size - 1))
        stop = data.draw(st.integers(start + 1, layout.version.size))
        wanted = Interval(start, stop)
        holding = [
            index
            for index in range(layout.count)
            if layout.chunk(index).interval.intersect(wanted)
        ]
        self.assertEqual(list(layout.covering(wanted)), holding)


class NameTests(SynchronousTestCase):
    """
    What chunks and objects are called.
    """

    def test_every_field_counts(self) -> None:
        """
        Another store, bucket, key, version id, ETag, size, chunk size or index is
        another chunk.
        """
        others = [
            attrs.evolve(LAYOUT, key=attrs.evolve(KEY, **{field.name: b"other"}))
            for field in attrs.fields(ObjectKey)
        ]
        others += [
            attrs.evolve(LAYOUT, version=ObjectVersion(b'"other"', 1000)),
            attrs.evolve(LAYOUT, version=ObjectVersion(b'"etag"', 1001)),
            attrs.evolve(LAYOUT, chunk_size=101),
        ]
        names = {layout.chunk(0).id for layout in (LAYOUT, *others)}
        names.add(LAYOUT.chunk(1).id)
        self.assertEqual(len(names), 2 + len(others))
        self.assertEqual({len(name) for name in names}, {32})

    @given(KEYS, KEYS)
    def test_objects(self, one: ObjectKey, other: ObjectKey) -> None:
        """
        Two objects share a name just when all their fields are equal, wherever the
        borders between the fields are.
        """
        self.assertEqual(one.object_id == other.object_id, one == other)
        moved = ObjectKey(one.store + one.bucket, b"", one.key, one.version_id)
        self.assertEqual(moved.object_id == one.object_id, moved == one)

    @given(LAYOUTS, LAYOUTS)
    def test_chunks(self, one: Layout, other: Layout) -> None:
        """
        Two chunks of the same place share a name just when their layouts are equal.
        """
        if one.count and other.count:
            same = one.chunk(0).id == other.chunk(0).id
            self.assertEqual(same, one == other)

    def test_stable(self) -> None:
        """
        Names do not change from one release to the next: disks and peers know them.
        """
        self.assertEqual(LAYOUT.chunk(3).id.hex(), CHUNK_NAME)
        self.assertEqual(KEY.object_id.hex(), OBJECT_NAME)

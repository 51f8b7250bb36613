"""
Tests for :mod:`eliop2p.cache.partial_layout`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.partial_layout import (
    RECORD,
    PartialName,
    Record,
    Standing,
    bytes_taken,
    decode_records,
    parse_partial,
    to_give_up,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.ranges import Interval

LENGTH = 100_000
EXTENTS = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(
    lambda pair: Interval(min(pair), max(pair) + 1)
)
RECORDS = st.builds(Record, EXTENTS, st.booleans(), st.binary(min_size=32, max_size=32))
STANDINGS = st.lists(
    st.builds(
        Standing,
        st.binary(min_size=4, max_size=4).map(ChunkId),
        st.integers(1, 100),
        st.floats(0, 1),
        st.integers(0, 100),
    ),
    unique_by=lambda each: each.chunk_id,
)


class RecordTests(SynchronousTestCase):
    """
    Lists of extents.
    """

    @given(st.lists(RECORDS), st.data())
    def test_torn(self, records: list[Record], data: st.DataObject) -> None:
        """
        A list is read up to where it was cut off or damaged, and no further.
        """
        text = b"".join(record.encode() for record in records)
        self.assertEqual(decode_records(text, LENGTH + 1), tuple(records))
        place = data.draw(st.integers(0, len(text)))
        whole = tuple(records[: place // RECORD])
        self.assertEqual(decode_records(text[:place], LENGTH + 1), whole)
        if place < len(text):
            bit = 1 << data.draw(st.integers(0, 7))
            hurt = text[:place] + bytes([text[place] ^ bit]) + text[place + 1 :]
            self.assertEqual(decode_records(hurt, LENGTH + 1), whole)

    @given(st.binary(max_size=3 * RECORD))
    def test_garbage(self, text: bytes) -> None:
        """
        Garbage lists nothing.
        """
        self.assertEqual(decode_records(text, LENGTH), ())

    def test_beyond(self) -> None:
        """
        Extents that a chunk cannot have are left out.
        """
        for extent in (Interval(0, LENGTH + 1), Interval(5, 5), Interval(6, 5)):
            text = Record(extent, True, bytes(32)).encode()
            self.assertEqual(decode_records(text, LENGTH), ())


class NameTests(SynchronousTestCase):
    """
    Names of files.
    """

    @given(st.binary(min_size=32, max_size=32), st.integers(1, 1 << 40))
    def test_round_trip(self, chunk_id: bytes, length: int) -> None:
        """
        A name is read as it was written; none that is a little different is ours.
        """
        name = PartialName(ChunkId(chunk_id), length)
        self.assertEqual(parse_partial(str(name)), name)
        for other in (f"{name}\n", f"x{name}", f"{name}-1", str(name)[1:], ""):
            self.assertIsNone(parse_partial(other))


class SizeTests(SynchronousTestCase):
    """
    Bytes that files take.
    """

    @given(st.lists(EXTENTS, max_size=8))
    def test_blocks(self, extents: list[Interval]) -> None:
        """
        Every block with a byte in it counts once, and the list in whole blocks.
        """
        blocks = {
            each
            for extent in extents
            for each in range(extent.start // 4096, (extent.stop - 1) // 4096 + 1)
        }
        size = bytes_taken(extents, len(extents))
        self.assertEqual(size, 4096 * (len(blocks) + (len(extents) > 0)))


class GivingUpTests(SynchronousTestCase):
    """
    Which partial chunks go.
    """

    @given(STANDINGS, st.integers(1, 500))
    def test_enough(self, standings: list[Standing], amount: int) -> None:
        """
        As many go as are needed, none of them in vain, and none if it does not help.
        """
        sizes = {each.chunk_id: each.size for each in standings}
        chosen = to_give_up(standings, amount)
        self.assertEqual(len(set(chosen)), len(chosen))
        freed = [sizes[each] for each in chosen]
        if sum(sizes.values()) < amount:
            self.assertEqual(chosen, ())
        else:
            self.assertGreaterEqual(sum(freed), amount)
            self.assertLess(sum(freed[:-1]), amount)

    def test_order(self) -> None:
        """
        Of the older half the one goes of which least is there.
        """
        standings = [
            Standing(ChunkId(b"old, half there"), 10, 0.5, 1),
            Standing(ChunkId(b"old, little there"), 10, 0.1, 2),
            Standing(ChunkId(b"new, nothing there"), 10, 0.0, 3),
            Standing(ChunkId(b"new, nearly whole"), 10, 0.9, 4),
        ]
        self.assertEqual(
            to_give_up(standings, 20), (b"old, little there", b"old, half there")
        )

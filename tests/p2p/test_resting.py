"""
Packed entries of a directory: nothing is lost by packing, and all is bounded.
"""

import gc
import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p import directory as directory_module
from eliop2p.p2p import resting as resting_module
from eliop2p.p2p.directory import (
    MAX_COMPLETE,
    MAX_ENTRIES,
    MAX_RECEIVED,
    Directory,
)
from eliop2p.p2p.entry import MOST_TURNS, Entry
from eliop2p.p2p.resting import FEW, Resting
from eliop2p.wire.events import Locate

GOOD = Digest(b"g" * 32)
BYTES_EACH = 256


def chunk_id(number: int) -> ChunkId:
    """
    Name a chunk.
    """
    return ChunkId(number.to_bytes(32, "big"))


def always(_node_id: str) -> bool:
    """
    Everybody is alive.
    """
    return True


class PackingTests(SynchronousTestCase):
    """
    What comes out is what went in.
    """

    @given(
        st.binary(min_size=32, max_size=32),
        st.booleans(),
        st.dictionaries(
            st.text(min_size=1, max_size=20),
            st.integers(0, 255),
            min_size=1,
            max_size=MAX_COMPLETE,
        ),
    )
    def test_round_trip(
        self, digest: bytes, vouched: bool, turns: dict[str, int]
    ) -> None:
        """
        Digest, whether it was vouched for, and the holders come back, and where there
        are few of them how often they had their turn.
        """
        resting = Resting(10)
        resting.put(
            chunk_id(1), Entry(digest, vouched, dict.fromkeys(turns, 0), turns=turns)
        )
        for found in (resting.get(chunk_id(1)), resting.take(chunk_id(1))):
            assert found is not None
            self.assertEqual((found.digest, found.vouched), (digest, vouched))
            self.assertEqual(found.complete, dict.fromkeys(turns, 0))
            most = MOST_TURNS if len(turns) <= FEW else 0
            known = {name: min(count, most) for name, count in turns.items()}
            self.assertEqual(found.turns, known)
        self.assertEqual(len(resting), 0)
        self.assertIsNone(resting.take(chunk_id(1)))

    def test_gone_for_good(self) -> None:
        """
        A node that is lost and comes back does not hold what it held before.
        """
        resting = Resting(10)
        resting.put(chunk_id(1), Entry(GOOD, False, {"a": 0, "b": 0}))
        resting.put(chunk_id(2), Entry(GOOD, False, {"a": 0}))
        resting.lost("a")
        resting.put(chunk_id(3), Entry(GOOD, False, {"a": 0}))
        found = resting.get(chunk_id(1))
        assert found is not None
        self.assertEqual(list(found.complete), ["b"])
        self.assertIsNone(resting.get(chunk_id(2)))
        self.assertEqual(len(resting), 2)

    def test_names_are_bounded(self) -> None:
        """
        Nodes that hold nothing any more are forgotten before there are too many.
        """
        self.patch(resting_module, "MAX_NAMES", 10)
        resting = Resting(10)
        resting.put(chunk_id(0), Entry(GOOD, False, {"stays": 0}))
        for number in range(1000):
            resting.put(chunk_id(1), Entry(GOOD, False, {f"node-{number}": 0}))
            resting.take(chunk_id(1))
        self.assertLessEqual(len(resting._names), 10)
        found = resting.get(chunk_id(0))
        assert found is not None
        self.assertEqual(list(found.complete), ["stays"])

    @given(st.lists(st.integers(0, 5000), min_size=1, max_size=64))
    def test_far_apart(self, numbers: list[int]) -> None:
        """
        Holders come back whatever their numbers are.
        """
        resting = Resting(10)
        names = {f"node-{number}": 0 for number in numbers}
        for number in range(max(numbers) + 1):
            resting._names.number(f"node-{number}")
        resting.put(chunk_id(1), Entry(GOOD, True, dict(names)))
        self.assertTrue(resting.add(chunk_id(1), next(iter(names)), GOOD, 64))
        found = resting.take(chunk_id(1))
        assert found is not None
        self.assertEqual((found.complete, found.vouched), (names, True))

    def test_no_number_left(self) -> None:
        """
        When every number is mentioned by an entry, one more node is not listed; a
        number that a node left behind is given away when no entry mentions it.
        """
        self.patch(resting_module, "MAX_NAMES", 3)
        resting = Resting(10)
        for number, name in enumerate("abc"):
            resting.put(chunk_id(number), Entry(GOOD, False, {name: 0}))
        resting.lost("a")
        resting.put(chunk_id(3), Entry(GOOD, False, {"d": 0, "b": 0}))
        found = resting.get(chunk_id(3))
        assert found is not None
        self.assertEqual(list(found.complete), ["b"])
        self.assertFalse(resting.add(chunk_id(3), "d", GOOD, 64))
        resting.put(chunk_id(4), Entry(GOOD, False, {"d": 0}))
        self.assertEqual(len(resting), 4)
        self.assertIsNone(resting.get(chunk_id(0)))
        self.assertTrue(resting.add(chunk_id(3), "d", GOOD, 64))
        found = resting.get(chunk_id(3))
        assert found is not None
        self.assertEqual(found.complete.keys(), {"b", "d"})


class BoundTests(SynchronousTestCase):
    """
    What a directory takes when somebody fills it.
    """

    def size(self, directory: Directory | Resting) -> float:
        """
        Tell the bytes for each chunk; tracing has begun before it was made.
        """
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        return (used - self.before) / len(directory)

    def trace(self) -> None:
        """
        Begin to count memory.
        """
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.before = tracemalloc.get_traced_memory()[0]

    def test_entry(self) -> None:
        """
        An entry with two holders takes at most 256 bytes, its chunk's name and its part
        of every table included; so a full directory takes half a gigabyte.
        """
        self.trace()
        directory = Directory(1)
        for number in range(20_000):
            name, digest = chunk_id(number), Digest(number.to_bytes(32, "little"))
            for holder in (number % 50, (number + 1) % 50):
                directory.have(f"node-{holder}", name, digest)
        self.assertLess(self.size(directory), BYTES_EACH)
        self.assertLess(BYTES_EACH * MAX_ENTRIES, 2**29)

    def test_entry_that_many_hold(self) -> None:
        """
        An entry with as many holders as are listed, out of a thousand nodes, takes at
        most 256 bytes, too.
        """
        self.trace()
        resting, rng = Resting(MAX_ENTRIES), random.Random(1)
        nodes = [f"node-{number}" for number in range(1000)]
        for number in range(20_000):
            held = dict.fromkeys(rng.sample(nodes, MAX_COMPLETE), 0)
            digest = number.to_bytes(32, "little")
            resting.put(chunk_id(number), Entry(digest, False, held))
        self.assertLess(self.size(resting), BYTES_EACH)

    def test_full(self) -> None:
        """
        A full directory stays full, and keeps what is used.
        """
        directory = Directory(1, max_entries=1000)
        for number in range(5000):
            directory.have(f"node-{number % 20}", chunk_id(number), GOOD)
            directory.have("node-0", chunk_id(0), GOOD)
            self.assertLessEqual(len(directory), 1000)
        self.assertEqual(len(directory), 1000)
        self.assertEqual(directory.holders(chunk_id(0)), ("node-0",))
        self.assertEqual(directory.holders(chunk_id(4999)), ("node-19",))

    def test_greedy(self) -> None:
        """
        A node that announces without end crowds itself out, and hardly anybody else.
        """
        directory = Directory(1, max_entries=1000)
        for number in range(300):
            directory.have("honest", chunk_id(number), GOOD)
        for number in range(10_000, 40_000):
            directory.have("liar", chunk_id(number), GOOD)
        self.assertEqual(len(directory), 1000)
        kept = sum(bool(directory.holders(chunk_id(n))) for n in range(300))
        self.assertGreater(kept, 150)

    def test_asking(self) -> None:
        """
        A node that asks for chunks without end is listed as receiving so many, the last
        ones.
        """
        self.patch(directory_module, "MAX_RECEIVED", 100)
        directory = Directory(1)
        for number in range(1000):
            asked = Locate(1, chunk_id(number), 0, True, ())
            directory.locate("asker", asked, always, 0.0)
        self.assertEqual(len(directory), 100)
        self.assertEqual(directory.receivers(chunk_id(999)), ("asker",))
        self.assertEqual(directory.receivers(chunk_id(0)), ())
        self.assertLess(MAX_RECEIVED, MAX_ENTRIES)

    def test_refusals(self) -> None:
        """
        Complaints about holders are not remembered without end.
        """
        self.patch(directory_module, "MAX_ACTIVE", 100)
        directory = Directory(1)
        for number in range(1000):
            directory.have("holder", chunk_id(number), GOOD)
            asked = Locate(1, chunk_id(number), 0, True, ("holder",))
            directory.locate("asker", asked, always, 0.0)
            directory.have("asker", chunk_id(number), GOOD)
        self.assertLessEqual(len(directory._active), 101)
        self.assertEqual(directory.holders(chunk_id(999)), ("holder", "asker"))

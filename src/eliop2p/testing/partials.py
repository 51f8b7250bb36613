"""
What every backend that keeps parts of chunks must keep to, as test cases.

In a test module, beside those of :mod:`eliop2p.testing.conformance`::

    MyPartialTests = partial_chunk_tests(make)
"""

# ruff: noqa: PT009 - These are tests, and trial's assertions are wanted.

from typing import cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    IPartialChunks,
    PartialChunk,
)
from eliop2p.model.chunk import Chunk, ChunkId
from eliop2p.model.pieces import Pieces
from eliop2p.model.ranges import Interval
from eliop2p.testing.conformance import LENGTH, Make, made_up, read_handle

CAPACITY = 64 * LENGTH
"""
Bytes that a backend under test may hold, partial chunks being a part of it.
"""


def bytes_of(partial: PartialChunk, length: int = LENGTH) -> dict[int, int]:
    """
    Give the bytes that are kept, by their places.
    """
    pieces = Pieces(length)
    for offset, data in (*partial.pieces, *partial.doubtful):
        pieces.add(offset, data)
    return {
        start + place: byte
        for start, data in pieces.within(Interval(0, length))
        for place, byte in enumerate(data)
    }


class _PartialTests(SynchronousTestCase):
    """
    The promises of :class:`eliop2p.interfaces.IPartialChunks`.
    """

    make: Make
    persistent: bool

    def setUp(self) -> None:
        """
        Make a backend and start it.
        """
        self.gone: list[ChunkId] = []
        self.settings = BackendSettings(CAPACITY, self.mktemp(), 0.9, 0.8, "lru")
        self.begin()

    def tearDown(self) -> None:
        """
        Stop the backend.
        """
        self.successResultOf(self.backend.stop())

    def begin(self) -> None:
        """
        Make a backend and start it.
        """
        self.backend: ICacheBackend = type(self).make(
            self, self.settings, self.gone.append
        )
        self.partials = cast("IPartialChunks", self.backend)
        self.successResultOf(self.backend.start())

    def keep(self, number: int, *extents: tuple[int, int], store: bool = True) -> bool:
        """
        Keep parts of a chunk.
        """
        chunk_id, data, _ = made_up(number)
        pieces = [(start, data[start:stop]) for start, stop in extents]
        chunk = Chunk(chunk_id, number, 0, LENGTH)
        return self.successResultOf(self.partials.checkpoint(chunk, pieces, store))

    def loaded(self, number: int) -> PartialChunk:
        """
        Load a part that is there.
        """
        partial = self.successResultOf(self.partials.load(made_up(number)[0]))
        assert partial is not None
        return partial

    def assert_kept(self, number: int, *extents: tuple[int, int]) -> None:
        """
        Demand that some bytes of a chunk are kept, and no others.
        """
        chunk_id, data, _ = made_up(number)
        places = {place for extent in extents for place in range(*extent)}
        listed = self.partials.extents_of(chunk_id)
        found = {place for each in listed for place in range(each.start, each.stop)}
        self.assertEqual(found, places)
        if extents:
            content = bytes_of(self.loaded(number))
            self.assertEqual(content, {place: data[place] for place in places})
        else:
            load = self.partials.load(chunk_id)
            self.assertIsNone(self.successResultOf(load))

    def test_interface(self) -> None:
        """
        The backend provides the interface.
        """
        self.assertTrue(verifyObject(IPartialChunks, self.backend))

    def test_extents(self) -> None:
        """
        Extents are kept as they come, and are no chunk.
        """
        self.assert_kept(1)
        self.assertTrue(self.keep(1, (100, 5000)))
        self.assertTrue(self.keep(1, (9000, 9001), (20_000, LENGTH)))
        self.assert_kept(1, (100, 5000), (9000, 9001), (20_000, LENGTH))
        chunk_id = made_up(1)[0]
        self.assertFalse(self.backend.contains(chunk_id))
        self.assertIsNone(self.successResultOf(self.backend.open(chunk_id)))
        self.assertEqual(self.backend.usage().chunks, 0)
        self.assertEqual(self.backend.usage().partial, 1)

    def test_overlap(self) -> None:
        """
        Extents may overlap and touch.
        """
        self.keep(1, (0, 5000))
        self.keep(1, (4000, 6000), (6000, 7000))
        self.assert_kept(1, (0, 7000))

    def test_source(self) -> None:
        """
        What came from peers is told apart from what came from the store.
        """
        data = made_up(1)[1]
        self.keep(1, (0, 5000))
        self.keep(1, (5000, 6000), store=False)
        self.assertEqual(self.loaded(1).pieces, ((0, data[:5000]),))
        self.assertEqual(self.loaded(1).doubtful, ((5000, data[5000:6000]),))
        extents = self.partials.extents_of(made_up(1)[0])
        self.assertEqual(extents, (Interval(0, 5000),))

    def test_whole(self) -> None:
        """
        A chunk that becomes whole is a chunk, and no longer partial.
        """
        self.keep(1, (100, 5000), (9000, 9001))
        used = self.backend.usage().used
        self.assertTrue(self.successResultOf(self.backend.put(*made_up(1))))
        self.assert_kept(1)
        handle = self.successResultOf(self.backend.open(made_up(1)[0]))
        assert handle is not None
        self.assertEqual(read_handle(handle), bytes(made_up(1)[1]))
        handle.close()
        self.assertEqual(self.backend.usage().partial, 0)
        self.successResultOf(self.backend.remove(made_up(1)[0]))
        self.assertLess(self.backend.usage().used, used)

    def test_not_of_a_whole_one(self) -> None:
        """
        No part is kept of a chunk that is there.
        """
        self.successResultOf(self.backend.put(*made_up(1)))
        self.assertFalse(self.keep(1, (0, 5000)))
        self.assert_kept(1)

    def test_discard(self) -> None:
        """
        What is discarded is gone, with its bytes; it may come again.
        """
        before = self.backend.usage().used
        self.keep(1, (0, 5000))
        self.assertGreater(self.backend.usage().used, before)
        self.successResultOf(self.partials.discard(made_up(1)[0]))
        self.assertEqual(self.backend.usage().used, before)
        self.assert_kept(1)
        self.successResultOf(self.partials.discard(made_up(1)[0]))
        self.keep(1, (1, 2))
        self.assert_kept(1, (1, 2))

    def test_bounded(self) -> None:
        """
        Parts give way to newer ones, and never take more than the capacity.
        """
        for number in range(200):
            self.keep(number, (0, LENGTH // 2))
            usage = self.backend.usage()
            self.assertLessEqual(usage.used, usage.capacity)
        self.assert_kept(0)
        self.assert_kept(199, (0, LENGTH // 2))
        for number in range(200, 300):
            self.assertTrue(self.successResultOf(self.backend.put(*made_up(number))))
        self.assertLessEqual(self.backend.usage().used, CAPACITY)

    def test_reopened(self) -> None:
        """
        A persistent backend knows its extents again, any other begins without.
        """
        self.keep(1, (100, 5000))
        self.keep(1, (9000, 9001))
        self.keep(2, (0, 5000), store=False)
        self.successResultOf(self.backend.stop())
        self.begin()
        if not self.persistent:
            self.assert_kept(1)
            return
        self.assert_kept(1, (100, 5000), (9000, 9001))
        self.assertEqual(self.loaded(2).doubtful, ((0, made_up(2)[1][:5000]),))


def partial_chunk_tests(
    make: Make, *, persistent: bool = False
) -> type[SynchronousTestCase]:
    """
    Make the test case for a backend.

    Args:
        make: Makes one; called several times in a test, with the same settings.
        persistent: Whether a backend finds what the one before it left at its path.

    Returns:
        A test case, to be given a name in a test module.
    """
    members = {
        "__module__": getattr(make, "__module__", __name__),
        "make": staticmethod(make),
        "persistent": persistent,
    }
    return type("PartialChunkTests", (_PartialTests,), members)

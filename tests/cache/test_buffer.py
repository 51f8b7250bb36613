"""
Tests for :mod:`eliop2p.cache.buffer`.
"""

import gc

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ChunkUnavailable, WrongAnswer
from eliop2p.cache.buffer import ChunkBuffer, digest_of
from eliop2p.cache.memory_pages import KEPT, MOST_KEPT, allocate
from eliop2p.interfaces import IChunkSink
from eliop2p.model.chunk import Chunk, ChunkId
from tests.p2p.memory_network import SteppedWorker

KIB = 1024
MIB = 1024 * KIB


class AllocateTests(SynchronousTestCase):
    """
    The memory of a chunk.
    """

    def test_lengths(self) -> None:
        """
        Memory of any length is writable, and bytes one by one.
        """
        for length in (1, 256 * KIB - 1, 256 * KIB, 2048 * KIB - 1, 2048 * KIB + 5):
            memory = allocate(length)
            self.assertEqual((len(memory), memory.format), (length, "B"))
            memory[-1:] = b"x"
            self.assertEqual(memory[-1], ord("x"))

    def test_used_again(self) -> None:
        """
        Memory that nobody has a view of is given to the next, and never while somebody
        has: not of the whole, not of a part, not to read.
        """
        gc.collect()
        memory = allocate(2 * MIB)
        memory[100:104] = b"mine"
        part = memory[100:104].toreadonly()
        del memory
        others = [allocate(2 * MIB) for _ in range(KEPT + 1)]
        for other in others:
            other[100:104] = b"none"
        self.assertEqual(bytes(part), b"mine")
        del part, other, others
        self.assertEqual(bytes(allocate(2 * MIB)[100:104]), b"none")

    def test_lengths_do_not_mix(self) -> None:
        """
        What was memory of one length is not given to who wants another.
        """
        for length in (2 * MIB, 4 * MIB, MOST_KEPT, 2 * MOST_KEPT, 2 * MIB):
            memory = allocate(length)
            memory[-1:] = b"x"
            self.assertEqual(len(memory), length)
            del memory

    def test_many(self) -> None:
        """
        There may be more small chunks than the system allows mappings.
        """
        self.assertEqual(len([allocate(10) for _ in range(100_000)]), 100_000)


class ChunkBufferTests(SynchronousTestCase):
    """
    A chunk that is received in its place.
    """

    def make(self, length: int) -> ChunkBuffer:
        """
        Make room for a chunk.
        """
        self.worker = SteppedWorker()
        self.grown: list[int] = []
        self.content = bytes(range(251)) * (length // 251 + 1)
        chunk = Chunk(ChunkId(bytes(32)), 0, 0, length)
        buffer = ChunkBuffer(
            chunk, self.worker, lambda: self.grown.append(buffer.filled)
        )
        return buffer

    def place(self, buffer: ChunkBuffer, start: int, stop: int) -> None:
        """
        Let bytes come straight to their place.
        """
        room = buffer.room(start, stop - start)
        assert room is not None
        room[:] = self.content[start:stop]
        buffer.wrote(start, stop - start)

    def test_interface(self) -> None:
        """
        It is what a chunk is received into.
        """
        verifyObject(IChunkSink, self.make(10))

    def test_places(self) -> None:
        """
        Bytes in their places count like bytes that are written; together they are the
        chunk, whose digest is there at once.
        """
        length = MIB + 77
        buffer = self.make(length)
        self.place(buffer, 0, 1000)
        buffer.write(1000, self.content[1000:2000])
        self.place(buffer, 300_000, length)
        self.assertEqual(self.grown, [1000, 2000])
        self.place(buffer, 2000, 300_000)
        self.assertEqual(self.grown, [1000, 2000, length])
        whole = self.content[:length]
        self.assertEqual(bytes(buffer.view), whole)
        digest = self.successResultOf(buffer.digest())
        self.assertEqual(digest, digest_of(memoryview(whole)))

    def test_no_place(self) -> None:
        """
        There is no place where there are bytes, past the end, and in a chunk that
        nobody wants any more: all that goes through write, which says what is wrong.
        """
        buffer = self.make(100)
        self.place(buffer, 0, 50)
        for offset, limit in ((0, 10), (49, 10), (50, 51), (101, 1)):
            self.assertIsNone(buffer.room(offset, limit))
        self.assertRaises(WrongAnswer, buffer.write, 50, bytes(51))
        self.assertIsNotNone(buffer.room(50, 50))
        buffer.close()
        self.assertIsNone(buffer.room(50, 50))
        self.assertRaises(ChunkUnavailable, buffer.write, 50, bytes(50))

    def test_much_at_once(self) -> None:
        """
        What comes in one piece, as from the disk, is hashed elsewhere.
        """
        length = 5 * MIB
        buffer = self.make(length)
        buffer.write(0, self.content[:length])
        digest = buffer.digest()
        self.assertNoResult(digest)
        self.worker.step()
        expected = digest_of(memoryview(self.content[:length]))
        self.assertEqual(self.successResultOf(digest), expected)

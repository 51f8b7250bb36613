"""
Tests for :mod:`eliop2p.cache.shared_memory`, and for what the memory tier gives of it.
"""

import gc
import os
import resource
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.buffer import allocate
from eliop2p.cache.memory import MemoryBackend
from eliop2p.cache.shared_memory import SharedMemory
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import MappedSpan, in_memory
from tests.net.loopback import open_descriptors

LENGTH = 1024 * 1024


class SharedMemoryTests(SynchronousTestCase):
    """
    Memory that is a file's as well.
    """

    def test_both(self) -> None:
        """
        What is written to the memory is read from the file, and it begins zeroed.
        """
        memory = SharedMemory(LENGTH)
        self.assertEqual(os.pread(memory.fd, LENGTH, 0), bytes(LENGTH))
        memory[100:103] = b"abc"
        self.assertEqual(os.pread(memory.fd, 5, 99), b"\0abc\0")

    def test_freed(self) -> None:
        """
        Both go with the last view of it, and no descriptor stays.
        """
        gc.collect()
        before, count = open_descriptors(), SharedMemory.count
        view = allocate(LENGTH)[10:20].toreadonly()
        self.assertEqual(SharedMemory.count, count + 1)
        self.assertEqual(bytes(view), bytes(10))
        del view
        gc.collect()
        self.assertEqual((open_descriptors(), SharedMemory.count), (before, count))

    def test_few_descriptors(self) -> None:
        """
        It takes an eighth of the descriptors at most; then, and when there are none at
        all, memory is of the ordinary kind.
        """
        limit = 16 * (SharedMemory.count + 2)
        with patch.object(resource, "getrlimit", lambda _: (limit, limit)):
            made = [allocate(LENGTH) for _ in range(4)]
        kinds = [isinstance(view.obj, SharedMemory) for view in made]
        self.assertEqual(kinds, [True, True, False, False])
        with patch.object(os, "memfd_create", side_effect=OSError(24, "none")):
            self.assertNotIsInstance(allocate(LENGTH).obj, SharedMemory)


class MemoryTierTests(SynchronousTestCase):
    """
    Chunks in such memory.
    """

    def test_spans(self) -> None:
        """
        Large parts of a chunk can be sent from the file, small ones are mere memory;
        both are the same bytes.
        """
        settings = BackendSettings(4 * LENGTH, "", 0.9, 0.8, "lru")
        tier = MemoryBackend(settings, Clock(), lambda _: None)
        data = allocate(LENGTH)
        data[:] = os.urandom(LENGTH)
        name = ChunkId(bytes(32))
        kept = tier.put(name, data.toreadonly(), Digest(bytes(32)))
        self.assertTrue(self.successResultOf(kept))
        handle = self.successResultOf(tier.open(name))
        assert handle is not None
        for span in (handle.span(5, 500_000), tier.view(name, 5, 500_005)):
            assert isinstance(span, MappedSpan)
            self.assertEqual(len(span), 500_000)
            self.assertEqual(os.pread(span.fd, 500_000, span.offset), data[5:500_005])
            self.assertEqual(in_memory(span), data[5:500_005])
        small = handle.span(7, 100)
        assert isinstance(small, memoryview)
        self.assertEqual(small, data[7:107])
        self.assertEqual(len(handle.span(LENGTH - 10, 500_000)), 10)
        handle.close()

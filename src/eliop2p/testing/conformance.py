"""
What every cache backend must keep to, as test cases.

In a test module::

    def make(case, settings, dropped):
        return MyBackend(settings, dropped)


    MyBackendTests = cache_backend_tests(make)
"""

# ruff: noqa: PT009, PT027 - These are tests, and trial's assertions are wanted.

import os
from collections.abc import Callable

from blake3 import blake3
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import LocalProtocolError
from eliop2p.interfaces import BackendSettings, ICacheBackend, IChunkHandle
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import FileSpan

CAPACITY = 1024 * 1024
"""
Bytes that a backend under test may hold.
"""

LENGTH = 64 * 1024
"""
Length of the chunks in the tests, in bytes.
"""

Dropped = Callable[[ChunkId], None]
Make = Callable[[SynchronousTestCase, BackendSettings, Dropped], ICacheBackend]
"""
Makes a backend for one test. Its Deferreds must fire at once, so its worker runs what
it is given in the calling thread.
"""


def made_up(number: int, length: int = LENGTH) -> tuple[ChunkId, memoryview, Digest]:
    """
    Make up a chunk.

    Returns:
        Its id, its content and its digest; the same ones for the same number.
    """
    chunk_id = blake3(b"chunk %d" % number).digest()
    data = blake3(b"content %d" % number).digest(length=length)
    return ChunkId(chunk_id), memoryview(data), Digest(blake3(data).digest())


def read_handle(handle: IChunkHandle) -> bytes:
    """
    Read an open chunk to its end, whatever its spans are.
    """
    content = b""
    while len(content) < handle.length:
        span = handle.span(len(content), handle.length - len(content))
        if isinstance(span, FileSpan):
            content += os.pread(span.fd, span.length, span.offset)
        else:
            content += bytes(span)
    return content


class _BackendTests(SynchronousTestCase):
    """
    The promises of :class:`eliop2p.interfaces.ICacheBackend`.
    """

    make: Make
    persistent: bool

    def setUp(self) -> None:
        """
        Make a backend and start it.
        """
        self.gone: list[ChunkId] = []
        self.settings = BackendSettings(CAPACITY, self.mktemp(), 0.9, 0.8, "tinylfu")
        self.backend = self.started()

    def tearDown(self) -> None:
        """
        Stop the backend.
        """
        self.successResultOf(self.backend.stop())

    def started(self) -> ICacheBackend:
        """
        Make a backend and start it.
        """
        backend = type(self).make(self, self.settings, self.gone.append)
        self.successResultOf(backend.start())
        return backend

    def put(self, number: int) -> bool:
        """
        Offer a chunk.
        """
        return self.successResultOf(self.backend.put(*made_up(number)))

    def opened(self, number: int) -> IChunkHandle:
        """
        Open a chunk that is there.
        """
        handle = self.successResultOf(self.backend.open(made_up(number)[0]))
        assert handle is not None
        return handle

    def assert_readable(self, number: int) -> None:
        """
        Check the content of a chunk that is there.
        """
        handle = self.opened(number)
        self.assertEqual(read_handle(handle), bytes(made_up(number)[1]))
        handle.close()

    def held(self) -> set[ChunkId]:
        """
        Name the chunks that the backend says it holds.
        """
        return set(self.backend.chunk_ids())

    def test_interface(self) -> None:
        """
        It provides ICacheBackend, and its handles provide IChunkHandle.
        """
        verifyObject(ICacheBackend, self.backend)
        self.put(1)
        handle = self.opened(1)
        verifyObject(IChunkHandle, handle)
        handle.close()

    def test_absent(self) -> None:
        """
        A chunk that was never put is absent in every way.
        """
        chunk_id, _, _ = made_up(1)
        self.assertFalse(self.backend.contains(chunk_id))
        self.assertIsNone(self.backend.digest_of(chunk_id))
        self.assertIsNone(self.successResultOf(self.backend.open(chunk_id)))
        self.assertFalse(self.successResultOf(self.backend.remove(chunk_id)))

    def test_round_trip(self) -> None:
        """
        A chunk that was put is there, with its digest, and reads as it was.
        """
        chunk_id, data, digest = made_up(1)
        self.assertTrue(self.put(1))
        self.assertTrue(self.backend.contains(chunk_id))
        self.assertEqual(self.backend.digest_of(chunk_id), digest)
        self.assertEqual(self.held(), {chunk_id})
        handle = self.opened(1)
        self.assertEqual((handle.length, handle.digest), (LENGTH, digest))
        self.assertEqual(read_handle(handle), bytes(data))
        handle.close()

    def test_parts(self) -> None:
        """
        A span has at most the bytes asked for, from where they were asked for.
        """
        self.put(1)
        handle = self.opened(1)
        self.assertEqual(len(handle.span(LENGTH - 10, 100)), 10)
        self.assertLessEqual(len(handle.span(5, 100)), 100)
        self.assertEqual(read_handle(handle)[5:105], bytes(made_up(1)[1][5:105]))
        handle.close()

    def test_put_twice(self) -> None:
        """
        A chunk that is put again is held once.
        """
        self.put(1)
        used = self.backend.usage().used
        self.assertTrue(self.put(1))
        self.assertEqual(self.backend.usage().used, used)
        self.assertEqual(self.backend.usage().chunks, 1)

    def test_closed_twice(self) -> None:
        """
        Closing a handle twice is a bug, and reading from a closed one too.
        """
        self.put(1)
        handle = self.opened(1)
        handle.close()
        self.assertRaises(LocalProtocolError, handle.close)
        self.assertRaises(LocalProtocolError, handle.span, 0, 1)

    def test_capacity(self) -> None:
        """
        Whatever is put, the capacity is never exceeded, and the last chunk is held.
        """
        for number in range(3 * CAPACITY // LENGTH):
            self.assertTrue(self.put(number))
            usage = self.backend.usage()
            self.assertLessEqual(usage.used, CAPACITY)
            self.assertEqual((usage.capacity, usage.degraded), (CAPACITY, ""))
            self.assert_readable(number)
        self.assertEqual(self.backend.usage().chunks, len(self.held()))

    def test_dropped(self) -> None:
        """
        Each chunk that makes room for others is told of once, and then absent.
        """
        everything = range(3 * CAPACITY // LENGTH)
        for number in everything:
            self.put(number)
        self.assertEqual(len(self.gone), len(set(self.gone)))
        names = {made_up(number)[0] for number in everything}
        self.assertEqual(names - self.held(), set(self.gone))

    def test_too_large(self) -> None:
        """
        A chunk longer than the capacity is refused and costs no other its place.
        """
        self.put(1)
        chunk = made_up(2, CAPACITY + 1)
        self.assertFalse(self.successResultOf(self.backend.put(*chunk)))
        self.assertFalse(self.backend.contains(chunk[0]))
        self.assert_readable(1)
        self.assertEqual(self.gone, [])

    def test_open_while_others_come(self) -> None:
        """
        A chunk that is open stays readable, whether it is evicted or not.
        """
        self.put(0)
        handle = self.opened(0)
        for number in range(1, 3 * CAPACITY // LENGTH):
            self.put(number)
            self.assertLessEqual(self.backend.usage().used, CAPACITY)
        self.assertEqual(read_handle(handle), bytes(made_up(0)[1]))
        handle.close()

    def test_remove(self) -> None:
        """
        A chunk removed by name is absent at once, readable where it is open, and not
        told of.
        """
        self.put(1)
        handle = self.opened(1)
        chunk_id = made_up(1)[0]
        self.assertTrue(self.successResultOf(self.backend.remove(chunk_id)))
        self.assertFalse(self.backend.contains(chunk_id))
        self.assertIsNone(self.successResultOf(self.backend.open(chunk_id)))
        self.assertEqual(read_handle(handle), bytes(made_up(1)[1]))
        handle.close()
        self.assertEqual((self.gone, self.backend.usage().chunks), ([], 0))

    def test_remove_and_put(self) -> None:
        """
        A chunk that was removed can be put again, even while it is open.
        """
        self.put(1)
        handle = self.opened(1)
        self.successResultOf(self.backend.remove(made_up(1)[0]))
        self.assertTrue(self.put(1))
        self.assert_readable(1)
        handle.close()
        self.assert_readable(1)

    def test_room_comes_back(self) -> None:
        """
        Removing every chunk and closing every handle gives all room back.
        """
        empty = self.backend.usage().used
        for number in range(4):
            self.put(number)
        handles = [self.opened(number) for number in range(4)]
        for number in range(4):
            self.successResultOf(self.backend.remove(made_up(number)[0]))
        for handle in handles:
            handle.close()
        self.assertEqual(self.backend.usage().used, empty)

    def test_reopened(self) -> None:
        """
        After a restart a persistent backend has what it had, and another one nothing.
        """
        for number in range(4):
            self.put(number)
        before = self.held() if self.persistent else set()
        self.successResultOf(self.backend.stop())
        self.backend = self.started()
        self.assertEqual(self.held(), before)
        for number in range(4) if self.persistent else ():
            self.assert_readable(number)


def cache_backend_tests(
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
    return type("CacheBackendTests", (_BackendTests,), members)

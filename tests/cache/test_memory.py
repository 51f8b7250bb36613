"""
Tests for :mod:`eliop2p.cache.memory`.
"""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import BackendSettings, ICacheBackend, IChunkHandle
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import cache_backend_tests, made_up, read_handle


def make(
    case: SynchronousTestCase,
    settings: BackendSettings,
    dropped: Callable[[ChunkId], None],
) -> ICacheBackend:
    """
    Make a memory backend.
    """
    return MemoryBackend(settings, Clock(), dropped)


MemoryConformanceTests = cache_backend_tests(make)


class MemoryTests(SynchronousTestCase):
    """
    What the memory tier promises beyond the conformance suite.
    """

    def setUp(self) -> None:
        """
        Make a backend with room for four chunks of 100 bytes.
        """
        self.gone: list[ChunkId] = []
        self.clock = Clock()
        settings = BackendSettings(400, "", 1.0, 1.0, "tinylfu")
        self.backend = MemoryBackend(settings, self.clock, self.gone.append)

    def put(self, number: int) -> bool:
        """
        Offer a chunk of 100 bytes.
        """
        return self.successResultOf(self.backend.put(*made_up(number, 100)))

    def opened(self, number: int) -> IChunkHandle:
        """
        Open a chunk that is there.
        """
        handle = self.successResultOf(self.backend.open(made_up(number)[0]))
        assert handle is not None
        return handle

    def test_no_copy(self) -> None:
        """
        The very buffer that was put is what is given out.
        """
        chunk_id, _, digest = made_up(1, 100)
        buffer = bytearray(100)
        self.backend.put(chunk_id, memoryview(buffer), digest)
        span = self.opened(1).span(10, 20)
        assert isinstance(span, memoryview)
        self.assertIs(span.obj, buffer)

    def test_open_bytes_count(self) -> None:
        """
        Bytes of removed chunks count while they are open, and what then does not fit is
        refused.
        """
        for number in range(4):
            self.put(number)
        handles = [self.opened(number) for number in range(4)]
        for number in range(4):
            self.backend.remove(made_up(number)[0])
        self.assertEqual(self.backend.usage().used, 400)
        self.assertFalse(self.put(5))
        handles[0].close()
        self.assertTrue(self.put(5))
        self.assertEqual(self.backend.open_handles, 3)

    def test_other_content(self) -> None:
        """
        A chunk put with another digest replaces the one before.
        """
        chunk_id, _, _ = made_up(1, 100)
        self.put(1)
        _, data, digest = made_up(2, 100)
        self.assertTrue(self.successResultOf(self.backend.put(chunk_id, data, digest)))
        self.assertEqual(read_handle(self.opened(1)), bytes(data))
        self.assertEqual((self.gone, self.backend.usage().used), ([], 100))

    def test_scan(self) -> None:
        """
        Reading a data set once does not push out what is used again and again.
        """
        for _ in range(2):
            self.put(1)
            self.opened(1).close()
            self.clock.advance(1)
        for number in range(10, 30):
            self.put(number)
            self.opened(number).close()
        self.assertTrue(self.backend.contains(made_up(1)[0]))


class MemoryMachine(RuleBasedStateMachine):
    """
    The memory tier against a dict of what was put.
    """

    def __init__(self) -> None:
        super().__init__()
        self.capacity = 1000
        self.told: list[ChunkId] = []
        self.backend = MemoryBackend(
            BackendSettings(self.capacity, "", 0.9, 0.7, "lru"),
            Clock(),
            self.told.append,
        )
        self.twin: dict[ChunkId, int] = {}
        self.open: list[tuple[int, int, IChunkHandle]] = []

    @rule(number=st.integers(0, 15), length=st.sampled_from([1, 90, 300, 1001]))
    def put(self, number: int, length: int) -> None:
        """
        Put a chunk, perhaps under a name that is taken.
        """
        chunk_id, data, digest = made_up(number, length)
        results: list[bool] = []
        self.backend.put(chunk_id, data, digest).addCallback(results.append)
        if results == [True]:
            self.twin[chunk_id] = length
        for gone in self.told:
            if gone != chunk_id or results == [False]:
                del self.twin[gone]
        self.told.clear()

    @rule(number=st.integers(0, 15))
    def remove(self, number: int) -> None:
        """
        Remove a chunk.
        """
        chunk_id = made_up(number)[0]
        results: list[bool] = []
        self.backend.remove(chunk_id).addCallback(results.append)
        assert results == [self.twin.pop(chunk_id, None) is not None]

    @rule(number=st.integers(0, 15))
    def look(self, number: int) -> None:
        """
        Open a chunk.
        """
        chunk_id = made_up(number)[0]
        results: list[IChunkHandle | None] = []
        self.backend.open(chunk_id).addCallback(results.append)
        handle = results[0]
        assert (handle is None) == (chunk_id not in self.twin)
        if handle is not None:
            self.open.append((number, self.twin[chunk_id], handle))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """
        Read and close one of the open chunks.
        """
        index = data.draw(st.integers(0, len(self.open) - 1))
        number, length, handle = self.open.pop(index)
        assert read_handle(handle) == bytes(made_up(number, length)[1])
        handle.close()

    @invariant()
    def bounded(self) -> None:
        """
        What is held is what was put, and all that is held or open fits.
        """
        held = set(self.backend.chunk_ids())
        assert held == set(self.twin)
        usage = self.backend.usage()
        assert sum(self.twin.values()) <= usage.used <= self.capacity
        assert usage.chunks == len(self.twin)
        assert self.backend.open_handles == len(self.open)
        if not self.open:
            assert usage.used == sum(self.twin.values())


class MemoryMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        The tier behaves as a dict does, within its capacity.
        """
        run_state_machine_as_test(MemoryMachine)

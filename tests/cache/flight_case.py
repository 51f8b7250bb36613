"""
What the tests of arriving chunks share.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import BackendSettings, IChunkReading
from eliop2p.model.chunk import ChunkId
from eliop2p.model.span import Span
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import FakeOrigin, FakeSource, InlineWorker, chunk_of

LENGTH = 1000


class FlightCase(SynchronousTestCase):
    """
    A manager with a memory tier for ten chunks and room for two in flight.
    """

    capacity = 10 * LENGTH

    def setUp(self) -> None:
        """
        Make the manager.
        """
        self.source = FakeSource()
        self.clock = Clock()
        settings = BackendSettings(self.capacity, "", 1.0, 1.0, "lru")
        self.memory = MemoryBackend(settings, self.clock, self.dropped)
        self.manager = ChunkManager(
            self.memory,
            None,
            self.source,
            InlineWorker(),
            self.clock,
            inflight_bytes=2 * LENGTH,
        )
        self.successResultOf(self.manager.start())

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Pass on what a tier says; the tiers are made before the manager.
        """
        self.manager.dropped(chunk_id)

    def open(self, number: int, origin: FakeOrigin | None = None) -> IChunkReading:
        """
        Open a chunk as a client does.
        """
        opening = self.manager.open(chunk_of(number, LENGTH), origin or FakeOrigin())
        return self.successResultOf(opening)

    def read_all(self, reading: IChunkReading) -> bytes:
        """
        Read a chunk that is there to its end.
        """
        content = b""
        while len(content) < reading.length:
            content += self.bytes_of(reading.read(len(content), 300))
        return content

    def bytes_of(self, reading: Deferred[Span]) -> bytes:
        """
        Give the bytes that came.
        """
        span = self.successResultOf(reading)
        assert isinstance(span, memoryview)
        self.assertTrue(span.readonly)
        return bytes(span)

    def content(self, number: int) -> bytes:
        """
        Give the right content of a chunk.
        """
        return bytes(made_up(number, LENGTH)[1])

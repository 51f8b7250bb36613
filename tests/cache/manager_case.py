"""
A chunk manager over real tiers.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import (
    BackendSettings,
    IChunkReading,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import (
    FakeOrigin,
    FakeSource,
    InlineWorker,
    SteppedWorker,
    chunk_of,
)

LENGTH = 4096


class ManagerCase(SynchronousTestCase):
    """
    A manager with a memory tier and a disk tier.
    """

    def setUp(self) -> None:
        """
        Make a manager with memory for four chunks and a disk for fifteen.
        """
        self.path = self.mktemp()
        self.files = ChunkFiles(self.path)
        self.source = FakeSource()
        self.clock = Clock()
        self.worker: InlineWorker | SteppedWorker = InlineWorker()
        self.begin()

    def tearDown(self) -> None:
        """
        Unlock the directory.
        """
        self.files.release()

    def begin(self) -> None:
        """
        Make the tiers and the manager, and start them.
        """
        self.files.claim()
        self.memory = MemoryBackend(
            BackendSettings(4 * LENGTH, "", 1.0, 1.0, "lru"),
            self.clock,
            self.dropped,
        )
        self.disk = DirectoryBackend(
            self.files,
            BackendSettings(16 * LENGTH, self.path, 1.0, 1.0, "lru"),
            self.worker,
            self.clock,
            self.dropped,
        )
        self.manager = ChunkManager(
            self.memory,
            self.disk,
            self.source,
            self.worker,
            self.clock,
            inflight_bytes=10 * LENGTH,
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

    def fetch(self, number: int) -> None:
        """
        Have a chunk fetched, and read it.
        """
        reading = self.open(number)
        self.source.serve(number, LENGTH)
        reading.close()

    def name(self, *numbers: int) -> list[bytes]:
        """
        Name chunks.
        """
        return [made_up(number)[0] for number in numbers]

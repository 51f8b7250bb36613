"""
A disk tier within a test.
"""

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.layout import ChunkName
from eliop2p.interfaces import BackendSettings, IChunkHandle, IWorker
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.disk_tools import FaultyFiles
from tests.cache.doubles import InlineWorker

KIB = 1024
LENGTH = 8 * KIB


class DiskCase(SynchronousTestCase):
    """
    A tier, by default with room for seven chunks of 8 KiB besides its own files.
    """

    capacity = 64 * KIB
    min_free = 0
    scrub_rate = 0

    def setUp(self) -> None:
        """
        Make a tier and start it.
        """
        self.gone: list[ChunkId] = []
        self.clock = Clock()
        self.path = self.mktemp()
        self.worker: IWorker = InlineWorker()
        self.begin()
        self.successResultOf(self.backend.start())

    def tearDown(self) -> None:
        """
        Unlock the directory.
        """
        self.files.release()

    def begin(self) -> None:
        """
        Make a tier without starting it.
        """
        self.files = FaultyFiles(self.path, self.min_free)
        self.files.claim()
        settings = BackendSettings(
            self.capacity,
            self.path,
            0.9,
            0.8,
            "lru",
            min_free=self.min_free,
            scrub_rate=self.scrub_rate,
        )
        self.backend = DirectoryBackend(
            self.files, settings, self.worker, self.clock, self.gone.append
        )

    def restart(self, *, polite: bool = True) -> None:
        """
        End the tier, in good order or not, and start another.
        """
        if polite:
            self.successResultOf(self.backend.stop())
        self.files.release()
        self.begin()
        self.successResultOf(self.backend.start())

    def put(self, number: int, length: int = LENGTH) -> bool:
        """
        Offer a chunk.
        """
        return self.successResultOf(self.backend.put(*made_up(number, length)))

    def opened(self, number: int) -> IChunkHandle | None:
        """
        Open a chunk.
        """
        return self.successResultOf(self.backend.open(made_up(number)[0]))

    def reads(self, number: int, length: int = LENGTH) -> bool:
        """
        Tell whether a chunk can be read, and see that it is right then.
        """
        handle = self.opened(number)
        if handle is None:
            return False
        self.assertEqual(read_handle(handle), bytes(made_up(number, length)[1]))
        handle.close()
        return True

    def file_of(self, number: int, length: int = LENGTH) -> Path:
        """
        Say where a chunk is.
        """
        chunk_id, _, digest = made_up(number, length)
        return Path(self.path, ChunkName(chunk_id, length, digest).path)

    def held(self, *numbers: int) -> list[int]:
        """
        Tell which of some chunks are there.
        """
        return [each for each in numbers if self.backend.contains(made_up(each)[0])]

"""
What tests of the LMDB tier share.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import lmdb
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.lmdb_backend import LmdbBackend
from eliop2p.cache.lmdb_factory import LmdbFactory
from eliop2p.cache.lmdb_files import LmdbFiles
from eliop2p.cache.lmdb_rows import Tables
from eliop2p.cache.lmdb_store import Change, LmdbStore
from eliop2p.interfaces import (
    BackendSettings,
    ICacheBackend,
    IChunkHandle,
    IWorker,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.doubles import InlineWorker

KIB = 1024
CAPACITY = 1024 * KIB


def make(
    case: SynchronousTestCase,
    settings: BackendSettings,
    dropped: Callable[[ChunkId], None],
) -> ICacheBackend:
    """
    Make an LMDB backend.
    """
    return LmdbFactory().make(settings, InlineWorker(), Clock(), dropped)


class FaultyStore(LmdbStore):
    """
    A file on a disk that fails as told.

    Attributes:
        faults: What the next transactions fail with.
        transactions: How many changes each transaction had.
    """

    def __init__(self, files: LmdbFiles, capacity: int, min_free: int) -> None:
        super().__init__(files, capacity, min_free)
        self.faults: list[lmdb.Error] = []
        self.transactions: list[int] = []

    def _write(self, tables: Tables, changes: Sequence[Change]) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.transactions.append(len(changes))
        super()._write(tables, changes)


class LmdbCase(SynchronousTestCase):
    """
    A backend with room for a MiB.
    """

    def setUp(self) -> None:
        """
        Make a backend.
        """
        self.gone: list[ChunkId] = []
        self.clock = Clock()
        self.path = self.mktemp()
        self.begin(InlineWorker())

    def tearDown(self) -> None:
        """
        Let go of the file.
        """
        self.store.abandon()

    def begin(
        self, worker: IWorker, capacity: int = CAPACITY, min_free: int = 0
    ) -> Deferred[None]:
        """
        Make a backend and start it.
        """
        files = LmdbFiles(self.path)
        files.claim()
        self.store = FaultyStore(files, capacity, min_free)
        settings = BackendSettings(capacity, self.path, 0.9, 0.8, "lru", min_free)
        self.backend = LmdbBackend(
            self.store, settings, worker, self.clock, self.gone.append
        )
        return self.backend.start()

    def crash(self) -> None:
        """
        Die, and begin anew.
        """
        self.store.abandon()
        self.successResultOf(self.begin(InlineWorker()))

    def stop(self) -> None:
        """
        Stop in good order.
        """
        self.successResultOf(self.backend.stop())

    def restart(self) -> None:
        """
        Stop in good order, and begin anew.
        """
        self.stop()
        self.successResultOf(self.begin(InlineWorker()))

    def put(self, number: int, length: int = 4096) -> bool:
        """
        Offer a chunk.
        """
        return self.successResultOf(self.backend.put(*made_up(number, length)))

    def opened(self, number: int) -> IChunkHandle | None:
        """
        Open a chunk.
        """
        return self.successResultOf(self.backend.open(made_up(number)[0]))

    def is_right(self, number: int, length: int = 4096) -> bool:
        """
        Tell whether a chunk is there; it must be right then.
        """
        handle = self.opened(number)
        if handle is None:
            return False
        self.assertEqual(read_handle(handle), bytes(made_up(number, length)[1]))
        handle.close()
        return True

    @property
    def file(self) -> Path:
        """
        The file with the chunks.
        """
        return Path(self.path, "chunks.mdb")

    def damage(self, number: int) -> None:
        """
        Change a bit of a chunk's content in the file, wherever it is.
        """
        content = bytes(made_up(number, 4096)[1])[:64]
        data = bytearray(self.file.read_bytes())
        position = data.find(content)
        self.assertGreater(position, 0)
        while position >= 0:
            with self.file.open("r+b") as file:
                file.seek(position)
                file.write(bytes([content[0] ^ 1]))
            position = data.find(content, position + 1)

"""
Cache backends that can be killed and damaged, for :mod:`tests.cache.backend_machine`.
"""

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from blake3 import blake3
from twisted.internet.task import Clock

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.lmdb_backend import LmdbBackend
from eliop2p.cache.lmdb_files import LmdbFiles
from eliop2p.cache.lmdb_store import LmdbStore
from eliop2p.cache.memory import MemoryFactory
from eliop2p.interfaces import BackendSettings, ICacheBackend
from eliop2p.model.chunk import ChunkId, Digest
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker

KIB = 1024

_PLACE = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""
Where syncing costs nothing: no machine goes down here, only processes.
"""

Held = Mapping[ChunkId, bytes]
"""
What a backend is believed to hold.
"""


class Rig(ABC):
    """
    A backend and the place where it keeps its chunks.

    Attributes:
        capacity: Bytes that it may hold.
        lengths: Of the chunks to be put; some make others go.
        persistent: Whether chunks outlive the process.
        told: Called by the backend for chunks that are dropped.
    """

    capacity: int
    lengths: tuple[int, ...]
    persistent = True

    def __init__(self, told: Callable[[ChunkId], None], policy: str) -> None:
        self.path = tempfile.mkdtemp(dir=_PLACE)
        self.told = told
        self.policy = policy
        self.clock = Clock()

    @property
    def settings(self) -> BackendSettings:
        """
        What the backend is made from.
        """
        return BackendSettings(self.capacity, self.path, 0.9, 0.7, self.policy)

    @abstractmethod
    def start(self) -> ICacheBackend:
        """
        Make a backend as a new process would, and start it.
        """

    @abstractmethod
    def die(self) -> None:
        """
        Let go of everything as the end of the process would.
        """

    def disk_usage(self) -> int:
        """
        Give the bytes that are taken on the disk.
        """
        return bytes_below(self.path)

    def flip(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Change a bit of a chunk.

        Returns:
            The chunks that may have suffered.
        """
        del chunk_id, held
        return set()

    def cut(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Cut the file that a chunk is in.

        Returns:
            The chunks that may have suffered.
        """
        del chunk_id, held
        return set()

    def unlink(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Remove the file that a chunk is in.

        Returns:
            The chunks that may have suffered.
        """
        del chunk_id, held
        return set()

    def close(self) -> None:
        """
        Remove everything.
        """
        self.die()
        shutil.rmtree(self.path, ignore_errors=True)


class MemoryRig(Rig):
    """
    The memory tier.
    """

    capacity = 40 * KIB
    lengths = (1, 4096, 9000, 50_000)
    persistent = False

    def start(self) -> ICacheBackend:
        """
        Make an empty one.
        """
        return MemoryFactory().make(
            self.settings, InlineWorker(), self.clock, self.told
        )

    def die(self) -> None:
        """
        There is nothing to let go of.
        """


class DirectoryRig(Rig):
    """
    The tier with a file for each chunk.
    """

    capacity = 40 * KIB
    lengths = (1, 4096, 9000, 50_000)

    def start(self) -> ICacheBackend:
        """
        Claim the directory and list it.
        """
        self.files = ChunkFiles(self.path)
        self.files.claim()
        self.clock = Clock()
        backend = DirectoryBackend(
            self.files, self.settings, InlineWorker(), self.clock, self.told
        )
        backend.start()
        return backend

    def die(self) -> None:
        """
        Leave something half written, and unlock the directory.
        """
        Path(self.path, "tmp", "half").write_bytes(bytes(5000))
        self.files.release()

    def flip(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Change the first byte of a file.
        """
        path = self._file(chunk_id, held)
        if path.exists():
            content = path.read_bytes()
            path.write_bytes(bytes([held[chunk_id][0] ^ 1]) + content[1:])
        return {chunk_id}

    def cut(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Halve a file.
        """
        path = self._file(chunk_id, held)
        if path.exists():
            os.truncate(path, path.stat().st_size // 2)
        return {chunk_id}

    def unlink(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Remove a file.
        """
        self._file(chunk_id, held).unlink(missing_ok=True)
        return {chunk_id}

    def _file(self, chunk_id: ChunkId, held: Held) -> Path:
        content = held[chunk_id]
        digest = Digest(blake3(content).digest())
        return Path(self.path, ChunkName(chunk_id, len(content), digest).path)


class LmdbRig(Rig):
    """
    The tier with one file for all chunks.
    """

    capacity = 1024 * KIB
    lengths = (1, 4096, 90_000, 1_100_000)

    def start(self) -> ICacheBackend:
        """
        Claim the directory and open the file.
        """
        files = LmdbFiles(self.path)
        files.claim()
        self.store = LmdbStore(files, self.capacity, 0)
        self.clock = Clock()
        backend = LmdbBackend(
            self.store, self.settings, InlineWorker(), self.clock, self.told
        )
        backend.start()
        return backend

    def die(self) -> None:
        """
        Close the file as the kernel would.
        """
        self.store.abandon()

    def flip(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Change the first byte of a chunk wherever the file has it.
        """
        content = held[chunk_id][:32]
        if len(content) < 32 or not self._file.exists():
            return set()
        data = self._file.read_bytes()
        position = data.find(content)
        with self._file.open("r+b") as file:
            while position >= 0:
                file.seek(position)
                file.write(bytes([content[0] ^ 1]))
                position = data.find(content, position + 1)
        return {chunk_id}

    def cut(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Halve the file.
        """
        if self._file.exists():
            os.truncate(self._file, self._file.stat().st_size // 2)
        return set(held)

    def unlink(self, chunk_id: ChunkId, held: Held) -> set[ChunkId]:
        """
        Remove the file.
        """
        self._file.unlink(missing_ok=True)
        return set(held)

    @property
    def _file(self) -> Path:
        return self.store.path


RIGS: dict[str, type[Rig]] = {
    "memory": MemoryRig,
    "directory": DirectoryRig,
    "lmdb": LmdbRig,
}
"""
The rigs by the names of their backends.
"""

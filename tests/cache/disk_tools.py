"""
What the tests of the disk tier share.
"""

import contextlib
import os
from pathlib import Path

from eliop2p.cache.files import Begun, ChunkFiles
from eliop2p.cache.layout import ChunkName, size_on_disk
from eliop2p.cache.partial_layout import PARTIAL


def bytes_below(path: str) -> int:
    """
    Add up the blocks of all files in a directory, which may be at work: a file that is
    renamed meanwhile counts once, one that has gone does not. Those of partial chunks
    have holes.
    """
    sizes: dict[int, int] = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = Path(folder, name).stat()
                sparse = Path(folder).name == PARTIAL
                size = status.st_blocks * 512 if sparse else status.st_size
                sizes[status.st_ino] = size_on_disk(size)
    return sum(sizes.values())


def descriptors() -> int:
    """
    Count the open file descriptors of this process.
    """
    return len(list(Path("/proc/self/fd").iterdir()))


class FaultyFiles(ChunkFiles):
    """
    A directory on a disk that fails as told.

    Attributes:
        fault: The number of the error, 0 for none.
        faults: How often it is met before it is over, -1 for always.
        paged: Whether the kernel tells what it has in memory.
    """

    fault = 0
    faults = -1
    paged = False

    def write(
        self, name: ChunkName, data: memoryview, begun: Begun | None = None
    ) -> None:
        """
        Write, or fail half way.
        """
        if self.fault:
            (self.root / "tmp" / str(name)).write_bytes(data[: len(data) // 2])
            self._fail()
        super().write(name, data, begun)

    def probe(self, length: int) -> None:
        """
        Try the disk, or fail.
        """
        self._fail()
        super().probe(length)

    def open_checked(self, name: ChunkName) -> int:
        """
        Open, or fail.
        """
        self._fail()
        return super().open_checked(name)

    def open_at_once(self, name: ChunkName) -> int:
        """
        Open, unless nothing is known of what the page cache has.
        """
        return super().open_at_once(name) if self.paged else -1

    def remove(self, names: tuple[ChunkName, ...]) -> tuple[OSError | None, ...]:
        """
        Remove, or fail for each.
        """
        if self.fault:
            return tuple(OSError(self.fault, os.strerror(self.fault)) for _ in names)
        return super().remove(names)

    def _fail(self) -> None:
        fault = self.fault
        if fault:
            self.faults -= 1
            if not self.faults:
                self.fault = 0
            raise OSError(fault, os.strerror(fault))

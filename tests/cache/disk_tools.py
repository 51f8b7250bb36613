"""
What the tests of the disk tier share.
"""

import os
from pathlib import Path

from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName, size_on_disk


def bytes_below(path: str) -> int:
    """
    Add up the blocks of all files in a directory.
    """
    return sum(
        size_on_disk(Path(folder, name).stat().st_size)
        for folder, _, names in os.walk(path)
        for name in names
    )


def descriptors() -> int:
    """
    Count the open file descriptors of this process.
    """
    return len(list(Path("/proc/self/fd").iterdir()))


class FaultyFiles(ChunkFiles):
    """
    A directory on a disk that fails as told.
    """

    fault = 0

    def write(self, name: ChunkName, data: memoryview) -> None:
        """
        Write, or fail half way.
        """
        if self.fault:
            (self.root / "tmp" / str(name)).write_bytes(data[: len(data) // 2])
            raise OSError(self.fault, os.strerror(self.fault))
        super().write(name, data)

    def probe(self, length: int) -> None:
        """
        Try the disk, or fail.
        """
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        super().probe(length)

    def open_checked(self, name: ChunkName) -> int:
        """
        Open, or fail.
        """
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        return super().open_checked(name)

"""
How much there may be in a directory that has not been listed yet.
"""

import os

from eliop2p.cache.disk_claim import sync_directory
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import BLOCK, CEILING_FILE, size_on_disk
from eliop2p.interfaces import IWorker

_STEPS = 64
"""
How often the ceiling is raised while an empty tier fills up.
"""

_DIGITS = 20


class Ceiling:
    """
    A number of bytes in a file, that what is in the directory never exceeds.

    It is raised, and safe on the disk, before anything more is written; so that after
    whatever end of a process the next one knows at once how much room there is.

    Attributes:
        bytes: The number.
        known: Whether the file said it; if not it is the capacity.

    Args:
        files: The directory.
        capacity: The highest that it goes.
        worker: Where the file is written.
    """

    def __init__(self, files: ChunkFiles, capacity: int, worker: IWorker) -> None:
        self.bytes = capacity
        self.known = False
        self._files = files
        self._path = files.root / CEILING_FILE
        self._capacity = capacity
        self._step = size_on_disk(max(BLOCK, capacity // _STEPS))
        self._worker = worker

    @property
    def size(self) -> int:
        """
        Bytes that the file itself takes.
        """
        return BLOCK

    def read(self) -> int | None:
        """
        Read the file; blocks.

        Returns:
            What it says, None when that cannot be believed.
        """
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        return int(text) if len(text) == _DIGITS and text.isdigit() else None

    def set(self, found: int | None) -> None:
        """
        Take what was read.
        """
        self.known = found is not None
        self.bytes = self._capacity if found is None else found

    async def allow(self, used: int) -> None:
        """
        Raise the ceiling if so much could not be used below it; one call at a time.

        Raises:
            OSError: It stays where it was.
        """
        if used > self.bytes or not self.known:
            higher = min(self._capacity, size_on_disk(used) + self._step)
            await self._worker.run(self._write, max(used, higher))
            self.set(max(used, higher))

    async def settle(self, used: int) -> None:
        """
        Lower the ceiling to what is used, when nothing is being written.

        Raises:
            OSError: It stays where it was, or is where it should be.
        """
        if not self.known or used < self.bytes:
            await self._worker.run(self._write, used)
            self.set(used)

    def _write(self, number: int) -> None:
        self._files.check_there()
        new = not self._path.exists()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # In place and within a sector, so never half of one and half of the other.
            os.pwrite(fd, b"%0*d" % (_DIGITS, number), 0)
            os.ftruncate(fd, _DIGITS)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        if new:
            sync_directory(self._path.parent)

"""
Files of chunks that stay open for the next who reads them.
"""

from collections import OrderedDict
from collections.abc import Callable

from eliop2p.cache.disk_handle import DiskEntry
from eliop2p.cache.files import ChunkFiles
from eliop2p.model.chunk import ChunkId
from eliop2p.model.span import Validity

KEPT = 512
"""
How many files stay open that nobody reads.
"""

LOOKED_AT = 0.01
"""
For how many seconds it counts that a file has just been looked at: the times of a file
do not tell changes apart that are closer to each other on many kernels.
"""


class OpenFiles:
    """
    Opens files whose content need not come from the disk, and keeps those open that
    were used last.

    A file that stays open is used without looking at it again only for a moment; then
    the kernel must say that it has all of its pages still, and that nobody has written
    to it.

    Args:
        files: The directory.
        now: Gives the time in seconds.
    """

    def __init__(self, files: ChunkFiles, now: Callable[[], float]) -> None:
        self._files = files
        self._now = now
        self._kept: OrderedDict[ChunkId, DiskEntry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def descriptor(self, entry: DiskEntry) -> int:
        """
        Give the file of a chunk that need not be read through; does not wait.

        Returns:
            A file descriptor, valid until the reactor's next turn unless the chunk is
            pinned; -1 when the file might have to come from the disk.
        """
        fd, now, valid = entry.fd, self._now(), entry.valid
        if valid is not None and valid.since <= now < valid.until:
            return fd
        if entry.waiting is not None:
            return -1
        if fd < 0:
            entry.fd = self._files.open_at_once(entry.name)
        elif not self._files.is_unchanged(fd, entry.name):
            entry.withdraw()
            if not entry.pins:
                self._close(entry)
            return -1
        if entry.fd >= 0:
            entry.valid = Validity(now, now + LOOKED_AT)
            self.keep(entry)
        return entry.fd

    def keep(self, entry: DiskEntry) -> None:
        """
        Keep the file of a chunk open, and close that which was used longest ago.
        """
        self._kept[entry.chunk_id] = entry
        self._kept.move_to_end(entry.chunk_id)
        if len(self._kept) > KEPT:
            _, oldest = self._kept.popitem(last=False)
            # Of one that is in use the last user asks again whether to keep it.
            if not oldest.pins:
                oldest.close_file()

    def forget(self, entry: DiskEntry) -> None:
        """
        Leave it to the caller to close a file.
        """
        self._kept.pop(entry.chunk_id, None)

    def close_all(self) -> None:
        """
        Close what nobody reads.
        """
        for entry in self._kept.values():
            if not entry.pins:
                entry.close_file()
        self._kept.clear()

    def _close(self, entry: DiskEntry) -> None:
        self.forget(entry)
        entry.close_file()

"""
Whether the files of chunks hold what their names say.

A file is read through with BLAKE3 when it is opened, unless that has been done before
and nothing can have changed since: every page of it is in the page cache still, so that
no byte will come from the disk, and its inode says that nobody has written to it.
"""

import errno
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from blake3 import blake3

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.page_cache import cached_pages, open_cached
from eliop2p.model.chunk import ChunkId

REMEMBERED = 65_536
"""
Of how many files it is known that they were read through; 4 MiB each, that is more than
a page cache holds.
"""

_PIECE = 1024 * 1024
_PAGE = os.sysconf("SC_PAGESIZE")
_DIRECT: int = getattr(os, "O_DIRECT", 0)
_SETTLED_NS = 100_000_000
"""
How long ago a file must have changed before it is read through, for a later change to
have another time: some kernels count time in steps of up to 10 ms.
"""


@attrs.frozen
class _Version:
    """
    What an inode says of its content.
    """

    device: int
    inode: int
    size: int
    changed_ns: int


def _version_of(fd: int) -> _Version:
    status = os.fstat(fd)
    return _Version(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)


def check_content(fd: int, name: ChunkName) -> None:
    """
    Compare a file with its name.

    Raises:
        CorruptChunk: It has another length or content.
        OSError: It cannot be read.
    """
    piece = memoryview(bytearray(min(_PIECE, name.length)))
    _compare(fd, name, piece)


def check_on_disk(path: Path, name: ChunkName) -> None:
    """
    Compare with its name what the disk itself has of a file, and leave those pages in
    the page cache that are there: who sends a file that is often asked for needs them.

    Source: O_DIRECT of open(2). Where a file system cannot do that, the pages go.

    Raises:
        CorruptChunk: It is a link, or has another length or content.
        OSError: It cannot be read.
    """
    fd = _open_direct(path)
    if fd < 0:
        _check_dropping_pages(path, name)
        return
    try:
        with mmap.mmap(-1, _PIECE) as aligned, memoryview(aligned) as piece:
            _compare(fd, name, piece)
    finally:
        os.close(fd)


def _open_direct(path: Path) -> int:
    """
    Open a file for reading past the page cache; -1 where that cannot be done.
    """
    if not _DIRECT:
        return -1
    try:
        return open_file(path, _DIRECT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return -1
        raise


def _check_dropping_pages(path: Path, name: ChunkName) -> None:
    fd = open_file(path)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        check_content(fd, name)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _compare(fd: int, name: ChunkName, piece: memoryview) -> None:
    size = os.fstat(fd).st_size
    if size != name.length:
        raise CorruptChunk(f"{name} has {size} bytes")
    hasher = blake3()
    position = 0
    while position < name.length:
        count = os.preadv(fd, [piece], position)
        if not count:
            break
        with piece[:count] as read:
            hasher.update(read)
        position += count
    if hasher.digest() != name.digest:
        raise CorruptChunk(f"{name} has another content")


def open_file(path: Path, flags: int = 0) -> int:
    """
    Open a file for reading.

    Args:
        path: Where it is.
        flags: What else to ask for, as in open(2).

    Raises:
        CorruptChunk: It is a link.
        OSError: It cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CorruptChunk(f"{path.name} is a link") from error
        raise


class Checks:
    """
    Remembers which files were read through. Safe in several threads.

    Args:
        now_ns: Gives the time of the file system's clock, in ns.
        cached: Counts the pages of an open file that are in the page cache.

    Attributes:
        spared: How often a file needed not be read.
    """

    def __init__(
        self,
        now_ns: Callable[[], int] = time.time_ns,
        cached: Callable[[int], int] = cached_pages,
    ) -> None:
        self.spared = 0
        self._now_ns = now_ns
        self._cached = cached
        self._versions: dict[ChunkId, _Version] = {}
        self._lock = threading.Lock()

    def check(self, fd: int, name: ChunkName) -> None:
        """
        Read a file through unless that is not needed.

        Raises:
            CorruptChunk: It has another length or content than its name says.
            OSError: It cannot be read.
        """
        begun = self._now_ns()
        version = _version_of(fd)
        if self._is_known(fd, name, version):
            return
        check_content(fd, name)
        if begun - version.changed_ns > _SETTLED_NS:
            self._remember(name, version)

    def written(self, fd: int, name: ChunkName) -> None:
        """
        Take that a file, which has its name by now, was written from bytes that were
        checked: they are in memory until they have to come from the disk.
        """
        self._remember(name, _version_of(fd))

    def open_at_once(self, path: Path, name: ChunkName) -> int:
        """
        Open a file that need not be read through; does not wait for the disk.

        Returns:
            A file descriptor, or -1.
        """
        if name.chunk_id not in self._versions:
            return -1
        fd = open_cached(path)
        if fd >= 0 and not self._is_known(fd, name, _version_of(fd)):
            os.close(fd)
            return -1
        return fd

    def is_unchanged(self, fd: int, name: ChunkName) -> bool:
        """
        Tell whether an open file need not be read through; does not wait for the disk.
        """
        return self._is_known(fd, name, _version_of(fd))

    def _remember(self, name: ChunkName, version: _Version) -> None:
        with self._lock:
            self._versions[name.chunk_id] = version
            if len(self._versions) > REMEMBERED:
                del self._versions[next(iter(self._versions))]

    def _is_known(self, fd: int, name: ChunkName, version: _Version) -> bool:
        with self._lock:
            known = self._versions.pop(name.chunk_id, None)
            if known != version or self._cached(fd) < -(-name.length // _PAGE):
                return False
            self._versions[name.chunk_id] = version
            self.spared += 1
            return True

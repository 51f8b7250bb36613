"""
The blocking half of the directory tier: every call into the file system.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from eliop2p.cache.checking import Checks, check_on_disk, open_file
from eliop2p.cache.disk_claim import Claim, sync_directory
from eliop2p.cache.layout import (
    CEILING_FILE,
    FOLDERS,
    RECENT_FILE,
    RECENT_OLD_FILE,
    TEMPORARY,
    ChunkName,
    ParsedNames,
    parse_names,
    size_on_disk,
)
from eliop2p.cache.partial_layout import PARTIAL, PartialName
from eliop2p.model.ranges import Extents, Interval

_OWN = {CEILING_FILE, RECENT_FILE, RECENT_OLD_FILE, PARTIAL}

_PIECE = 256 * 1024
"""
How many bytes are compared at a time; not as views, which hold the lock all the time.
"""


@attrs.frozen
class Found:
    """
    What a folder holds.

    Attributes:
        names: The chunks.
        unknown: Bytes in files that are not ours.
    """

    names: ParsedNames
    unknown: int


@attrs.frozen
class Begun:
    """
    A file with a part of a chunk.

    Attributes:
        name: Which file.
        extents: The bytes that are known to be right.
    """

    name: PartialName
    extents: Extents


class ShortOfSpace(OSError):
    """
    The file system must keep more bytes free than it has.

    Attributes:
        missing: How many bytes must become free before the write.
    """

    def __init__(self, missing: int, min_free: int) -> None:
        super().__init__(
            errno.ENOSPC,
            f"its file system has less than {min_free >> 20} MiB free (min_free_mb)",
        )
        self.missing = missing


def _size_below(path: Path) -> int:
    return sum(
        size_on_disk(Path(folder, name).lstat().st_size)
        for folder, _, names in os.walk(path)
        for name in names
    )


def write_at(fd: int, data: memoryview, offset: int) -> None:
    """
    Write all of some bytes.

    Raises:
        OSError: Not all of them are written.
    """
    position = 0
    while position < len(data):
        position += os.pwrite(fd, data[position:], offset + position)


def _correct(fd: int, data: memoryview, kept: Interval) -> None:
    """
    Write again what the file of a part does not hold as it should: it may have changed
    since its bytes were checked.
    """
    for start in range(kept.start, kept.stop, _PIECE):
        piece = data[start : min(start + _PIECE, kept.stop)]
        if os.pread(fd, len(piece), start) != bytes(piece):
            write_at(fd, piece, start)


def _allocate(fd: int, length: int) -> None:
    """
    Reserve the bytes at once, which halves the cost of writing them.
    """
    try:
        os.posix_fallocate(fd, 0, length)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
            raise


class ChunkFiles:
    """
    The files in one directory. Knows no state but the claim; safe in several threads.

    Args:
        path: The directory.
        min_free: Bytes that the file system must have free after a write.
    """

    def __init__(self, path: str, min_free: int = 0) -> None:
        self.root = Path(path)
        self._min_free = min_free
        self._claim = Claim(self.root)
        self._checks = Checks()

    def claim(self) -> None:
        """
        Make the directory ours.

        Raises:
            StartError: It is of a later format, in use, or cannot be written to.
        """
        self._claim.take()

    def release(self) -> None:
        """
        Let another process have the directory.
        """
        self._claim.release()

    def check_there(self) -> None:
        """
        See that the directory is there.

        Raises:
            DirectoryGone: It is not.
        """
        self._claim.check()

    def clear_temporary(self) -> None:
        """
        Remove what was being written when an earlier process ended.
        """
        for path in (self.root / TEMPORARY).iterdir():
            path.unlink()

    def scan_root(self) -> int:
        """
        Give the bytes of everything in the directory that is neither in one of the
        folders nor counted by who writes it.
        """
        return sum(
            _size_of(path)
            for path in self.root.iterdir()
            if path.name not in FOLDERS and path.name not in _OWN
        )

    def scan(self, number: int) -> Found:
        """
        List one folder without looking into its files.

        Args:
            number: Which: the first byte of the chunk ids in it.

        Raises:
            DirectoryGone: It is not there, nor is anything else.
        """
        folder = self.root / FOLDERS[number]
        try:
            names = parse_names(number, os.listdir(folder))  # noqa: PTH208  names
        except FileNotFoundError:
            self._claim.check()
            names = parse_names(number, [])
        return Found(names, sum(_size_of(folder / name) for name in names.others))

    def write(
        self, name: ChunkName, data: memoryview, begun: "Begun | None" = None
    ) -> None:
        """
        Make a chunk appear, complete, under its name.

        It is not synced: until :meth:`sync` the digest tells what a power failure has
        destroyed.

        Args:
            name: Its name.
            data: Its content.
            begun: A file with a part of it, which becomes that of the chunk.

        Raises:
            ShortOfSpace: Too little would be left free.
            OSError: It did not appear.
        """
        self._claim.check()
        self.check_free(len(data))
        temporary = self.root / TEMPORARY / str(name)
        missing: Iterable[Interval] = (Interval(0, len(data)),)
        kept: Iterable[Interval] = ()
        if begun is not None and _moved(self.root / begun.name.path, temporary):
            missing, kept = begun.extents.gaps(0, len(data)), begun.extents
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if begun is not None:
                os.ftruncate(fd, len(data))  # Without the list of extents.
            _allocate(fd, len(data))
            for gap in missing:
                write_at(fd, data[gap.start : gap.stop], gap.start)
            for extent in kept:
                _correct(fd, data, extent)
            temporary.rename(self.root / name.path)
            self._checks.written(fd, name)
        finally:
            os.close(fd)

    def remove_temporary(self, name: ChunkName) -> bool:
        """
        Remove what :meth:`write` left when it failed.

        Returns:
            Whether it is gone.
        """
        try:
            (self.root / TEMPORARY / str(name)).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def sync(self, names: Iterable[ChunkName]) -> None:
        """
        Let chunks survive a power failure; those that have been removed are left out.

        Raises:
            OSError: It is not certain that they would.
        """
        folders = set()
        for name in names:
            try:
                fd = os.open(self.root / name.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
            folders.add(FOLDERS[name.chunk_id[0]])
        for folder in sorted(folders):
            sync_directory(self.root / folder)

    def open_checked(self, name: ChunkName) -> int:
        """
        Open a chunk, and see that it holds what its name says.

        Returns:
            A file descriptor.

        Raises:
            CorruptChunk: It has another length or content than its name says.
            FileNotFoundError: It was removed.
            DirectoryGone: So was everything.
            OSError: It cannot be read.
        """
        try:
            fd = open_file(self.root / name.path)
        except FileNotFoundError:
            self._claim.check()
            raise
        try:
            self._checks.check(fd, name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def open_at_once(self, name: ChunkName) -> int:
        """
        Open a chunk that need not be checked again; does not block.

        Returns:
            A file descriptor, or -1 when :meth:`open_checked` is to be asked.
        """
        return self._checks.open_at_once(self.root / name.path, name)

    def is_unchanged(self, fd: int, name: ChunkName) -> bool:
        """
        Tell whether an open chunk need not be checked again; does not block.
        """
        return self._checks.is_unchanged(fd, name)

    def verify(self, name: ChunkName) -> None:
        """
        Read a chunk through from the disk itself.

        Raises:
            As :meth:`open_checked`.
        """
        try:
            check_on_disk(self.root / name.path, name)
        except FileNotFoundError:
            self._claim.check()
            raise

    def remove(self, names: tuple[ChunkName, ...]) -> tuple[OSError | None, ...]:
        """
        Remove chunks.

        Returns:
            For each what went wrong, None when it is gone.
        """
        return tuple(self._remove(name) for name in names)

    def probe(self, length: int) -> None:
        """
        Find out whether the directory can be written to again, making it ours anew.

        Args:
            length: What must fit.

        Raises:
            ShortOfSpace: Too little would be left free.
            OSError: It cannot be written to.
        """
        self._claim.renew()
        self.check_free(length)
        path = self.root / TEMPORARY / "probe"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            write_at(fd, memoryview(bytes(1)), 0)
            _allocate(fd, max(length, 1))
            os.fsync(fd)
        finally:
            os.close(fd)
            path.unlink(missing_ok=True)

    def _remove(self, name: ChunkName) -> OSError | None:
        try:
            (self.root / name.path).unlink(missing_ok=True)
        except OSError as error:
            return error
        return None

    def check_free(self, length: int) -> None:
        """
        See that so many bytes may be written.

        Raises:
            ShortOfSpace: Too little would be left free.
        """
        if not self._min_free:
            return
        found = os.statvfs(self.root)
        missing = self._min_free + length - found.f_bavail * found.f_frsize
        if missing > 0:
            raise ShortOfSpace(missing, self._min_free)


def _moved(source: Path, target: Path) -> bool:
    """
    Rename a file if it is there.
    """
    try:
        source.rename(target)
    except FileNotFoundError:
        return False
    return True


def _size_of(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return _size_below(path)
    try:
        return size_on_disk(path.lstat().st_size)
    except FileNotFoundError:
        return 0

"""
The blocking half of the directory tier: every call into the file system.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

import attrs
from blake3 import blake3

from eliop2p.base.errors import CorruptChunk, StartError
from eliop2p.cache.layout import (
    FOLDERS,
    FORMAT,
    FORMAT_FILE,
    LOCK_FILE,
    TEMPORARY,
    ChunkName,
    parse_name,
    size_on_disk,
)

_PIECE = 1024 * 1024
_SETTING = "[cache] disk_cache_path"


@attrs.frozen
class Found:
    """
    What a folder holds.

    Attributes:
        names: The chunks.
        unknown: Bytes in files that are not ours.
    """

    names: tuple[ChunkName, ...]
    unknown: int


def _size_below(path: Path) -> int:
    return sum(
        size_on_disk(Path(folder, name).lstat().st_size)
        for folder, _, names in os.walk(path)
        for name in names
    )


def _write_all(fd: int, data: memoryview) -> None:
    position = 0
    while position < len(data):
        position += os.write(fd, data[position:])


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
    The files in one directory. Knows no state but the lock; safe in several threads.

    Args:
        path: The directory.
    """

    def __init__(self, path: str) -> None:
        self.root = Path(path)
        self._lock = -1

    def claim(self) -> None:
        """
        Make the directory ours.

        Raises:
            StartError: It is of a later format, in use, or cannot be written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise StartError(f"{_SETTING}: {self.root}: {error.strerror}") from error
        try:
            self._check_format()
            for name in (TEMPORARY, *FOLDERS):
                (self.root / name).mkdir(exist_ok=True)
        except OSError as error:
            self.release()
            raise StartError(f"{_SETTING}: {self.root}: {error.strerror}") from error
        except StartError:
            self.release()
            raise

    def release(self) -> None:
        """
        Let another process have the directory.
        """
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def clear_temporary(self) -> None:
        """
        Remove what was being written when an earlier process ended.
        """
        for path in (self.root / TEMPORARY).iterdir():
            path.unlink()

    def scan_root(self) -> int:
        """
        Give the bytes of everything in the directory that is not in one of the folders.
        """
        total = 0
        for path in self.root.iterdir():
            if path.name in FOLDERS:
                continue
            total += _size_below(path) if path.is_dir() else 0
            total += 0 if path.is_dir() else size_on_disk(path.lstat().st_size)
        return total

    def scan(self, folder: str) -> Found:
        """
        List one folder without looking into its files.
        """
        names = []
        unknown = 0
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    name = parse_name(folder, entry.name)
                    if name is not None:
                        names.append(name)
                    elif entry.is_dir(follow_symlinks=False):
                        unknown += _size_below(Path(entry.path))
                    else:
                        info = entry.stat(follow_symlinks=False)
                        unknown += size_on_disk(info.st_size)
        except FileNotFoundError:
            return Found((), 0)
        return Found(tuple(names), unknown)

    def write(self, name: ChunkName, data: memoryview) -> None:
        """
        Make a chunk appear, complete, under its name.

        It is not synced: after a power failure the digest tells what was lost.

        Raises:
            OSError: It did not appear.
        """
        self._check_there(name)
        temporary = self.root / TEMPORARY / str(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600)
        try:
            _allocate(fd, len(data))
            _write_all(fd, data)
        finally:
            os.close(fd)
        temporary.rename(self.root / name.path)

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

    def open_checked(self, name: ChunkName) -> int:
        """
        Open a chunk and read it through.

        Returns:
            A file descriptor.

        Raises:
            CorruptChunk: It has another length or content than its name says.
            OSError: It cannot be read.
        """
        fd = os.open(self.root / name.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(fd, name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def remove(self, names: tuple[ChunkName, ...]) -> tuple[OSError | None, ...]:
        """
        Remove chunks.

        Returns:
            For each what went wrong, None when it is gone.
        """
        return tuple(self._remove(name) for name in names)

    def _remove(self, name: ChunkName) -> OSError | None:
        try:
            (self.root / name.path).unlink(missing_ok=True)
        except OSError as error:
            return error
        return None

    def _check_there(self, name: ChunkName) -> None:
        """
        Never write into the empty directory that an unmounted disk leaves behind.
        """
        if not (self.root / FORMAT_FILE).exists():
            raise FileNotFoundError(errno.ENOENT, "the directory has gone")
        for folder in (TEMPORARY, FOLDERS[name.chunk_id[0]]):
            (self.root / folder).mkdir(exist_ok=True)

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self.root / LOCK_FILE, flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StartError(
                f"{_SETTING}: {self.root} is in use by another process; "
                "give each node a directory of its own"
            ) from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _check_format(self) -> None:
        marker = self.root / FORMAT_FILE
        text = ""
        with contextlib.suppress(FileNotFoundError):
            text = marker.read_text(encoding="ascii", errors="replace").strip()
        if not text:  # A new directory, or a power failure while it was new.
            marker.write_text(f"{FORMAT}\n", encoding="ascii")
        elif text != str(FORMAT):
            raise StartError(
                f"{_SETTING}: {self.root} has format {text[:20]!r}, and this version "
                f"knows only {FORMAT}: use the version that wrote it, or another "
                "directory"
            )


def _check(fd: int, name: ChunkName) -> None:
    size = os.fstat(fd).st_size
    if size != name.length:
        raise CorruptChunk(f"{name} has {size} bytes")
    hasher = blake3()
    piece = memoryview(bytearray(min(_PIECE, name.length)))
    position = 0
    while position < name.length:
        count = os.preadv(fd, [piece], position)
        if not count:
            break
        hasher.update(piece[:count])
        position += count
    if hasher.digest() != name.digest:
        raise CorruptChunk(f"{name} has another content")

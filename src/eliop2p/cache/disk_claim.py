"""
The right of one process to a directory.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from eliop2p.base.errors import StartError
from eliop2p.cache.layout import FOLDERS, FORMAT, FORMAT_FILE, LOCK_FILE, TEMPORARY
from eliop2p.cache.partial_layout import PARTIAL

_SETTING = "[cache] disk_cache_path"


class DirectoryGone(OSError):
    """
    The directory was removed or its disk unmounted.
    """

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, "the directory has gone")


def sync_directory(path: Path) -> None:
    """
    Let the names in a directory survive a power failure.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def check_format(root: Path) -> bool:
    """
    See that this version can use a directory.

    Returns:
        Whether it says its format; a new one does not.

    Raises:
        StartError: It is of a later format.
        OSError: It cannot be read.
    """
    text = ""
    with contextlib.suppress(FileNotFoundError):
        marker = root / FORMAT_FILE
        text = marker.read_text(encoding="ascii", errors="replace").strip()
    if text and text != str(FORMAT):
        raise StartError(
            f"{_SETTING}: {root} has format {text[:20]!r}, and this version knows "
            f"only {FORMAT}: use the version that wrote it, or another directory"
        )
    return bool(text)


class Claim:
    """
    The lock on a directory, its format and its folders.

    Args:
        root: The directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = -1
        self._device = -1
        self._is_mount = False

    def take(self) -> None:
        """
        Make the directory ours.

        Raises:
            StartError: It is of a later format, in use, or cannot be written to.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._prepare()
        except OSError as error:
            self.release()
            raise StartError(f"{_SETTING}: {self._root}: {error.strerror}") from error
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

    def check(self) -> None:
        """
        See that the directory is there.

        Raises:
            DirectoryGone: It is not; an unmounted disk leaves an empty directory, into
                which nothing must be written.
        """
        if not (self._root / FORMAT_FILE).exists():
            raise DirectoryGone

    def renew(self) -> None:
        """
        Make the directory ours again, whatever has become of it meanwhile.

        One that was deleted is made anew, one whose disk was unmounted is waited for.

        Raises:
            DirectoryGone: Its disk is not mounted.
            OSError: It cannot be used.
        """
        if not (self._root / FORMAT_FILE).exists() and not self._same_disk():
            # An open file would keep the disk busy that is to be mounted again.
            self.release()
            raise DirectoryGone
        self._root.mkdir(parents=True, exist_ok=True)
        try:
            if not self._has_lock():
                self.release()
                self._take_lock()
            self._prepare()
        except StartError as error:
            self.release()
            raise OSError(errno.EBUSY, str(error)) from error

    def _same_disk(self) -> bool:
        """
        Tell a directory that was deleted from one whose disk is not mounted.
        """
        if self._is_mount and self._root.is_mount():
            return True
        nearest = self._root
        while not nearest.exists():
            nearest = nearest.parent
        return nearest.stat().st_dev == self._device

    def _has_lock(self) -> bool:
        if self._lock < 0:
            return False
        try:
            there = (self._root / LOCK_FILE).stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._lock))

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(self._root / LOCK_FILE, flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StartError(
                f"{_SETTING}: {self._root} is in use by another process; "
                "give each node a directory of its own"
            ) from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _prepare(self) -> None:
        """
        Write the format and make the folders, once the directory is locked.
        """
        new = not check_format(self._root)
        for name in (TEMPORARY, PARTIAL, *FOLDERS):
            try:
                (self._root / name).mkdir()
            except FileExistsError:
                continue
            new = True
        if new:  # Of no format yet, or after a power failure while it was new.
            marker = self._root / FORMAT_FILE
            marker.write_text(f"{FORMAT}\n", encoding="ascii")
            sync_directory(self._root)
            sync_directory(self._root.parent)
        self._device = self._root.stat().st_dev
        self._is_mount = self._root.is_mount()

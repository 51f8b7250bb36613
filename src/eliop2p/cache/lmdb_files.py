"""
The directory of the LMDB tier: who uses it, and whether its file can be believed.

::

    FORMAT              the kind and the number of the format
    LOCK                locked by the process that uses the directory
    RUNNING             there while the file is in use or was not closed in good order
    chunks.mdb          the chunks
    chunks.mdb-lock     LMDB's own
"""

import contextlib
import fcntl
import os
from pathlib import Path

from eliop2p.base.errors import StartError
from eliop2p.cache.layout import FORMAT_FILE, LOCK_FILE, size_on_disk

FORMAT = "lmdb 1"
"""
The number goes up when an older program could not use the file.
"""

FIXED = 16 * 1024
"""
The most bytes that the files other than ``chunks.mdb`` take.
"""

_RUNNING = "RUNNING"
_CHUNKS = "chunks.mdb"
_OURS = (FORMAT_FILE, LOCK_FILE, _RUNNING, _CHUNKS, f"{_CHUNKS}-lock")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SETTING = "[cache] disk_cache_path"
_DAMAGED = "damaged"


def _boot_id() -> str:
    """
    Name this run of the machine; empty where that cannot be told.
    """
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def _write_through(path: Path, text: str) -> None:
    """
    Write a small file such that a power failure leaves the old one or the new one.
    """
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class LmdbFiles:
    """
    The files of the tier, seen from outside.

    LMDB writes without waiting for the disk, so that a process can be killed at any
    moment, but not the machine: what it wrote may then have reached the disk in any
    order. The file is believed when it was closed in good order, or when the machine
    has not gone down since.

    Attributes:
        chunks: The file with the chunks.
        believed: Whether the file is whole, as far as can be told without reading it.
        deaths: How often in a row it was not closed in good order.

    Args:
        path: The directory.
    """

    def __init__(self, path: str) -> None:
        self.root = Path(path)
        self.chunks = self.root / _CHUNKS
        self.believed = True
        self.deaths = 0
        self._lock = -1

    def claim(self) -> None:
        """
        Make the directory ours.

        Raises:
            StartError: It is another backend's, in use, or cannot be written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._check_format()
            self._begin()
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

    def closed(self) -> None:
        """
        Note that the file has been closed in good order, and is on the disk.
        """
        with contextlib.suppress(OSError):
            (self.root / _RUNNING).unlink(missing_ok=True)

    def disbelieve(self) -> None:
        """
        Note that the file is damaged, for whoever opens it next.
        """
        with contextlib.suppress(OSError):
            _write_through(self.root / _RUNNING, f"{_DAMAGED} 0\n")

    def checked(self) -> None:
        """
        Note that the file was read through and is whole.
        """
        self._note(0)

    def discard(self) -> None:
        """
        Remove the file with the chunks.

        Raises:
            OSError: It cannot be removed.
        """
        for path in (self.chunks, self.root / f"{_CHUNKS}-lock"):
            path.unlink(missing_ok=True)

    def others(self) -> int:
        """
        Give the bytes of what is in the directory and is not ours.
        """
        total = 0
        for folder, _, names in os.walk(self.root):
            at_root = Path(folder) == self.root
            for name in names:
                if not (at_root and name in _OURS):
                    total += size_on_disk(Path(folder, name).lstat().st_size)
        return total

    def _begin(self) -> None:
        boot, deaths = self._last_run()
        if deaths:
            self.believed = boot != "" and boot == _boot_id()
        self.deaths = deaths
        self._note(deaths)

    def _last_run(self) -> tuple[str, int]:
        """
        Tell in which run of the machine the file was last used, and how often in a row
        it has not been closed, which is 0 when it was.
        """
        try:
            text = (self.root / _RUNNING).read_text("ascii", errors="replace")
        except FileNotFoundError:
            return "", 0
        boot, _, count = text.strip().partition(" ")
        return boot, int(count) + 1 if count.isdecimal() else 1

    def _note(self, deaths: int) -> None:
        # A dash: where runs of the machine cannot be told apart none is believed.
        boot = _boot_id() or "-"
        _write_through(self.root / _RUNNING, f"{boot} {deaths}\n")

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._lock = os.open(self.root / LOCK_FILE, flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"{_SETTING}: {self.root} is in use by another process; "
                "give each node a directory of its own"
            ) from None

    def _check_format(self) -> None:
        marker = self.root / FORMAT_FILE
        text = ""
        with contextlib.suppress(FileNotFoundError):
            text = marker.read_text(encoding="ascii", errors="replace").strip()
        if not text:  # A new directory, or a power failure while it was new.
            marker.write_text(f"{FORMAT}\n", encoding="ascii")
        elif text != FORMAT:
            raise StartError(
                f"{_SETTING}: {self.root} has format {text[:20]!r}, and this backend "
                f"knows only {FORMAT!r}: use the backend and version that wrote it, or "
                "another directory"
            )

"""
What Linux can tell of a file at once, without asking the disk.

Elsewhere, and by kernels older than these system calls, nothing is told.
"""

import ctypes
import os
import sys
from pathlib import Path

_CACHESTAT = 451
_OPENAT2 = 437
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20

# Holds the interpreter's lock: these calls are shorter than taking it anew.
_libc = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _CacheStat(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")
    )


class _OpenHow(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("flags", "mode", "resolve"))


_WHOLE = _Range(0, 0)
_HOW = _OpenHow(os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0, _RESOLVE_CACHED)


def cached_pages(fd: int) -> int:
    """
    Count the pages of an open file that are in the page cache.

    Source: cachestat(2), Linux 6.5.

    Returns:
        How many; none when the kernel does not tell.
    """
    if _libc is None:
        return 0
    found = _CacheStat()
    failed = _libc.syscall(_CACHESTAT, fd, ctypes.byref(_WHOLE), ctypes.byref(found), 0)
    return 0 if failed else int(found.cached)


def open_cached(path: Path) -> int:
    """
    Open a file for reading if the kernel knows where it is.

    Source: RESOLVE_CACHED of openat2(2), Linux 5.12.

    Returns:
        A file descriptor, or -1.
    """
    if _libc is None:
        return -1
    where, how = os.fsencode(path), ctypes.byref(_HOW)
    return int(_libc.syscall(_OPENAT2, _AT_FDCWD, where, how, ctypes.sizeof(_HOW)))

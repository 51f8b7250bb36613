"""
Memory for whole chunks, used again as soon as nobody refers to it.

The kernel zeroes the memory that it hands out, which costs more than receiving a chunk
into it does. So a few pieces are kept for the next chunk instead of being given back.
"""

import ctypes
import mmap
import sys
import weakref
from collections import deque
from contextlib import suppress

_MAPPED = 256 * 1024
"""
From this length on memory is mapped: it goes back to the system when it is freed, but
there are only so many mappings.
"""

_HUGE = 2 * 1024 * 1024
"""
From this length on huge pages are asked for: the faults of small ones cost more than
all else that a received chunk goes through.
"""

KEPT = 4
"""
How many free pieces are kept, at most.
"""

MOST_KEPT = 8 * 1024 * 1024
"""
The longest piece that is kept, in bytes: all together they are never more than 32 MiB.
"""

_free: deque[mmap.mmap] = deque(maxlen=KEPT)
"""
Pieces that nobody refers to. Threads add to it and take from it without a lock.
"""


def allocate(length: int) -> memoryview:
    """
    Give memory. What is in it is left over from anything: nobody must look at what was
    not written before.

    Args:
        length: At least 1.
    """
    if length < _MAPPED:
        return memoryview(bytearray(length))
    if length % _HUGE or length > MOST_KEPT:
        return memoryview(_map(length))
    try:
        memory = _free.pop()
    except IndexError:
        memory = _map(length)
    if len(memory) != length:
        memory = _map(length)
    # Every view refers to this array, and nothing else: it goes when they are gone.
    whole = (ctypes.c_char * length).from_buffer(memory)
    weakref.finalize(whole, _free.append, memory).atexit = False
    return memoryview(whole).cast("B")


def _map(length: int) -> mmap.mmap:
    if sys.platform != "linux":
        return mmap.mmap(-1, length)
    memory = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if length >= _HUGE:
        with suppress(OSError):  # A kernel without them.
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory

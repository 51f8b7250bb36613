"""
The memory of a virtual machine that nobody uses.

What a virtual machine has not used for a while its host has taken back, and giving it
again costs 14 times more than zeroing does. So before a measurement nearly all memory
that is free is touched. As much as will be needed is not enough, since the kernel need
not give out what was freed last.
"""

import mmap
import os
from multiprocessing import Process

TOUCHING = 2
"""
Processes that touch memory at once.
"""


def touch_memory() -> None:
    """
    Have the host of a virtual machine give it all the memory that is free, but for a
    part left to others.
    """
    pages = os.sysconf("SC_AVPHYS_PAGES") * 7 // 8
    share = pages * os.sysconf("SC_PAGE_SIZE") // TOUCHING
    touching = [Process(target=_touch, args=(share,)) for _ in range(TOUCHING)]
    for each in touching:
        each.start()
    for each in touching:
        each.join()
        if each.exitcode:
            raise SystemExit("memory could not be touched")


def _touch(size: int) -> None:
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1

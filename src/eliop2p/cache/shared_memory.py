"""
Memory that the kernel can send without copying it.
"""

import mmap
import os
import resource
from typing import Self

_SHARE = 8
"""
One of so many descriptors that the process may have is used for this; memory takes two.
"""


class SharedMemory(mmap.mmap):
    """
    Memory that is a nameless file's as well: what is given to sendfile is not copied,
    which halves the cost of a byte sent. Nobody may change what has been sent.

    Attributes:
        fd: The file; open as long as the memory is there.
    """

    count = 0
    """
    How many there are in this process.
    """

    fd: int

    def __new__(cls, length: int) -> Self:
        """
        Give zeroed memory.

        Args:
            length: In bytes.

        Raises:
            OSError: There is none.
        """
        fd = os.memfd_create("eliop2p-chunk", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, length)
            made = super().__new__(cls, fd, length)
        except OSError:
            os.close(fd)
            raise
        made.fd = fd
        SharedMemory.count += 1
        return made

    def __del__(self) -> None:
        os.close(self.fd)
        SharedMemory.count -= 1

    @classmethod
    def is_to_be_had(cls) -> bool:
        """
        Tell whether there are descriptors for one more.
        """
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return 2 * _SHARE * cls.count < soft

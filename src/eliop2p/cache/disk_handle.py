"""
Chunks of the disk tier, and the right to read them.
"""

import os
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.cache.holdings import Entry
from eliop2p.cache.layout import ChunkName
from eliop2p.interfaces import IChunkHandle
from eliop2p.model.span import FileSpan, Span, Validity


@attrs.define(eq=False)
class DiskEntry(Entry):
    """
    A chunk on the disk.

    Attributes:
        fd: Its file while that is open and checked, else -1.
        valid: For how long the file need not be looked at again, None when it has to
            be.
        waiting: Who waits for the file to be checked; None when nobody checks it.
        uses: How often it has been used.
        synced: Whether it is known to survive a power failure.
    """

    fd: int = -1
    valid: Validity | None = None
    waiting: "list[Deferred[None]] | None" = None
    uses: int = 0
    synced: bool = False

    @property
    def name(self) -> ChunkName:
        """
        What its file is called.
        """
        return ChunkName(self.chunk_id, self.length, self.digest)

    def withdraw(self) -> None:
        """
        Let nobody use the file any more who does not have the chunk open.
        """
        if self.valid is not None:
            self.valid.end()
            self.valid = None

    def close_file(self) -> None:
        """
        Close the file if it is open.
        """
        self.withdraw()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@implementer(IChunkHandle)
class DiskHandle:
    """
    An open chunk of the disk tier.
    """

    def __init__(self, entry: DiskEntry, closed: Callable[[DiskEntry], None]) -> None:
        self.length = entry.length
        self.digest = entry.digest
        self._entry: DiskEntry | None = entry
        self._closed = closed

    def span(self, offset: int, limit: int) -> Span:
        """
        Give up to limit bytes from offset.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed")
        return FileSpan(
            self._entry.fd, offset, max(0, min(limit, self.length - offset))
        )

    def close(self) -> None:
        """
        Let go of the chunk.
        """
        if self._entry is None:
            raise LocalProtocolError("the handle is closed already")
        entry, self._entry = self._entry, None
        self._closed(entry)


def close_unwanted(handle: IChunkHandle | None) -> None:
    """
    Close a handle that came too late.
    """
    if handle is not None:
        handle.close()

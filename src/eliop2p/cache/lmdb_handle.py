"""
Chunks of the LMDB tier, and the right to read them.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.cache.holdings import Entry
from eliop2p.cache.lmdb_rows import Row
from eliop2p.interfaces import IChunkHandle
from eliop2p.model.span import Span


@attrs.define(eq=False)
class LmdbEntry(Entry):
    """
    A chunk in the file.

    Attributes:
        serial: Names its pieces.
        copy: Its content, checked, while somebody has it open.
        readers: How many have it open or wait for it.
        waiting: Who waits for the copy; None when nobody makes it.
    """

    serial: int = attrs.field(kw_only=True)
    copy: memoryview | None = attrs.field(default=None, repr=False)
    readers: int = 0
    waiting: "list[Deferred[None]] | None" = None

    @property
    def row(self) -> Row:
        """
        What the index says of it.
        """
        return Row(self.chunk_id, self.serial, self.length, self.digest)


@implementer(IChunkHandle)
class LmdbHandle:
    """
    An open chunk: a copy, so that no reader, however slow, keeps LMDB from using pages
    again.
    """

    def __init__(
        self,
        entry: LmdbEntry,
        copy: memoryview,
        closed: Callable[[LmdbEntry], None],
    ) -> None:
        self.length = entry.length
        self.digest = entry.digest
        self._entry = entry
        self._copy: memoryview | None = copy
        self._closed = closed

    def span(self, offset: int, limit: int) -> Span:
        """
        Give up to limit bytes from offset.
        """
        if self._copy is None:
            raise LocalProtocolError("the handle is closed")
        return self._copy[offset : offset + limit]

    def close(self) -> None:
        """
        Let go of the copy.
        """
        if self._copy is None:
            raise LocalProtocolError("the handle is closed already")
        self._copy = None
        self._closed(self._entry)

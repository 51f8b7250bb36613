"""
Readings of chunks that a tier holds.
"""

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.interfaces import IChunkHandle, IChunkReading
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival


def misuse(
    offset: int, limit: int, length: int, *, closed: bool
) -> LocalProtocolError | None:
    """
    Tell what is wrong with a read: of nothing, past the end, or after closing.
    """
    if not 0 <= offset < length or limit < 1:
        return LocalProtocolError(f"{limit} bytes at {offset} of {length}")
    return LocalProtocolError("the reading is closed") if closed else None


@implementer(IChunkReading)
class HandleReading:
    """
    Reads an open chunk of a tier.

    Args:
        handle: Closed with the reading.
        source: What the tier is called: ``memory`` or ``disk``.
    """

    def __init__(self, handle: IChunkHandle, source: str) -> None:
        self.length = handle.length
        self.filled = handle.length
        self.digest = handle.digest
        self.source = source
        self.arrival: Arrival | None = None
        self.joined = False
        self._handle: IChunkHandle | None = handle

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Give bytes.
        """
        handle = self._handle
        error = misuse(offset, limit, self.length, closed=handle is None)
        if handle is None or error is not None:
            return fail(error)
        return succeed(handle.span(offset, limit))

    def close(self) -> None:
        """
        Close the chunk; a second time does nothing.
        """
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

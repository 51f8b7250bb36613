"""
A chunk that is open for a peer.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import PeerBehind
from eliop2p.interfaces import IChunkReading
from eliop2p.model.chunk import Digest
from eliop2p.model.span import Span


@implementer(IChunkReading)
class OpenUpload:
    """
    A reading that gives its upload slot back when it is closed.

    Attributes:
        at_end: Called once, when it is closed.
        position: From where on it is to be read next.
    """

    def __init__(self, reading: IChunkReading, release: Callable[[], None]) -> None:
        self.at_end = [release]
        self.arrival = reading.arrival
        self.joined = reading.joined
        self.position = 0
        self._reading = reading
        self._waiting: Deferred[Span] | None = None
        self._stalled = self._turned_away = False

    @property
    def length(self) -> int:
        """
        Length of the chunk.
        """
        return self._reading.length

    @property
    def filled(self) -> int:
        """
        Bytes there from the start without a gap.
        """
        return self._reading.filled

    @property
    def digest(self) -> Digest | None:
        """
        The digest, None while the chunk is arriving.
        """
        return self._reading.digest

    @property
    def source(self) -> str:
        """
        Where the bytes come from.
        """
        return self._reading.source

    def read(self, offset: int, limit: int) -> "Deferred[Span]":
        """
        Wait until there is at least one byte at offset.

        Raises:
            PeerBehind: The chunk does not come on here at the moment (in the Deferred).
        """
        self.position = offset
        if self._turned_away:
            return fail(PeerBehind("this node's link is slow"))
        self._waiting = self._reading.read(offset, limit)
        return self._waiting.addErrback(self._explain)

    def stall(self) -> None:
        """
        Let nobody wait for bytes: this node itself has nobody to get them from.
        """
        if self._waiting is not None and not self._waiting.called:
            self._stalled = True
            self._waiting.cancel()

    def turn_away(self) -> None:
        """
        Give nothing more of a chunk that is only arriving.
        """
        self._turned_away = True
        self.stall()

    def close(self) -> None:
        """
        Stop reading.
        """
        at_end, self.at_end = self.at_end, []
        for end in at_end:
            end()
        if at_end:
            self._reading.close()

    def _explain(self, failure: Failure) -> Failure:
        if self._stalled:
            raise PeerBehind("the chunk is arriving here, and does not come on")
        return failure

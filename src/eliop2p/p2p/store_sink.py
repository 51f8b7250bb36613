"""
What a read of the store fills when peers have given the beginning of the chunk.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.interfaces import IChunkSink
from eliop2p.model.chunk import Digest


@implementer(IChunkSink)
class StoreSink:
    """
    A chunk as the store is to fill it.

    The digest of what a node reads from the store is believed by all others. So bytes
    that nobody has checked yet are read once more, and compared on the way.

    Args:
        sink: The chunk.
        trusted: Whether what is there came from the store and need not be read again.
    """

    def __init__(self, sink: IChunkSink, *, trusted: bool) -> None:
        self.chunk = sink.chunk
        self.arrival = sink.arrival
        self.filled = sink.filled if trusted else 0
        self._sink = sink

    @property
    def source(self) -> str:
        """
        Where the bytes come from.
        """
        return self._sink.source

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """
        Put bytes in their place, or compare them: see :class:`IChunkSink`.
        """
        stop = offset + len(data)
        if stop > self._sink.filled:
            self._sink.source = "origin"
        self._sink.write(offset, data)
        if offset <= self.filled:
            self.filled = max(self.filled, min(stop, self._sink.filled))

    def digest(self) -> "Deferred[Digest]":
        """
        Compute the digest of the complete chunk.
        """
        return self._sink.digest()

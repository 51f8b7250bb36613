"""
What a read of the store fills when peers have given the beginning of the chunk.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.interfaces import IChunkSink
from eliop2p.model.chunk import Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.trail import Intake


@implementer(IChunkSink)
class StoreSink:
    """
    A chunk as the store is to fill it.

    The digest of what a node reads from the store is believed by all others. So bytes
    that nobody has checked yet are read once more, and compared on the way.

    Args:
        sink: The chunk.
        trusted: Whether what is there came from the store and need not be read again.
        intake: Told of what is read again.
        came: Told of each piece, with its length in bytes.
    """

    def __init__(
        self,
        sink: IChunkSink,
        intake: Intake,
        *,
        trusted: bool,
        came: Callable[[int], None],
    ) -> None:
        self.chunk = sink.chunk
        self.arrival = sink.arrival
        self._sink = sink
        self._intake = intake
        self._trusted = trusted
        self._came = came
        self._compared = 0

    @property
    def filled(self) -> int:
        """
        How many bytes it has, without a gap, that came from the store.
        """
        return self._sink.filled if self._trusted else self._compared

    @property
    def missing(self) -> Interval:
        """
        The first run of bytes that is to be read.
        """
        if self._trusted:
            return self._sink.missing
        return Interval(self.filled, self.chunk.length)

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
        before, stop = self._sink.filled, offset + len(data)
        if stop > before:
            self._sink.source = "origin"
        try:
            self._sink.write(offset, data)
        finally:
            self._came(len(data))
            self._intake.came(len(data), kept=self._sink.filled - before)
        if offset <= self._compared:
            self._compared = max(self._compared, min(stop, self._sink.filled))

    def room(self, offset: int, limit: int) -> memoryview | None:  # noqa: ARG002
        """
        Give none: what the store sends is looked at first.
        """
        return None

    def wrote(self, offset: int, size: int) -> None:
        """
        See :meth:`IChunkSink.wrote`.

        Raises:
            LocalProtocolError: No room was given.
        """
        raise LocalProtocolError(f"nobody gave room for {size} bytes at {offset}")

    def digest(self) -> "Deferred[Digest]":
        """
        Compute the digest of the complete chunk.
        """
        return self._sink.digest()

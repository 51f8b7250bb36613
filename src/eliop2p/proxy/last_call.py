"""
What is done before a signature ends.
"""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.interfaces import IChunkReader
from eliop2p.model.chunk import Layout
from eliop2p.model.ranges import Interval
from eliop2p.proxy.origin_reads import ClientOrigin

LAST_CALL = 15.0
"""
Seconds before the end of a signature's use at which what is still missing of an object
is asked for in one answer: time enough to wait for a connection, and so late that it is
rarely needed.
"""


class LastCall:
    """
    Has an answer opened for what is neither at hand nor on its way, while the signature
    lasts: a store does not end an answer that has begun.

    Args:
        clock: Tells the seconds since the epoch, and when it is time.
        until: When the signature ends; None when it does not.
    """

    def __init__(self, clock: IReactorTime, until: float | None) -> None:
        self._clock = clock
        self._until = until
        self._call: IDelayedCall | None = None

    @property
    def due(self) -> bool:
        """
        Whether it is time already.
        """
        return self._until is not None and self._left(self._until) <= 0

    def arm(
        self, origin: ClientOrigin, reader: IChunkReader, layout: Layout, part: Interval
    ) -> None:
        """
        Wait for the time.

        Args:
            origin: What the signature allows to read.
            reader: Tells which chunks are at hand.
            layout: The object's chunks.
            part: What the client wants of it.
        """

        def act() -> None:
            indexes = layout.covering(part)
            stop = layout.chunk(indexes[-1]).interval.stop
            for chunk in map(layout.chunk, indexes):
                if not (origin.has_dealt_with(chunk) or reader.where(chunk.id)):
                    origin.last_call(Interval(chunk.start, stop))
                    return

        if self._until is not None:
            self._call = self._clock.callLater(max(0.0, self._left(self._until)), act)

    def disarm(self) -> None:
        """
        The client needs nothing more.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _left(self, until: float) -> float:
        return until - LAST_CALL - self._clock.seconds()

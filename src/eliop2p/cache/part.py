"""
A part of one chunk in memory, who brings more of it and who reads it.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.cache.readings import misuse
from eliop2p.cache.saver import Saver
from eliop2p.interfaces import IChunkReading, IPartialChunks, IPartSink
from eliop2p.model.chunk import Chunk, Digest
from eliop2p.model.pieces import Pieces
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival

_LEAST = 1
"""
Of a range everything is kept: it may be a footer that is read again and again.
"""


PATIENCE = 2.0
"""
Seconds without a byte after which a reader asks the store itself: the client for whom
the bytes are coming may be slow.
"""


def within(chunk: Chunk, part: Interval) -> Interval:
    """
    Give what a part of an object and a chunk have in common, by places in the chunk.
    """
    common = chunk.interval.intersect(part)
    assert common is not None
    return Interval(common.start - chunk.start, common.stop - chunk.start)


class Part:
    """
    What there is of one chunk in memory, and who brings and reads more.

    Attributes:
        chunk: Which one.
        pieces: The bytes.
        arriving: Those who bring more.
        readings: Those who read.
        saver: Takes bytes to the disk; None without one.
        from_disk: Whether bytes were read from there.
        loading: Who waits for that; None when nobody reads it.
    """

    def __init__(self, chunk: Chunk, partials: IPartialChunks | None) -> None:
        self.chunk = chunk
        self.pieces = Pieces(chunk.length)
        self.arriving: dict[PartSink, None] = {}
        self.readings: dict[PartReading, None] = {}
        self.saver: Saver | None = None
        if partials is not None:
            self.saver = Saver(partials, chunk, self.pieces.within, least=_LEAST)
        self.from_disk = False
        self.loading: list[Deferred[None]] | None = None

    @property
    def idle(self) -> bool:
        """
        Whether nobody does anything with it.
        """
        return not (self.arriving or self.readings or self.loading is not None)

    def expects(self, offset: int) -> bool:
        """
        Tell whether somebody will bring a byte that is not there.
        """
        return any(sink.position <= offset < sink.stop for sink in self.arriving)

    def wake(self) -> None:
        """
        Tell those who read that something has changed.
        """
        for reading in tuple(self.readings):
            reading.wake()


@implementer(IPartSink)
class PartSink:
    """
    Brings bytes of a chunk in order.

    Attributes:
        position: Where in the chunk the next byte belongs.
        stop: Where they end.
    """

    def __init__(
        self,
        part: Part,
        wanted: Interval,
        came: Callable[[Part, int, memoryview], bool],
        ended: Callable[[Part], None],
    ) -> None:
        self.position = wanted.start
        self.stop = wanted.stop
        self._came = came
        self._ended = ended
        self._part = part
        self._open = True
        part.arriving[self] = None

    def write(self, data: memoryview) -> None:
        """
        Take the next bytes.
        """
        offset, self.position = self.position, self.position + len(data)
        if self._open and not self._came(self._part, offset, data):
            self.close()

    def close(self) -> None:
        """
        Bring no more; a second time does nothing.
        """
        if self._open:
            self._open = False
            del self._part.arriving[self]
            self._ended(self._part)


@attrs.frozen(eq=False)
class _Wait:
    offset: int
    limit: int
    result: Deferred[Span]
    patience: IDelayedCall

    def end(self) -> Deferred[Span]:
        """
        Wait no longer.
        """
        if self.patience.active():
            self.patience.cancel()
        return self.result


@implementer(IChunkReading)
class PartReading:
    """
    Reads bytes of a chunk that are there or arriving.
    """

    digest: Digest | None = None

    def __init__(
        self, part: Part, clock: IReactorTime, closed: Callable[[Part], None]
    ) -> None:
        self.length = part.chunk.length
        self.arrival: Arrival | None = None
        self.joined = bool(part.arriving)
        self._part = part
        self._clock = clock
        self._was_closed = closed
        self._waits: list[_Wait] = []
        self._open = True
        part.readings[self] = None

    @property
    def filled(self) -> int:
        """
        Bytes there from the start without a gap.
        """
        return self._part.pieces.extents.reach(0)

    @property
    def source(self) -> str:
        """
        Where the bytes come from.
        """
        if self._part.arriving:
            return "origin"
        return "disk" if self._part.from_disk else "memory"

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Give bytes, or wait for those that somebody brings.
        """
        error = misuse(offset, limit, self.length, closed=not self._open)
        if error is not None:
            return fail(error)
        there = self._there(offset, limit)
        if there is not None:
            return succeed(there)
        if not self._part.expects(offset):
            return fail(_absent())

        def forget(_: Deferred[Span]) -> None:
            self._waits.remove(wait)
            wait.end()

        def give_up() -> None:
            self._waits.remove(wait)
            wait.result.errback(_absent())

        patience = self._clock.callLater(PATIENCE, give_up)
        wait = _Wait(offset, limit, Deferred(forget), patience)
        self._waits.append(wait)
        return wait.result

    def close(self) -> None:
        """
        Stop reading; a second time does nothing. What is being waited for fails.
        """
        if not self._open:
            return
        self._open = False
        del self._part.readings[self]
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.end().errback(ChunkUnavailable("the reading was closed"))
        self._was_closed(self._part)

    def wake(self) -> None:
        """
        Give what has come, and fail what will not.
        """
        waits, self._waits = self._waits, []
        for wait in waits:
            there = self._there(wait.offset, wait.limit)
            if there is not None:
                wait.end().callback(there)
            elif self._part.expects(wait.offset):
                self._waits.append(wait)
            else:
                wait.end().errback(_absent())

    def _there(self, offset: int, limit: int) -> memoryview | None:
        try:
            return self._part.pieces.read(offset, limit)
        except KeyError:
            return None


def _absent() -> ChunkUnavailable:
    return ChunkUnavailable("these bytes are not here and nobody brings them")

"""
The body of one answer of the store, fed to the chunks that it covers.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import (
    ElioError,
    OriginError,
    OriginUnavailable,
    WrongAnswer,
)
from eliop2p.interfaces import IBodyReceiver, IChunkSink, IOriginResponse
from eliop2p.model.chunk import Chunk
from eliop2p.model.ranges import Interval


class StreamCut(OriginError):
    """
    The stream ends before the chunk: it must be read in another way.
    """


@implementer(IBodyReceiver)
class BodyStream:
    """
    The body of one answer, fed to the chunks it covers in their order.

    It waits, paused, before each chunk until the chunk is wanted or known to have come
    from elsewhere; bytes of the latter are dropped.
    """

    def __init__(self, response: IOriginResponse, covers: Interval) -> None:
        self._response = response
        self._position = covers.start
        self._stop = covers.stop
        self._wanted: dict[int, tuple[IChunkSink, Deferred[None]]] = {}
        self._skipped: dict[int, int] = {}
        self._rest = b""
        self._paused = True
        self._started = False
        self._ended = False
        self.open = True
        """
        Whether more bytes can come.
        """

    def reaches(self, position: int) -> bool:
        """
        Tell whether the stream has yet to pass a position of the object.
        """
        return self.open and self._position <= position < self._stop

    @property
    def position(self) -> int:
        """
        Where in the object the next byte belongs.
        """
        return self._position

    @property
    def idle(self) -> bool:
        """
        Whether nobody waits for bytes.
        """
        return not self._wanted

    def feed(self, sink: IChunkSink) -> "Deferred[None]":
        """
        Fill a sink as its bytes pass by.
        """
        start = sink.chunk.start
        result: Deferred[None] = Deferred(lambda _: self._unfeed(start))
        self._wanted[start] = (sink, result)
        self._go_on()
        return result

    def _unfeed(self, start: int) -> None:
        self._wanted.pop(start, None)

    def skip(self, chunk: Chunk) -> None:
        """
        Drop the bytes of a chunk as they pass by.
        """
        stop = chunk.start + chunk.length
        if self.open and self._position < stop:
            self._skipped[chunk.start] = stop
            self._go_on()

    def pass_unwanted(self) -> None:
        """
        Drop what nobody waits for before the next chunk that somebody does: nobody
        will ask for it any more.
        """
        first = min(self._wanted, default=self._position)
        if self.open and self._position < first and self._target() is None:
            self._skipped[self._position] = first
            self._go_on()

    def cut(self, position: int) -> None:
        """
        Feed nothing from a position on; chunks that wait for it fail with
        :class:`StreamCut`.
        """
        self._fail(StreamCut(), position)

    def close(self) -> None:
        """
        Drop the rest of the body.
        """
        if self.open:
            self.open = False
            self._response.abort()
        self._fail(OriginUnavailable("the read of the store was given up"))

    def data_received(self, data: bytes) -> None:
        """
        Take bytes of the object, in order.
        """
        self._rest = self._rest + data if self._rest else data
        self._spread()
        self._balance()

    def body_ended(self) -> None:
        """
        The store has sent everything.
        """
        self._ended = True
        self._check_end()

    def body_failed(self, error: Exception) -> None:
        """
        The store broke off.
        """
        self.open = False
        self._rest = b""
        self._fail(error)

    def _target(self) -> tuple[int, IChunkSink | None] | None:
        """
        Find who takes the byte at the current position, and until where.
        """
        for start, (sink, _) in self._wanted.items():
            stop = start + sink.chunk.length
            if start <= self._position < stop:
                return stop, sink
        for start, stop in self._skipped.items():
            if start <= self._position < stop:
                return stop, None
        return None

    def _spread(self) -> None:
        while self._rest and (target := self._target()) is not None:
            stop, sink = target
            piece = memoryview(self._rest)[: stop - self._position]
            error = None if sink is None else self._write(sink, piece)
            if isinstance(error, OriginError):
                self.close()
                self._fail(error)
                return
            self._position += len(piece)
            self._rest = self._rest[len(piece) :]
            if sink is not None and error is not None:
                self._refused(stop, sink, error)
            elif self._position == stop:
                self._complete(stop, sink)

    def _write(self, sink: IChunkSink, piece: memoryview) -> ElioError | None:
        try:
            sink.write(self._position - sink.chunk.start, piece)
        except ElioError as error:
            return error
        return None

    def _refused(self, stop: int, sink: IChunkSink, error: ElioError) -> None:
        """
        Let a chunk fail that contradicts the stream; the others go on.
        """
        start = sink.chunk.start
        if self._position < stop:
            self._skipped[start] = stop
        _, result = self._wanted.pop(start)
        result.errback(error)

    def _complete(self, stop: int, sink: IChunkSink | None) -> None:
        if sink is None:
            self._skipped = {
                start: end for start, end in self._skipped.items() if end != stop
            }
            return
        _, result = self._wanted.pop(sink.chunk.start)
        result.callback(None)

    def _fail(self, error: Exception, position: int = 0) -> None:
        """
        Fail the chunks that begin at a position or behind it.
        """
        for start in [start for start in self._wanted if start >= position]:
            # Who hears of one failure often cancels the others.
            waiting = self._wanted.pop(start, None)
            if waiting is not None:
                waiting[1].errback(error)

    def _check_end(self) -> None:
        if self._ended and not self._rest:
            self.open = False
            # A chunk may go on where the answer ends as it should.
            error: Exception = StreamCut()
            if self._position < self._stop:
                error = WrongAnswer("the store's answer ended early")
            self._fail(error)

    def _go_on(self) -> None:
        self._spread()
        self._check_end()
        if not self._started and self._target() is not None:
            self._started = True
            self._paused = False
            self._response.deliver(self)
            return
        self._balance()

    def _balance(self) -> None:
        if not (self._started and self.open):
            return
        hold = bool(self._rest) or self._target() is None
        if hold != self._paused:
            self._paused = hold
            (self._response.pause if hold else self._response.resume)()

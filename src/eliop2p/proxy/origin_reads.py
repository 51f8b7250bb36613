"""
Reads of the store under the authority of one client's request.

A client's signed request can be used in two ways. The answer to the request itself is a
stream of the bytes it asked for; it is fed to chunks in order. Where the signature does
not cover the Range header, further ranges can be asked for under the same signature, in
parallel, for as long as its time window lasts; before it ends, one last range to the
end is opened, which no clock cuts off.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import (
    ElioError,
    OriginError,
    OriginRefused,
    OriginUnavailable,
    WrongAnswer,
)
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodyReceiver,
    IChunkOrigin,
    IChunkSink,
    IOrigin,
    IOriginResponse,
)
from eliop2p.model.chunk import Chunk, ObjectVersion
from eliop2p.model.ranges import (
    Interval,
    parse_content_range,
    parse_decimal,
    range_header,
)
from eliop2p.proxy.body_stream import BodyStream, StreamCut

_T = TypeVar("_T")

_log = Logger()

_RANGE = frozenset((b"range",))


@implementer(IBodyReceiver)
class _RangeBody:
    """
    Fills a sink with the body of one ranged answer.
    """

    def __init__(
        self,
        sink: IChunkSink,
        stop: int,
        response: IOriginResponse,
        done: "Deferred[None]",
    ) -> None:
        self._sink = sink
        self._stop = stop
        self._response = response
        self._done: Deferred[None] | None = done

    def data_received(self, data: bytes) -> None:
        """
        Put the bytes in their place.
        """
        try:
            self._sink.write(self._sink.filled, data)
        except ElioError as error:
            self._response.abort()
            self.body_failed(error)

    def body_ended(self) -> None:
        """
        The answer is complete; so must that run of the chunk be.
        """
        if self._sink.filled < self._stop:
            self.body_failed(WrongAnswer("the store's answer was too short"))
        elif self._done is not None:
            done, self._done = self._done, None
            done.callback(None)

    def body_failed(self, error: Exception) -> None:
        """
        The answer broke off.
        """
        if self._done is not None:
            done, self._done = self._done, None
            done.errback(error)


def check_part(head: ResponseHead, wanted: Interval, version: ObjectVersion) -> None:
    """
    Refuse an answer that is not the range that was asked for, of the version known.

    Raises:
        OriginRefused: The store answered something other than 206.
        WrongAnswer: The answer contradicts the request.
    """
    if head.status != 206:
        if head.status == 200:
            raise WrongAnswer("the store ignored the Range header")
        raise OriginRefused(head.status, head.reason.decode("latin-1"))
    part = parse_content_range(head.get(b"content-range") or b"")
    if part != (wanted, version.size):
        raise WrongAnswer("the store answered with another range")
    if head.get(b"etag") != version.etag:
        raise WrongAnswer("the store answered with another version")
    # Bodies come in their framing: what is chunked holds more than bytes of the object.
    length = parse_decimal(head.get(b"content-length") or b"")
    if head.get(b"transfer-encoding") is not None or length != wanted.length:
        raise WrongAnswer("the store's answer has another length, or none")


def _ranged(head: RequestHead, wanted: Interval, version: ObjectVersion) -> RequestHead:
    """
    Ask for a range of the version known, and for no other. A condition of the client's
    own may be signed, and stays as it is.
    """
    ranged = head.without(_RANGE).adding((b"Range", range_header(wanted)))
    if head.get(b"if-match") is None:
        ranged = ranged.adding((b"If-Match", version.etag))
    return ranged


@implementer(IChunkOrigin)
class ClientOrigin:
    """
    What one client's request allows to read of one version of one object.
    """

    def __init__(
        self,
        origin: IOrigin,
        head: RequestHead,
        version: ObjectVersion,
        signed: Interval | None,
        usable: Callable[[], bool],
    ) -> None:
        """
        Args:
            origin: The store.
            head: The client's request, ready to be sent again.
            version: What the store last answered of the object.
            signed: The only range that the signature allows; None when any.
            usable: Whether the signature is still good.
        """
        self._origin = origin
        self._head = head
        self._version = version
        self._signed = signed
        self._usable = usable
        self._stream: BodyStream | None = None
        self._stream_stop = 0
        self._former: BodyStream | None = None
        self._passed: dict[int, Chunk] = {}
        self._reading: set[int] = set()
        self._opening = DeferredLock()
        self._released = False

    def attach(self, stream: BodyStream, stop: int) -> None:
        """
        Use the answer to the client's own request.

        Args:
            stream: The answer's body.
            stop: Where in the object to stop reading from it.
        """
        self._stream = stream
        self._stream_stop = stop

    def can_read(self, chunk: Chunk) -> bool:
        """
        Tell whether the store would give the chunk for this client's request.
        """
        if self._stream is not None and self._stream.reaches(chunk.start):
            return True
        inside = self._signed is None or (
            self._signed.start <= chunk.start
            and chunk.interval.stop <= self._signed.stop
        )
        return inside and (bool(self._opening.locked) or self._usable())

    def read(self, sink: IChunkSink) -> "Deferred[None]":
        """
        Fill a chunk from the stream if it will pass by, else by a request of its own.
        """
        self._reading.add(sink.chunk.start)
        read = self._read_any if self._signed is None else self._read_signed
        result = Deferred.fromCoroutine(read(sink))
        return result.addCallback(self._came, sink.chunk).addBoth(
            self._finished, sink.chunk.start
        )

    def has_dealt_with(self, chunk: Chunk) -> bool:
        """
        Tell whether a chunk is there, or on its way from the store.
        """
        return chunk.start in self._passed or chunk.start in self._reading

    def last_call(self, rest: Interval) -> None:
        """
        Take what is still missing from one answer, opened now: soon the signature will
        not allow to ask for more. No other range can be read from now on.

        Args:
            rest: Whole chunks, to the end of what the client wants.
        """
        self._head, self._signed = _ranged(self._head, rest, self._version), rest
        stream = self._stream
        if stream is not None:
            if stream.reaches(rest.start) and self._stream_stop >= rest.stop:
                return
            self._former, self._stream = stream, None
        Deferred.fromCoroutine(self._open_last()).addErrback(_unopened)

    def passed_over(self, chunk: Chunk) -> None:
        """
        Let the stream drop the chunk's bytes. Where other ranges may be asked for it is
        ended there instead, so that no bytes leave the store in vain.
        """
        self._passed[chunk.start] = chunk
        if self._signed is not None:
            if self._stream is not None:
                self._stream.skip(chunk)
        elif self._stream is not None and self._stream.reaches(chunk.start):
            self._stream_stop = min(self._stream_stop, chunk.start)
            self._stream.cut(chunk.start)
            self._settle()

    def release(self) -> None:
        """
        The client needs nothing more; reads that others wait for go on.
        """
        self._released = True
        self._settle()

    def _passing(self, sink: IChunkSink) -> BodyStream | None:
        """
        Give the stream if the missing bytes of a chunk are still to pass by.
        """
        position = sink.chunk.start + sink.filled
        stream = self._stream
        if stream is None or position >= self._stream_stop:
            return None
        return stream if stream.reaches(position) else None

    def _came(self, _: None, chunk: Chunk) -> None:
        if self._signed is not None and self._stream is not None:
            self._stream.skip(chunk)

    def _finished(self, result: _T, start: int) -> _T:
        self._reading.discard(start)
        self._settle()
        return result

    def _settle(self) -> None:
        """
        Close streams when nothing will be read from them any more.
        """
        if self._former is not None and self._former.idle:
            self._former.close()
            self._former = None
        stream = self._stream
        if self._released:
            # What comes before the chunks that others wait for, nobody will ask for.
            for open_one in (self._former, stream):
                if open_one is not None:
                    open_one.pass_unwanted()
        if stream is None or not stream.idle or stream is not self._stream:
            return
        over = not stream.open or stream.position >= self._stream_stop
        if over or (self._released and not self._reading):
            self._stream = None
            stream.close()

    async def _read_any(self, sink: IChunkSink) -> None:
        stream = self._passing(sink)
        if stream is not None:
            try:
                await stream.feed(sink)
            except StreamCut:
                await self._read_range(sink)
        else:
            await self._read_range(sink)

    async def _read_range(self, sink: IChunkSink) -> None:
        """
        Ask for what is missing, run by run, and for nothing else.
        """
        while sink.missing.length:
            await self._read_run(sink, sink.missing)

    async def _read_run(self, sink: IChunkSink, run: Interval) -> None:
        start = sink.chunk.start
        wanted = Interval(start + run.start, start + run.stop)
        head = _ranged(self._head, wanted, self._version)
        response = await self._request(head, wanted)
        done: Deferred[None] = Deferred()
        response.deliver(_RangeBody(sink, run.stop, response, done))
        try:
            await done
        except CancelledError:
            response.abort()
            raise

    async def _read_signed(self, sink: IChunkSink) -> None:
        """
        Send the client's request once more, as it is: its signature allows only that.
        """
        await self._opening.acquire()
        try:
            stream = self._passing(sink) or await self._open_signed(sink)
        finally:
            self._opening.release()
        await stream.feed(sink)

    async def _open_signed(self, sink: IChunkSink) -> BodyStream:
        old, signed = self._stream, self._signed
        assert signed is not None
        if old is not None and not old.idle:
            raise OriginUnavailable("the bytes have passed by and are not to be had")
        if old is not None:
            old.close()
        head = self._head
        if head.get(b"if-match") is None:
            head = head.adding((b"If-Match", self._version.etag))
        response = await self._request(head, signed)
        stream = BodyStream(response, signed)
        self.attach(stream, signed.stop)
        for chunk in self._passed.values():
            if chunk.start != sink.chunk.start:
                stream.skip(chunk)
        return stream

    async def _open_last(self) -> None:
        rest = self._signed
        assert rest is not None
        await self._opening.acquire()
        try:
            stream = BodyStream(await self._request(self._head, rest), rest)
            self.attach(stream, rest.stop)
            for chunk in self._passed.values():
                stream.skip(chunk)
        finally:
            self._opening.release()
        self._settle()

    async def _request(self, head: RequestHead, wanted: Interval) -> IOriginResponse:
        response = await self._origin.request(head, None, None)
        try:
            check_part(response.head, wanted, self._version)
        except OriginError:
            response.abort()
            raise
        return response


def _unopened(failure: Failure) -> None:
    """
    Note that the last range was not to be had: reads that want it hear why themselves.
    """
    failure.trap(OriginError)
    _log.info("Cannot read on before a signature ends: {error}", error=failure.value)

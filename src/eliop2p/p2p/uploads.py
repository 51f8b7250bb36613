"""
Sends chunks to one peer, in turns and no faster than the peer takes them.
"""

import os
from collections import deque
from typing import Protocol, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import (
    ChunkUnavailable,
    ElioError,
    LocalProtocolError,
    PeerBehind,
    PeerBusy,
    PeerMissing,
    RemoteProtocolError,
)
from eliop2p.interfaces import IChunkReading, IPeerRequests, IWorker
from eliop2p.model.chunk import Digest
from eliop2p.model.span import FileSpan, Span
from eliop2p.net.throttle import Throttle
from eliop2p.wire.codec import MAX_PIECE
from eliop2p.wire.events import Done, Fail, Fault, Get, Message

PIECE = 256 * 1024
LONG_PIECE = MAX_PIECE
"""
The most bytes that an upload sends in one turn: where they are copied into the
transport's memory, and where they go to the kernel from where they are.
"""

_T = TypeVar("_T")

_log = Logger()


class UploadOutput(Protocol):
    """
    The connection that uploads write to. What is sent after its end goes nowhere.
    """

    @property
    def direct(self) -> bool:
        """
        Whether bytes are not copied, and may be in a file.
        """

    @property
    def takes_inlined(self) -> bool:
        """
        Whether the peer takes small chunks with answers, and reads what it is sent.
        """

    def send(self, message: Message) -> None:
        """
        Send a message.
        """

    def send_data(
        self, request_id: int, payload: bytes | Span, digest: Digest | None = None
    ) -> bool:
        """
        Send bytes of a chunk. While it still needs them it is full: it pauses the
        uploads, and resumes them when it has let go of the bytes.

        Args:
            request_id: Of the request.
            payload: The bytes.
            digest: Of the chunk, when they are its last.

        Returns:
            Whether the request is ended with them: not when the peer does not know how.
        """


def fault_of(failure: Failure) -> Fault:
    """
    Say what a peer is told of a failure; one that nobody foresaw is logged.
    """
    faults: tuple[tuple[type[ElioError], Fault], ...] = (
        (PeerBehind, Fault.BEHIND),
        (PeerMissing, Fault.MISSING),
        (PeerBusy, Fault.BUSY),
        (RemoteProtocolError, Fault.BAD),
    )
    for kind, fault in faults:
        if failure.check(kind):
            return fault
    foreseen = failure.check(ElioError, OSError, CancelledError)
    if not foreseen or failure.check(LocalProtocolError):
        _log.failure("A request of a peer failed", failure)
    return Fault.FAILED


@attrs.define(eq=False)
class _Upload:
    request: Get
    stopped: bool = False
    waiting: Deferred[object] | None = None

    async def until(self, deferred: "Deferred[_T]") -> _T:
        """
        Wait for something that is given up when the upload is stopped, or at once when
        it has been stopped from within what it did last.
        """
        self.waiting = deferred  # type: ignore[assignment]
        if self.stopped:
            deferred.cancel()
        try:
            return await deferred
        finally:
            self.waiting = None

    def stop(self) -> None:
        """
        Let the upload end soon.
        """
        self.stopped = True
        if self.waiting is not None:
            self.waiting.cancel()

    def check(self) -> None:
        """
        Raise when the upload has been stopped.
        """
        if self.stopped:
            raise CancelledError


class Uploads:
    """
    The uploads of one connection.

    While the connection can take more, each sends one piece and goes to the end of the
    queue. Does not bound their number: who opens the chunks does.

    Args:
        peer_id: Who receives.
        requests: Opens the chunks.
        worker: Reads files.
        output: The connection.
        throttle: The rate that all connections share.
    """

    def __init__(
        self,
        peer_id: str,
        requests: IPeerRequests,
        worker: IWorker,
        output: UploadOutput,
        throttle: Throttle,
    ) -> None:
        self._peer_id = peer_id
        self._requests = requests
        self._worker = worker
        self._output = output
        self._throttle = throttle
        self._paused = False
        self._gone = False
        self._active: dict[int, _Upload] = {}
        self._turns: deque[Deferred[None]] = deque()
        self._lingering: list[IChunkReading] = []

    def __len__(self) -> int:
        return len(self._active)

    def start(self, request: Get) -> None:
        """
        Answer a request, in time.
        """
        upload = self._active[request.request_id] = _Upload(request)
        ended: Deferred[Message | None] = Deferred.fromCoroutine(self._serve(upload))
        ended.addErrback(
            lambda failure: Fail(request.request_id, fault_of(failure))
        ).addCallback(self._end, request.request_id)

    def cancel(self, request_id: int) -> bool:
        """
        Stop an upload; it is answered with a failure.

        Returns:
            Whether there was one.
        """
        upload = self._active.get(request_id)
        if upload is not None:
            upload.stop()
        return upload is not None

    def pause(self) -> None:
        """
        Send nothing: the connection is full.
        """
        self._paused = True

    def resume(self) -> None:
        """
        Send again: the connection has passed on all that it was given.
        """
        self._paused = False
        self._close_lingering()
        while self._turns and not self._paused:
            self._turns.popleft().callback(None)

    def stop(self) -> None:
        """
        End all uploads; what has been sent may still be on its way.
        """
        for upload in list(self._active.values()):
            upload.stop()

    def lost(self) -> None:
        """
        End all uploads: the connection is gone.
        """
        self._gone = True
        self.stop()
        self._close_lingering()

    def _end(self, message: Message | None, request_id: int) -> None:
        del self._active[request_id]
        if message is not None:
            self._output.send(message)

    async def _serve(self, upload: _Upload) -> Message | None:
        """
        Send a chunk, and give the message that ends the request, if one is needed.
        """
        opening = self._requests.open(self._peer_id, upload.request)
        reading = await upload.until(opening)
        try:
            if await self._send(upload, reading):
                return None
            if reading.digest is None:
                raise ChunkUnavailable("a chunk ended without a digest")
            return Done(upload.request.request_id, reading.digest)
        finally:
            self._release(reading)

    async def _send(self, upload: _Upload, reading: IChunkReading) -> bool:
        """
        Send the bytes of a chunk, and tell whether the request is ended with them.
        """
        offset, ended = upload.request.offset, False
        if offset > reading.length:
            raise RemoteProtocolError("a request begins after the end of its chunk")
        upload.check()
        piece = LONG_PIECE if self._output.direct else PIECE
        while offset < reading.length:
            if self._throttle.limited:
                piece = min(piece, self._throttle.turn)
            span = await upload.until(reading.read(offset, piece))
            if self._throttle.limited:
                await upload.until(self._throttle.take(id(self._output), len(span)))
            payload: bytes | Span = span
            if isinstance(span, FileSpan) and not self._output.direct:
                payload = await self._load(span)
            upload.check()
            if self._paused or self._turns:
                await upload.until(self._turn())
            offset += len(payload)
            digest = reading.digest if offset >= reading.length else None
            ended = self._output.send_data(upload.request.request_id, payload, digest)
        return ended

    async def _load(self, span: FileSpan) -> bytes:
        # Not given up when the upload is stopped: the file must stay open meanwhile.
        data = await self._worker.run(os.pread, span.fd, span.length, span.offset)
        if not data:
            raise ChunkUnavailable("the file of a chunk is shorter than the chunk")
        return data

    def _turn(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred(self._turns.remove)
        self._turns.append(turn)
        return turn

    def _release(self, reading: IChunkReading) -> None:
        """
        Close a reading, but not before the connection has let go of its bytes.
        """
        if self._paused and not self._gone:
            self._lingering.append(reading)
        else:
            reading.close()

    def _close_lingering(self) -> None:
        lingering, self._lingering = self._lingering, []
        for reading in lingering:
            reading.close()

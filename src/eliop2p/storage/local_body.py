"""
Bodies of answers that no network brought.
"""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred

from eliop2p.base.errors import OriginError, OriginUnavailable, WrongAnswer
from eliop2p.http1.message import ResponseHead
from eliop2p.interfaces import IBodySource, IWorker
from eliop2p.model.chunk import MIB
from eliop2p.model.ranges import Interval
from eliop2p.storage.local_file import FileChanged, OpenFile, read_piece
from eliop2p.storage.response import QueuedResponse

PIECE = MIB
"""
The most bytes read from a file at once.
"""


def unavailable(error: OSError) -> OriginUnavailable:
    """
    Say that the disk does not answer, without the path.
    """
    return OriginUnavailable(f"cannot read the object: {error.strerror}")


def discard(body: IBodySource) -> "Deferred[None]":
    """
    Read a request body to its end and forget it.

    Raises:
        OriginUnavailable: It broke off (in the Deferred).
    """
    done: Deferred[None] = Deferred(lambda _: body.stop())
    broken = OriginUnavailable("the body of the request broke off")
    body.start(
        lambda _: None, lambda: done.callback(None), lambda: done.errback(broken)
    )
    return done


class _NoFlow:
    """
    Nothing more will come.
    """

    def pause(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """

    resume = narrow = abort = pause


def small_response(head: ResponseHead, body: bytes) -> QueuedResponse:
    """
    Make an answer whose body is at hand.
    """
    response = QueuedResponse(head, _NoFlow())
    if body:
        response.take(body)
    response.finish(None)
    return response


class FileFlow:
    """
    Reads a file in a worker, one piece after the other while they are wanted, and
    closes it.

    Args:
        file: The open file.
        interval: The bytes to read; at least one.
        worker: Where the disk is waited for.
        counted: Told how many bytes have been read.
    """

    def __init__(
        self,
        file: OpenFile,
        interval: Interval,
        worker: IWorker,
        counted: Callable[[int], None],
    ) -> None:
        self._file = file
        self._left = interval
        self._worker = worker
        self._counted = counted
        self._response: QueuedResponse | None = None
        self._wanted = False
        self._reading = False
        self._aborted = False

    def respond(self, head: ResponseHead) -> QueuedResponse:
        """
        Make the answer that the file is the body of; once.
        """
        self._response = QueuedResponse(head, self)
        return self._response

    def pause(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        self._wanted = False

    def resume(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        self._wanted = True
        if self._response is not None and not self._reading:
            Deferred.fromCoroutine(self._read(self._response))

    def narrow(self) -> None:
        """
        Nothing is read ahead anyway.
        """

    def abort(self) -> None:
        """
        See :class:`eliop2p.storage.response.Flow`.
        """
        self._wanted = False
        self._aborted = True
        if not self._reading:
            self._file.close()

    async def _read(self, response: QueuedResponse) -> None:
        error: OriginError | None = None
        self._reading = True
        try:
            while self._wanted and self._left.length:
                await self._read_piece(response)
        except FileChanged as change:
            error = WrongAnswer(str(change))
        except OSError as failure:
            error = unavailable(failure)
        except CancelledError:
            error = OriginUnavailable("the worker has stopped")
        self._reading = False
        if self._aborted:
            self._file.close()
        elif error is not None or not self._left.length:
            self._file.close()
            response.finish(error)

    async def _read_piece(self, response: QueuedResponse) -> None:
        start = self._left.start
        length = min(PIECE, self._left.length)
        data = await self._worker.run(read_piece, self._file, start, length)
        self._left = Interval(start + len(data), self._left.stop)
        self._counted(len(data))
        response.take(data)

"""
The outgoing side of a client's connection whose large bodies worker processes send.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.interfaces import IBodySender, IRunSender, IStreamTransport
from eliop2p.model.span import FileSpan, Run, Span, run_length
from eliop2p.net.copying_sender import explain_fault, one_by_one
from eliop2p.net.sender import RUN_BYTES, RUN_FILES, SocketSender
from eliop2p.workers.accounts import bytes_given
from eliop2p.workers.lending import Borrower, Lending
from eliop2p.workers.messages import MAX_FILES
from eliop2p.workers.pool import Workers
from eliop2p.workers.process import Ended

CARRIED_BYTES = 1024 * 1024
"""
From which length on parts of files are worth being handed to another process.
"""

_log = Logger()


@implementer(IBodySender, IRunSender)
class CarriedSender:
    """
    Hands large parts of files to worker processes, and does the rest itself.

    A worker writes to the very socket, and nobody else does while it has something to
    send. When it dies the kernel's own count tells how far it has come, so that the
    client gets the next byte from elsewhere and notices nothing.

    Args:
        inner: What sends the rest.
        transport: The connection.
        workers: The worker processes.

    Attributes:
        run_bytes: See :class:`IRunSender`: as many bytes are handed over in one go, so
            that a worker need not wait for the node after each chunk.
        run_files: As well.
        at_once: How many answers have been given without thought since the connection
            came, or came back. Counted by whoever gives them.
    """

    def __init__(
        self, inner: SocketSender, transport: Connection, workers: Workers
    ) -> None:
        self._inner = inner
        self._transport = transport
        self._socket: socket.socket = transport.getHandle()
        self._workers = workers
        self._carried = 0
        self._spans: tuple[FileSpan, ...] = ()
        self._length = 0
        self._sent = 0
        self._given_before = 0
        self._stop: Callable[[], None] | None = None
        self._pending: Deferred[None] | None = None
        self._closed = False
        self._lent: tuple[Lending, int] | None = None
        self.run_bytes = RUN_BYTES
        self.run_files = min(RUN_FILES, MAX_FILES)
        self.at_once = 0

    @property
    def bytes_sent(self) -> int:
        """
        What the kernel has taken so far.
        """
        sent = self._inner.bytes_sent + self._carried
        if self._stop is None and self._lent is None:
            return sent
        return sent + max(self._given_since(), 0)

    def send(self, span: Span, more: bool) -> Deferred[None]:
        """
        See :meth:`IBodySender.send`. Cancelling it aborts the connection.

        Raises:
            LocalProtocolError: The previous send has not ended.
            SpanUnreadable: The file is shorter than its span or cannot be read (in the
                Deferred); the connection stays as it is.
        """
        if more or not isinstance(span, FileSpan) or len(span) < CARRIED_BYTES:
            if self._pending is not None or self._lent is not None:
                raise LocalProtocolError("a send is pending")
            return self._inner.send(span, more)
        return self._carry((span,))

    def send_all(self, spans: Iterator[Span]) -> Deferred[None]:
        """
        See :meth:`IBodySender.send_all`.
        """
        return Deferred.fromCoroutine(one_by_one(self.send, spans))

    def send_runs(self, runs: Iterator[Run]) -> Deferred[None]:
        """
        See :meth:`IRunSender.send_runs`.
        """
        return Deferred.fromCoroutine(self._send_runs(runs))

    def offer(self, head: bytes, body: Span) -> int:
        """
        See :meth:`IBodySender.offer`.
        """
        if self._pending is not None or self._lent is not None:
            return 0
        return self._inner.offer(head, body)

    def lend(self, lending: Lending) -> bool:
        """
        Let a worker answer on the connection, between two answers, until something
        comes that it has no answer to.

        Returns:
            Whether it does.
        """
        if self._closed or self._pending is not None or self._socket.fileno() < 0:
            return False
        before = bytes_given(self._socket)
        borrower = Borrower(self._back, self._gone, self._broken, self._given_since)
        number = lending.lend(self._socket.fileno(), borrower)
        if number is None:
            return False
        self._given_before = before
        self._lent = lending, number
        self._workers.kept.discard(self)
        self._transport.pauseProducing()
        return True

    def close(self) -> None:
        """
        See :meth:`IBodySender.close`. The transport stays as it is.
        """
        if self._closed:
            return
        pending = self._let_go()
        if pending is not None:
            pending.errback(ConnectionLost("the sender was closed"))

    # --- inside

    def _back(self, data: bytes) -> None:
        """
        Read on what comes on the connection.
        """
        self._carried += max(self._given_since(), 0)
        self._lent = None
        self.at_once = 0
        self._transport.resumeProducing()
        if not data:
            return
        try:
            self._transport.protocol.dataReceived(data)
        except Exception:  # noqa: BLE001  As the reactor does.
            _log.failure("A connection is broken off")
            self._transport.abortConnection()

    def _gone(self) -> None:
        self._lent = None
        self._transport.loseConnection()

    def _broken(self) -> None:
        self._lent = None
        self._transport.abortConnection()

    async def _send_runs(self, runs: Iterator[Run]) -> None:
        for run in runs:
            if isinstance(run, tuple):
                await self._carry(run)
            else:
                await self.send(run, False)

    def _carry(self, spans: tuple[FileSpan, ...]) -> Deferred[None]:
        if self._pending is not None or self._lent is not None:
            raise LocalProtocolError("a send is pending")
        if self._closed:
            return fail(ConnectionLost("the sender is closed"))
        if not self._hand_over(spans):
            return self._send_here(spans)
        self._spans, self._sent = spans, 0
        self._length = run_length(spans)
        self._pending = Deferred(self._cancelled)
        return self._pending

    def _hand_over(self, spans: Sequence[FileSpan]) -> bool:
        if self._socket.fileno() < 0:
            return False
        self._given_before = bytes_given(self._socket)
        self._stop = self._workers.carry(self._socket.fileno(), spans, self._ended)
        return self._stop is not None

    def _send_here(self, run: tuple[FileSpan, ...]) -> Deferred[None]:
        workers, length = self._workers, run_length(run)

        def sent(result: Failure | None) -> Failure | None:
            workers.here -= length
            return result

        workers.here += length
        return self._inner.send_runs(iter((run,))).addBoth(sent)

    def _given_since(self) -> int:
        """
        Count what a worker has given to the kernel; negative when nobody can tell any
        more.
        """
        if self._socket.fileno() < 0:
            return -1
        return bytes_given(self._socket) - self._given_before

    def _ended(self, ended: Ended) -> None:
        """
        A worker has sent what it could.
        """
        left = self._length - self._sent
        taken = self._given_since() if ended.taken is None else ended.taken
        self._stop = None
        if not 0 <= taken <= left:
            self._abort(ConnectionLost("the connection was reset"))
            return
        self._sent += taken
        self._carried += taken
        if taken == left:
            self._end(None)
        elif ended.error == errno.EMFILE:
            # The worker has too many descriptors open to be given another.
            self._finish_here()
        elif ended.error:
            fault = OSError(ended.error, os.strerror(ended.error))
            reason = explain_fault(fault, self._spans[0], self._sent)
            self._fail(reason)
        else:
            self._go_on()

    def _rest(self) -> tuple[FileSpan, ...]:
        rest, skip = [], self._sent
        for span in self._spans:
            passed = min(skip, span.length)
            skip -= passed
            if passed < span.length:
                start, left = span.offset + passed, span.length - passed
                rest.append(FileSpan(span.fd, start, left))
        return tuple(rest)

    def _go_on(self) -> None:
        """
        Have somebody else send the rest.
        """
        if not self._hand_over(self._rest()):
            self._finish_here()

    def _finish_here(self) -> None:
        self._send_here(self._rest()).addCallbacks(self._end, self._failed_here)

    def _failed_here(self, failure: Failure) -> None:
        reason = failure.value
        if isinstance(reason, SpanUnreadable):
            reason = SpanUnreadable(str(reason), self._sent + reason.taken)
        if not isinstance(reason, Exception):
            failure.raiseException()
        self._fail(reason)

    def _fail(self, reason: Exception) -> None:
        if isinstance(reason, SpanUnreadable):
            pending, self._pending = self._pending, None
            if pending is not None:
                pending.errback(reason)
        else:
            self._abort(reason)

    def _end(self, _result: None) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.callback(None)

    def _cancelled(self, _pending: Deferred[None]) -> None:
        self._abort(None)

    def _abort(self, reason: Exception | None) -> None:
        if not self._closed:
            self._transport.abortConnection()
            pending = self._let_go()
            if pending is not None and reason is not None:
                pending.errback(reason)

    def _let_go(self) -> Deferred[None] | None:
        self._closed = True
        self._workers.kept.discard(self)
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        lent, self._lent = self._lent, None
        if lent is not None:
            lending, number = lent
            lending.recall(number)
        pending, self._pending = self._pending, None
        self._inner.close()
        return pending


def carried_by(
    workers: Workers | None, make: Callable[[IStreamTransport], IBodySender]
) -> Callable[[IStreamTransport], IBodySender]:
    """
    Let worker processes help where they can.

    Args:
        workers: The worker processes; None for none.
        make: Makes the outgoing side of a connection without them.
    """
    if workers is None:
        return make

    def make_carried(transport: IStreamTransport) -> IBodySender:
        sender = make(transport)
        if isinstance(sender, SocketSender) and isinstance(transport, Connection):
            return CarriedSender(sender, transport, workers)
        return sender

    return make_carried

"""
The outgoing side of a connection that only its transport can write to, as with TLS.
"""

import errno
import os
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.interfaces import IBodySender
from eliop2p.model.span import FileSpan, Span

PIECE = 128 * 1024
"""
What is handed at once to a transport that copies, in bytes.
"""

_FILE_FAULTS = frozenset(
    (errno.EIO, errno.EBADF, errno.EINVAL, errno.ENODATA, errno.ESTALE)
)
_EMPTY = memoryview(b"")


def explain_fault(error: OSError, span: Span, sent: int) -> Exception:
    """
    Say whose fault a failed system call is: the file's or the connection's.
    """
    if isinstance(span, FileSpan) and error.errno in _FILE_FAULTS:
        return SpanUnreadable(f"a chunk's file cannot be read: {error}", sent)
    return ConnectionLost(str(error))


async def one_by_one(
    send: Callable[[Span, bool], Deferred[None]], spans: Iterator[Span]
) -> None:
    """
    Send spans as :meth:`IBodySender.send_all` does.

    Args:
        send: Sends one.
        spans: What to send.
    """
    for span in spans:
        await send(span, False)


@implementer(IBodySender, IPushProducer)
class TransportSender:
    """
    Writes to any transport, by copies of up to :data:`PIECE` bytes, as fast as the
    transport resumes it. The transport may still hold one piece when a send has fired.

    Attributes:
        bytes_sent: What the transport has taken so far.
    """

    def __init__(self, transport: ITCPTransport) -> None:
        self.bytes_sent = 0
        self._transport = transport
        self._span: Span = _EMPTY
        self._sent = 0
        self._paused = False
        self._pending: Deferred[None] | None = None
        self._closed = False

    def send(self, span: Span, more: bool) -> Deferred[None]:  # noqa: ARG002
        """
        See :meth:`IBodySender.send`. Cancelling it aborts the connection; ``more``
        makes no difference: what is written in one turn shares packets.

        Raises:
            LocalProtocolError: The previous send has not ended.
            SpanUnreadable: The file is shorter than its span or cannot be read (in the
                Deferred); the connection stays as it is.
        """
        if self._pending is not None:
            raise LocalProtocolError("a send is pending")
        if self._closed:
            return fail(ConnectionLost("the sender is closed"))
        self._span, self._sent, self._paused = span, 0, False
        self._pending = pending = Deferred[None](self._cancelled)
        IConsumer(self._transport).registerProducer(self, True)
        self._push()
        return pending

    def send_all(self, spans: Iterator[Span]) -> Deferred[None]:
        """
        See :meth:`IBodySender.send_all`.
        """
        return Deferred.fromCoroutine(one_by_one(self.send, spans))

    def offer(self, head: bytes, body: Span) -> int:
        """
        See :meth:`IBodySender.offer`. At most one piece of :data:`PIECE` bytes of the
        body.
        """
        if self._pending is not None or self._closed:
            return 0
        if not isinstance(body, FileSpan):
            data = head + body[:PIECE]
        else:
            try:
                piece = os.pread(body.fd, min(len(body), PIECE), body.offset)
            except OSError:
                return 0
            data = head + piece
        self._transport.write(data)
        self.bytes_sent += len(data)
        return len(data)

    def close(self) -> None:
        """
        See :meth:`IBodySender.close`. The transport stays as it is.
        """
        self._fail(ConnectionLost("the sender was closed"))

    # --- IPushProducer

    def pauseProducing(self) -> None:
        """
        Write nothing until resumed.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Go on writing.
        """
        self._paused = False
        self._push()

    def stopProducing(self) -> None:
        """
        Fail what is pending: the connection is lost.
        """
        self._fail(ConnectionLost("the connection is lost"))

    # --- inside

    def _push(self) -> None:
        while self._pending is not None and not self._paused:
            if self._sent == len(self._span):
                self._end(None)
                return
            try:
                piece = self._next_piece()
            except OSError as error:
                # Only the file is asked for anything here.
                self._end(explain_fault(error, self._span, self._sent))
                return
            self._sent += len(piece)
            self.bytes_sent += len(piece)
            self._transport.write(piece)

    def _next_piece(self) -> bytes:
        span, sent = self._span, self._sent
        size = min(len(span) - sent, PIECE)
        if not isinstance(span, FileSpan):
            return bytes(span[sent : sent + size])
        piece = os.pread(span.fd, size, span.offset + sent)
        if not piece:
            raise OSError(errno.ENODATA, "it ends too early")
        return piece

    def _cancelled(self, _pending: Deferred[None]) -> None:
        self._closed = True
        self._let_go()
        self._transport.abortConnection()

    def _end(self, reason: Exception | None) -> None:
        pending = self._let_go()
        if pending is not None:
            pending.callback(None) if reason is None else pending.errback(reason)

    def _fail(self, reason: Exception) -> None:
        self._closed = True
        pending = self._let_go()
        if pending is not None:
            pending.errback(reason)

    def _let_go(self) -> Deferred[None] | None:
        self._span = _EMPTY
        pending, self._pending = self._pending, None
        if pending is not None:
            IConsumer(self._transport).unregisterProducer()
        return pending

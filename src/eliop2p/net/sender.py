"""
The outgoing side of a client's connection: bodies, with the kernel's help where there
is a socket to give it to.

A :class:`SocketSender` shares a connection with its stock Twisted transport: the
transport reads and notices that the client has gone, the sender writes. Whoever made
the sender closes it when the connection is lost; until then the sender keeps the
connection open.
"""

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IReactorFDSet,
    ITCPTransport,
    IWriteDescriptor,
)
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.interfaces import IBodySender, IRunSender
from eliop2p.model.span import FileSpan, Run, Span
from eliop2p.net.copying_sender import TransportSender, explain_fault
from eliop2p.net.read_group import ReadGroup

TURN = 4 * 1024 * 1024
"""
What one connection gives to the kernel before others have theirs, in bytes. More
starves them, much less costs processor time.
"""

RUN_BYTES = 32 * 1024 * 1024
RUN_FILES = 16
"""
How many bytes from how many files are best opened together: what is done again and
again is still in the processor's caches then. More would have slow clients keep more
open.
"""

SCRAP = 64 * 1024
"""
What is not worth a system call or a turn of its own, in bytes.
"""

_NOW = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
_NOW_AND_MORE = _NOW | getattr(socket, "MSG_MORE", 0)
_EMPTY = memoryview(b"")
_NO_MORE: Iterator[Span] = iter(())


@implementer(IBodySender, IRunSender, IWriteDescriptor)
class SocketSender:
    """
    Writes to a TCP socket without copies of its own.

    Each byte goes out by send or sendfile: the first :data:`TURN` bytes at once, from
    within :meth:`send`, the rest whenever the reactor finds the socket writable. It
    does not read, and nobody else may write to the transport.

    Attributes:
        bytes_sent: What the kernel has taken so far.
        run_bytes: See :class:`IRunSender`.
        run_files: As well.
    """

    run_bytes = RUN_BYTES
    run_files = RUN_FILES

    def __init__(
        self,
        transport: Connection,
        reactor: IReactorFDSet,
        let_read: Callable[[], object] | None = None,
    ) -> None:
        """
        Args:
            transport: A connected transport, which nothing has been written to.
            reactor: What runs the transport.
            let_read: Lets all those read for which something has come; None where
                nobody is to be let in between the turns of those that send.
        """
        self.bytes_sent = 0
        self._let_read = let_read
        self._transport = transport
        self._reactor = reactor
        # A descriptor of its own, so that the reactor can watch it for writing while
        # it watches the transport's for reading.
        self._socket: socket.socket = transport.getHandle().dup()
        self._number = self._socket.fileno()
        self._span: Span = _EMPTY
        self._spans = _NO_MORE
        self._sent = 0
        self._passed = 0
        self._more = False
        self._held_back = False
        self._left_this_turn = TURN
        self._pending: Deferred[None] | None = None
        self._closed = False

    def send(self, span: Span, more: bool) -> Deferred[None]:
        """
        See :meth:`IBodySender.send`. Cancelling it aborts the connection.

        With ``more`` the kernel may hold back an incomplete packet for up to 0.2 s; a
        send without it, even of nothing, releases what was held back.

        Raises:
            LocalProtocolError: The previous send has not ended.
            SpanUnreadable: The file is shorter than its span or cannot be read (in the
                Deferred); the connection stays as it is.
        """
        return self._begin(span, _NO_MORE, more)

    def send_all(self, spans: Iterator[Span]) -> Deferred[None]:
        """
        See :meth:`IBodySender.send_all`. Cancelling it aborts the connection.

        Raises:
            LocalProtocolError: The previous send has not ended.
            SpanUnreadable: As for :meth:`send`.
        """
        return self._begin(_EMPTY, spans, False)

    def send_runs(self, runs: Iterator[Run]) -> Deferred[None]:
        """
        See :meth:`IRunSender.send_runs`. Cancelling it aborts the connection.

        Raises:
            LocalProtocolError: The previous send has not ended.
            SpanUnreadable: As for :meth:`send`.
        """
        return self._begin(_EMPTY, self._in_turn(runs), False)

    def _begin(self, span: Span, spans: Iterator[Span], more: bool) -> Deferred[None]:
        if self._pending is not None:
            raise LocalProtocolError("a send is pending")
        if self._closed:
            return fail(ConnectionLost("the sender is closed"))
        self._span, self._spans, self._sent, self._more = span, spans, 0, more
        self._passed = 0
        try:
            complete = self._push()
        except OSError as error:
            reason = self._stuck(error)
            self._forget()
            if not isinstance(reason, SpanUnreadable):
                self._abort(None)
            return fail(reason)
        if complete:
            self._forget()
            return succeed(None)
        self._pending = Deferred(self._cancelled)
        self._reactor.addWriter(self)
        return self._pending

    def offer(self, head: bytes, body: Span) -> int:
        """
        See :meth:`IBodySender.offer`.
        """
        if self._pending is not None or self._closed:
            return 0
        taken = 0
        try:
            if not isinstance(body, FileSpan):
                taken = self._socket.sendmsg((head, body), (), _NOW)
            else:
                taken = self._socket.send(head, _NOW_AND_MORE)
                self._held_back = True
                if taken == len(head):
                    sent = os.sendfile(self._number, body.fd, body.offset, body.length)
                    self._held_back = not sent
                    taken += sent
        except OSError:
            return taken
        finally:
            self.bytes_sent += taken
        return taken

    def close(self) -> None:
        """
        See :meth:`IBodySender.close`. The transport stays as it is.
        """
        if not self._closed:
            pending = self._let_go()
            if pending is not None:
                pending.errback(ConnectionLost("the sender was closed"))

    # --- IWriteDescriptor

    def fileno(self) -> int:
        """
        Give the descriptor that the reactor watches.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Name the sender to the reactor's log.
        """
        return "SocketSender"

    def doWrite(self) -> None:
        """
        Go on: the socket is writable.
        """
        self._left_this_turn = TURN
        try:
            complete = self._push()
        except OSError as error:
            reason = self._stuck(error)
            if isinstance(reason, SpanUnreadable):
                self._end(reason)
            else:
                self._abort(reason)
            return
        if complete:
            self._end(None)
        if self._let_read is not None and self._left_this_turn < TURN // 2:
            # Whoever asks for little would wait for a turn of each that gets much.
            self._let_read()

    def connectionLost(self, reason: Failure) -> None:
        """
        Fail what is pending: the reactor found the socket broken.
        """
        self._abort(ConnectionLost(reason.getErrorMessage()))

    # --- inside

    def _in_turn(self, runs: Iterator[Run]) -> Iterator[Span]:
        for run in runs:
            if not isinstance(run, tuple):
                yield run
                continue
            for span in run:
                yield span
                self._passed += span.length
            self._passed = 0

    def _stuck(self, error: OSError) -> Exception:
        return explain_fault(error, self._span, self._passed + self._sent)

    def _end(self, reason: SpanUnreadable | None) -> None:
        pending, self._pending = self._pending, None
        self._forget()
        if pending is not None:
            pending.callback(None) if reason is None else pending.errback(reason)
        self._rest()

    def _rest(self) -> None:
        # The callback of one send has often begun the next.
        if self._pending is None and not self._closed:
            self._reactor.removeWriter(self)

    def _forget(self) -> None:
        self._span, self._spans = _EMPTY, _NO_MORE

    def _push(self) -> bool:
        """
        Make at most one system call for each span.

        Returns:
            Whether all of them have been taken.
        """
        while self._push_span():
            span = next(self._spans, None)
            if span is None:
                self._release_held_back()
                return True
            self._span, self._sent = span, 0
        return False

    def _push_span(self) -> bool:
        left = len(self._span) - self._sent
        if left == 0:
            return True
        if self._left_this_turn < SCRAP:
            return False
        size = left
        if left > self._left_this_turn + SCRAP:
            size = self._left_this_turn
        try:
            taken = self._give(self._span, self._sent, size)
        except BlockingIOError:
            return False
        self._sent += taken
        self._left_this_turn -= taken
        self.bytes_sent += taken
        return taken == left

    def _give(self, span: Span, sent: int, size: int) -> int:
        if isinstance(span, FileSpan):
            taken = os.sendfile(
                self._socket.fileno(), span.fd, span.offset + sent, size
            )
            if not taken:
                raise OSError(errno.ENODATA, "it ends too early")
            self._held_back = False
            return taken
        self._held_back = self._more
        return self._socket.send(
            span if size == len(span) else span[sent : sent + size],
            _NOW_AND_MORE if self._more else _NOW,
        )

    def _release_held_back(self) -> None:
        if self._held_back and not self._more:
            # Linux sends what it holds back when this option is set again.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._held_back = False

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
        self._reactor.removeWriter(self)
        self._socket.close()
        self._forget()
        pending, self._pending = self._pending, None
        return pending


def make_sender(
    transport: ITCPTransport, reactor: object
) -> SocketSender | TransportSender:
    """
    Choose the cheapest sender that a connection allows.

    Args:
        transport: A connected transport, which nothing has been written to.
        reactor: What runs the transport.
    """
    if (
        sys.platform == "linux"
        and isinstance(transport, Connection)
        and not transport.TLS
        and transport.getHandle().family in {socket.AF_INET, socket.AF_INET6}
        and IReactorFDSet.providedBy(reactor)
    ):
        try:
            group = transport.reactor
            let_read = group.doRead if isinstance(group, ReadGroup) else None
            return SocketSender(transport, reactor, let_read)
        except OSError:
            # No descriptor is left for a second one. Slower is better than not at all.
            return TransportSender(transport)
    return TransportSender(transport)

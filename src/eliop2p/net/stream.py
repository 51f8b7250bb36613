"""
Both directions of a connection between nodes, where there is a socket to work on.

Twisted's transports copy what comes in and what goes out. A :class:`SocketStream` takes
their place on a connected one: bytes come straight into the memory where they belong,
and go out by sendmsg and sendfile from where they are. The transport keeps the life of
the connection: it tells of its end.
"""

import errno
import math
import os
import socket
import sys
from collections import deque
from contextlib import suppress
from typing import Protocol, cast

from twisted.internet.interfaces import IReadWriteDescriptor, ITransport
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.model.span import FileSpan, Span
from eliop2p.net.copying_sender import explain_fault
from eliop2p.net.copying_stream import CopyingStream, Stream, Transport
from eliop2p.net.tcp_info import unacknowledged

TURN = 2 * 1024 * 1024
"""
What one connection receives, and what it sends, before others have their turn, in
bytes.
"""

HIGH_WATER = 64 * 1024
"""
Bytes that wait without any of a chunk among them above which the owner is asked to
pause, as Twisted's transports do.
"""

SCRATCH = 16 * 1024
"""
Bytes received at a time of which it is not known before where they belong.
"""

_MOST_PIECES = 64
"""
Pieces given to the kernel by one call, at most.
"""

_NOW = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
_MORE = getattr(socket, "MSG_MORE", 0)

_scratch = memoryview(bytearray(SCRATCH))
"""
Nothing of it is kept from one call to the next, so that all streams share it.
"""

_log = Logger()


class StreamOwner(Protocol):
    """
    What a stream is for.
    """

    def room(self) -> memoryview | None:
        """
        Tell where the next bytes belong, as far as that is known.

        Returns:
            Memory to receive them into, of one byte at least; it is used before
            anything else happens. None when they are to be looked at first.
        """

    def filled(self, size: int) -> None:
        """
        So many bytes have come into the room.
        """

    def dataReceived(self, data: bytes | memoryview) -> None:
        """
        Bytes have come; they are valid during the call.
        """

    def pauseProducing(self) -> None:
        """
        The kernel takes no more for the moment.
        """

    def resumeProducing(self) -> None:
        """
        It has taken all that was written.
        """


@implementer(IReadWriteDescriptor)
class SocketStream:
    """
    Receives and sends on the socket of a stock transport, which must do neither: nobody
    else may write to it. The owner calls :meth:`lost` when the transport tells it that
    the connection is lost, and until then the socket stays open.

    The owner is asked to pause whenever a span has not been taken whole, and to resume
    when nothing waits any more: a span, and the file under it, must stay as they are
    until then.

    Args:
        transport: A connected transport, which nothing has been written to.
        owner: Told of what comes.
    """

    direct = True

    def __init__(self, transport: Connection, owner: StreamOwner) -> None:
        self._transport = transport
        self._owner = owner
        self._reactor = transport.reactor
        # A descriptor of its own: reactors know each by its number.
        self._socket: socket.socket = transport.getHandle().dup()
        self._queue: deque[bytes | Span] = deque()
        self._sent = 0  # Of the first in the queue.
        self._waiting = 0
        self._left_this_turn = TURN
        self._paused = False
        self._producing = True
        self._reading = True
        self._closing = False
        self._closed = False
        self._ending = False
        transport.pauseProducing()
        self._reactor.addReader(self)

    # --- from the owner

    def write(self, data: bytes) -> None:
        """
        Send bytes soon.
        """
        if not data or self._closing or self._closed:
            return
        self._add(data)
        self._reactor.addWriter(self)
        if self._waiting > HIGH_WATER:
            self._pause()

    def write_span(self, head: bytes, span: bytes | Span) -> None:
        """
        Send a head and the bytes that belong to it, as much as possible at once.
        """
        if self._closing or self._closed:
            return
        self._add(head)
        self._add(span)
        if self._push():
            self._reactor.addWriter(self)
            self._pause()

    def getPeer(self) -> object:
        """
        Tell who is there.
        """
        return self._transport.getPeer()

    def unacknowledged(self) -> float:
        """
        Tell for how many seconds the other side's kernel has acknowledged nothing.
        """
        return math.inf if self._closed else unacknowledged(self._socket)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """
        Nothing is to be registered: the owner is asked to pause and resume anyway.
        """

    def unregisterProducer(self) -> None:
        """
        Ask the owner for nothing any more.
        """
        self._producing = False

    def pauseProducing(self) -> None:
        """
        Receive nothing for the moment.
        """
        self._stop_reading()

    def resumeProducing(self) -> None:
        """
        Receive again, unless the end is near.
        """
        if not (self._reading or self._ending or self._closing or self._closed):
            self._reading = True
            self._reactor.addReader(self)

    def loseConnection(self) -> None:
        """
        Receive nothing more, and close when all has been sent.
        """
        if self._closing or self._closed:
            return
        self._closing = True
        self._stop_reading()
        if not self._queue:
            self._transport.loseConnection()

    def abortConnection(self) -> None:
        """
        Close at once.
        """
        self.lost()
        self._transport.abortConnection()

    def lost(self) -> None:
        """
        Let go of the socket, and of what was to be sent; a second time does nothing.
        """
        if self._closed:
            return
        self._closed = True
        self._stop_reading()
        self._reactor.removeWriter(self)
        self._socket.close()
        self._queue.clear()

    # --- IReadWriteDescriptor

    def fileno(self) -> int:
        """
        Give the descriptor that the reactor watches.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Name the stream to the reactor's log.
        """
        return "SocketStream"

    def doRead(self) -> None:
        """
        Receive what has come, a turn's worth at most.
        """
        left = TURN
        while self._reading and left > 0:
            room = self._owner.room()
            target = _scratch if room is None else room
            try:
                size = self._socket.recv_into(target, 0, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.abortConnection()
                return
            if not size:
                self._ended()
                return
            if room is None:
                self._owner.dataReceived(_scratch[:size])
            else:
                self._owner.filled(size)
            if size < len(target):
                return
            left -= size

    def doWrite(self) -> None:
        """
        Go on sending: the socket is writable.
        """
        self._left_this_turn = TURN
        if self._push() or self._closed:
            return
        if self._closing:
            self._reactor.removeWriter(self)
            self._transport.loseConnection()
            return
        if self._paused:
            self._paused = False
            if self._producing:
                self._owner.resumeProducing()
        if not self._queue and not self._closed:
            self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """
        The reactor found the socket broken.
        """
        self.abortConnection()

    # --- inside

    def _ended(self) -> None:
        """
        The other side sends no more: the transport finds that, too, and knows what to
        do.
        """
        self._ending = True
        self._stop_reading()
        self._transport.resumeProducing()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._reactor.removeReader(self)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            if self._producing:
                self._owner.pauseProducing()

    def _add(self, item: bytes | Span) -> None:
        self._queue.append(item)
        self._waiting += len(item)

    def _push(self) -> bool:
        """
        Give the kernel what it takes, until the turn is over.

        Returns:
            Whether anything waits.
        """
        while self._queue and self._left_this_turn > 0:
            first = self._queue[0]
            try:
                if isinstance(first, FileSpan):
                    taken = self._send_file(first)
                else:
                    taken = self._send_memory()
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as error:
                reason = explain_fault(error, _span(first), self._sent)
                _log.info("A connection is given up: {reason}", reason=reason)
                self.abortConnection()
                return False
            self._left_this_turn -= taken
            self._note_taken(taken)
        return bool(self._queue)

    def _send_file(self, span: FileSpan) -> int:
        size = min(span.length - self._sent, self._left_this_turn)
        start = span.offset + self._sent
        taken = os.sendfile(self._socket.fileno(), span.fd, start, size)
        if not taken:
            raise OSError(errno.ENODATA, "it ends too early")
        return taken

    def _send_memory(self) -> int:
        pieces: list[bytes | memoryview] = []
        flags, sent = _NOW, self._sent
        for item in self._queue:
            if isinstance(item, FileSpan):
                flags |= _MORE
                break
            pieces.append(memoryview(item)[sent:] if sent else item)
            sent = 0
            if len(pieces) == _MOST_PIECES:
                break
        return self._socket.sendmsg(pieces, (), flags)

    def _note_taken(self, taken: int) -> None:
        self._waiting -= taken
        taken += self._sent
        while self._queue and taken >= len(self._queue[0]):
            taken -= len(self._queue.popleft())
        self._sent = taken


def _span(item: bytes | Span) -> Span:
    return item if isinstance(item, FileSpan) else memoryview(item)


def open_stream(transport: ITransport, owner: StreamOwner) -> Stream:
    """
    Make a stream on a transport, and take over its work where that is possible.

    Args:
        transport: A connected transport, which nothing has been written to.
        owner: Told of what comes.

    Returns:
        One that copies when the transport has to do it: within TLS, or in a simulation.
    """
    if (
        sys.platform == "linux"
        and isinstance(transport, Connection)
        and not transport.TLS
        and transport.getHandle().family in {socket.AF_INET, socket.AF_INET6}
    ):
        # Without a descriptor for it: slower is better than not at all.
        with suppress(OSError):
            return SocketStream(transport, owner)
    return CopyingStream(cast("Transport", transport))

"""
The connection between a node and one of its worker processes.
"""

import array
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import (
    IReactorFDSet,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.workers.messages import MAX_DESCRIPTORS, MAX_MESSAGE, Message, decode

MAX_QUEUED = 4096
"""
Messages that wait for the other side to read; who lets more wait does not live.
"""

_AT_ONCE = 64
"""
Messages that are read before others have their turn.
"""

_ROOM = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)

_log = Logger()


def make_pair() -> tuple[socket.socket, socket.socket]:
    """
    Make both ends of a channel.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


@implementer(IReadDescriptor, IWriteDescriptor)
class Channel:
    """
    One end of a channel, watched by the reactor.

    Args:
        end: The socket; it belongs to the channel.
        reactor: What watches it.
        received: Told of every message with its descriptors, which belong to whoever is
            told.
        lost: Told once that the other side is gone, unless it was this one that closed.
    """

    def __init__(
        self,
        end: socket.socket,
        reactor: IReactorFDSet,
        received: Callable[[Message, list[int]], None],
        lost: Callable[[], None],
    ) -> None:
        self._socket = end
        self._reactor = reactor
        self._received = received
        self._lost = lost
        self._queue: deque[bytes] = deque()
        self._buffer = bytearray(MAX_MESSAGE)
        self.closed = False
        end.setblocking(False)
        reactor.addReader(self)

    def offer(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """
        Send a message if that is possible at once.

        Args:
            message: The message.
            descriptors: What goes with it; the other side gets its own.

        Returns:
            Whether it was.
        """
        if self._queue or self.closed:
            return False
        return self._give(message.encode(), descriptors)

    def send(self, message: Message) -> None:
        """
        Send a message, now or when there is room.
        """
        data = message.encode()
        if self.closed or (not self._queue and self._give(data, ())):
            return
        if len(self._queue) >= MAX_QUEUED:
            _log.warn("The other side of a worker's channel does not read")
            self._end()
            return
        if not self._queue:
            self._reactor.addWriter(self)
        self._queue.append(data)

    def close(self) -> None:
        """
        Let go of it; the other side will notice.
        """
        if not self.closed:
            self.closed = True
            self._queue.clear()
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()

    # --- what the reactor asks

    def fileno(self) -> int:
        """
        Give the descriptor that the reactor watches.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Name it to the reactor's log.
        """
        return "Channel"

    def doRead(self) -> None:
        """
        Take what has come.
        """
        for _ in range(_AT_ONCE):
            if not self._read_one():
                return

    def read_all(self) -> None:
        """
        Take what the other side, which is gone, has said before.
        """
        while self._read_one():
            pass

    def doWrite(self) -> None:
        """
        Send what has waited.
        """
        while self._queue and self._give(self._queue[0], ()):
            self._queue.popleft()
        if not self._queue:
            self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """
        Take it that the other side is gone: the reactor found the socket broken, or
        stops.
        """
        self._end()

    # --- inside

    def _read_one(self) -> bool:
        """
        Take a message.

        Returns:
            Whether there was one.
        """
        if self.closed:
            return False
        try:
            data, descriptors = _receive(self._socket, self._buffer)
        except BlockingIOError:
            return False
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._end()
            return False
        self._take(data, descriptors)
        return True

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        try:
            message = decode(data)
        except RemoteProtocolError as error:
            close_all(descriptors)
            _log.warn("A worker's channel is closed: {error}", error=error)
            self._end()
            return
        self._received(message, descriptors)

    def _give(self, data: bytes, descriptors: Sequence[int]) -> bool:
        try:
            if descriptors:
                socket.send_fds(self._socket, [data], descriptors)
            else:
                self._socket.send(data)
        except BlockingIOError:
            return False
        except OSError:
            # Its end is noticed where it is read.
            return False
        return True

    def _end(self) -> None:
        if not self.closed:
            self.close()
            self._lost()


def close_all(descriptors: Sequence[int]) -> None:
    """
    Close descriptors that nobody wants.
    """
    for descriptor in descriptors:
        os.close(descriptor)


def _receive(end: socket.socket, buffer: bytearray) -> tuple[bytes, list[int]]:
    """
    Receive one message, and its descriptors if the process may have all of them open.
    """
    size, extra, flags, _ = end.recvmsg_into([buffer], _ROOM, socket.MSG_CMSG_CLOEXEC)
    data = bytes(memoryview(buffer)[:size])
    descriptors = array.array("i")
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            whole = len(content) - len(content) % descriptors.itemsize
            descriptors.frombytes(content[:whole])
    if flags & socket.MSG_CTRUNC:
        close_all(descriptors)
        return data, []
    return data, list(descriptors)

"""
What a worker process does: it sends parts of files to clients, as it is told.
"""

import errno
import os
import random
import socket
from collections.abc import Callable

from twisted.internet.interfaces import (
    IReactorFDSet,
    IReactorTime,
    IWriteDescriptor,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.model.span import FileSpan
from eliop2p.workers.board import Board
from eliop2p.workers.channel import Channel, close_all
from eliop2p.workers.desk import Desk
from eliop2p.workers.messages import Kind, Message

TURN = 2 * 1024 * 1024
"""
What one client is sent before others have their turn, in bytes.
"""

_SOCKET_AND_FILE = 2


@implementer(IWriteDescriptor)
class Carriage:
    """
    Bytes of a file on their way to a client.

    Args:
        client: A descriptor of the client's socket; it belongs to the carriage.
        span: The bytes; so does the descriptor of their file.
        reactor: Tells when the socket takes more.
        ended: Told once how many the kernel took, and the number of an error or 0.
    """

    def __init__(
        self,
        client: int,
        span: FileSpan,
        reactor: IReactorFDSet,
        ended: Callable[[int, int], None],
    ) -> None:
        self._client = client
        self._span = span
        self._reactor = reactor
        self._ended = ended
        self._taken = 0
        self._waiting = False

    def begin(self) -> None:
        """
        Send what can be sent at once.
        """
        self.doWrite()
        if self._client >= 0 and not self._waiting:
            self._waiting = True
            self._reactor.addWriter(self)

    def stop(self) -> None:
        """
        Send no more.
        """
        if self._waiting:
            self._waiting = False
            self._reactor.removeWriter(self)
        close_all((self._client, self._span.fd))
        self._client = -1

    def fileno(self) -> int:
        """
        Give the descriptor that the reactor watches.
        """
        return self._client

    def logPrefix(self) -> str:
        """
        Name it to the reactor's log.
        """
        return "Carriage"

    def doWrite(self) -> None:
        """
        Send a turn's worth.
        """
        span, left = self._span, len(self._span) - self._taken
        try:
            sent = os.sendfile(
                self._client, span.fd, span.offset + self._taken, min(left, TURN)
            )
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error.errno or errno.EIO)
            return
        self._taken += sent
        if not sent:
            self._end(errno.ENODATA)
        elif sent == left:
            self._end(0)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """
        End: the reactor found the socket broken.
        """
        if self._client >= 0:
            self._end(errno.ECONNRESET)

    def _end(self, error: int) -> None:
        self.stop()
        self._ended(self._taken, error)


class Porter:
    """
    Does what comes over a channel.

    Args:
        end: The worker's end of it.
        board: What is shared with the node.
        reactor: What the worker runs on.
        clock: The same, for the time.
        rng: For names of requests.
        gone: Told when the node is.
    """

    def __init__(
        self,
        end: socket.socket,
        board: Board,
        reactor: IReactorFDSet,
        clock: IReactorTime,
        *,
        rng: random.Random,
        gone: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._desk = Desk(
            board,
            reactor,
            clock,
            rng=rng,
            back=lambda number, data: self._say(Kind.BACK, number, data),
            gone=lambda number: self._say(Kind.GONE, number),
        )
        self._carried: dict[int, Carriage] = {}
        self._channel = Channel(end, reactor, self._received, gone)
        self._channel.send(Message(Kind.PONG))

    def _received(self, message: Message, descriptors: list[int]) -> None:
        if message.kind is Kind.CARRY:
            self._carry(message, descriptors)
            return
        if message.kind is Kind.LEND:
            self._lend(message, descriptors)
            return
        close_all(descriptors)
        if message.kind is Kind.PING:
            self._channel.send(Message(Kind.PONG, message.ticket))
        elif message.kind is Kind.STOP:
            stopped = self._carried.pop(message.ticket, None)
            if stopped is not None:
                stopped.stop()
        else:
            self._attend(message)

    def _attend(self, message: Message) -> None:
        if message.kind is Kind.TEACH:
            self._desk.teach(message.ticket, message.first, message.data)
        elif message.kind is Kind.FORGET:
            self._desk.forget(message.ticket)
        elif message.kind is Kind.RECALL:
            self._desk.recall(message.ticket)

    def _say(self, kind: Kind, number: int, data: bytes = b"") -> None:
        self._channel.send(Message(kind, number, data=data))

    def _lend(self, message: Message, descriptors: list[int]) -> None:
        if len(descriptors) != 1:
            close_all(descriptors)
            self._say(Kind.BACK, message.ticket)
            return
        self._desk.lend(message.ticket, message.first, descriptors[0])

    def _carry(self, message: Message, descriptors: list[int]) -> None:
        ticket = message.ticket

        def ended(taken: int, error: int) -> None:
            self._carried.pop(ticket, None)
            self._channel.send(Message(Kind.ENDED, ticket, taken, error))

        if len(descriptors) != _SOCKET_AND_FILE:
            close_all(descriptors)
            ended(0, errno.EMFILE)
            return
        client, file = descriptors
        span = FileSpan(file, message.first, message.second)
        carriage = Carriage(client, span, self._reactor, ended)
        self._carried[ticket] = carriage
        carriage.begin()

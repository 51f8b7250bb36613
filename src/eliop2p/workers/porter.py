"""
What a worker process does: it sends parts of files to clients, as it is told.
"""

import errno
import os
import random
import socket
from collections import deque
from collections.abc import Callable, Sequence

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
from eliop2p.workers.messages import Kind, Message, decode_places

TURN = 2 * 1024 * 1024
"""
What one client is sent before others have their turn, in bytes.
"""


@implementer(IWriteDescriptor)
class Carriage:
    """
    Bytes of files on their way to a client.

    Args:
        client: A descriptor of the client's socket; it belongs to the carriage.
        spans: The bytes; so do the descriptors of their files.
        reactor: Tells when the socket takes more.
        ended: Told once how many the kernel took, and the number of an error or 0.
    """

    def __init__(
        self,
        client: int,
        spans: Sequence[FileSpan],
        reactor: IReactorFDSet,
        ended: Callable[[int, int], None],
    ) -> None:
        self._client = client
        self._spans = deque(spans)
        self._reactor = reactor
        self._ended = ended
        self._sent = 0
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
        close_all((self._client, *(span.fd for span in self._spans)))
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
        Send a turn's worth, with at most one system call for each file.
        """
        end = self._taken + TURN
        try:
            while self._send_of_one(end - self._taken):
                os.close(self._spans.popleft().fd)
                self._sent = 0
                if not self._spans:
                    self._end(0)
                    return
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error.errno or errno.EIO)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """
        End: the reactor found the socket broken.
        """
        if self._client >= 0:
            self._end(errno.ECONNRESET)

    def _send_of_one(self, most: int) -> bool:
        """
        Send what comes next of a file.

        Returns:
            Whether all of it has been sent.
        """
        if not most:
            return False
        span, left = self._spans[0], len(self._spans[0]) - self._sent
        offset = span.offset + self._sent
        sent = os.sendfile(self._client, span.fd, offset, min(left, most))
        if not sent:
            raise OSError(errno.ENODATA, "it ends too early")
        self._sent += sent
        self._taken += sent
        return sent == left

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

        if len(descriptors) != 1 + message.first:
            close_all(descriptors)
            ended(0, errno.EMFILE)
            return
        client, *files = descriptors
        spans = decode_places(message.data, files)
        carriage = Carriage(client, spans, self._reactor, ended)
        self._carried[ticket] = carriage
        carriage.begin()

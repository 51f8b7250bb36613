"""
Many sockets that the reactor watches as one.

For each socket that has something to read, Twisted's reactor sets up a logging context,
which costs as much as answering a small request does. Linux lets an epoll descriptor be
watched like any other, so that a group of sockets can have one of its own: the reactor
is told that something has come for the group, and the group goes through all that has;
or through as much of it as fits in a while, so that others get their turn.
"""

import select
from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableDescriptor,
    IReactorFDSet,
    IReactorTime,
    IReadDescriptor,
    IReadWriteDescriptor,
    IWriteDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger()


@implementer(IReadDescriptor)
class ReadGroup:
    """
    Stands between the reactor and the transports that it is given to as their reactor:
    they are watched for reading here, and by the reactor for all else.

    Args:
        reactor: The reactor.
        clock: The same, as their timers.
        turn: Seconds of reading after which the rest waits until the reactor has gone
            round; None to read whatever has come.
    """

    def __init__(
        self, reactor: IReactorFDSet, clock: IReactorTime, turn: float | None = None
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._turn = turn
        self._poll: select.epoll | None = None
        self._members: dict[int, IReadDescriptor] = {}
        self._numbers: dict[IReadDescriptor, int] = {}

    @property
    def size(self) -> int:
        """
        How many sockets are watched.
        """
        return len(self._members)

    # --- what transports ask of their reactor

    def addReader(self, reader: IReadDescriptor) -> None:  # noqa: N802
        """
        Watch a socket for reading.
        """
        if reader in self._numbers:
            return
        number = reader.fileno()
        poll = self._poll
        if poll is None:
            poll = self._poll = select.epoll()
            self._reactor.addReader(self)
        poll.register(number, select.EPOLLIN)
        self._numbers[reader] = number
        self._members[number] = reader

    def removeReader(self, reader: IReadDescriptor) -> None:  # noqa: N802
        """
        Watch it no more.
        """
        number = self._numbers.pop(reader, None)
        if number is None or self._poll is None:
            return
        del self._members[number]
        self._poll.unregister(number)
        if not self._members:
            self._reactor.removeReader(self)
            self._poll.close()
            self._poll = None

    def addWriter(self, writer: IWriteDescriptor) -> None:  # noqa: N802
        """
        Have the reactor watch a socket for writing.
        """
        self._reactor.addWriter(writer)

    def removeWriter(self, writer: IWriteDescriptor) -> None:  # noqa: N802
        """
        Have it watch no more.
        """
        self._reactor.removeWriter(writer)

    def callLater(
        self, delay: float, function: Callable[..., object], *args: object
    ) -> IDelayedCall:
        """
        Have the reactor call a function later.
        """
        return self._clock.callLater(delay, function, *args)

    # --- what the reactor asks

    def fileno(self) -> int:
        """
        Give the descriptor that stands for all of them.
        """
        return -1 if self._poll is None else self._poll.fileno()

    def logPrefix(self) -> str:
        """
        Name the group to the reactor's log.
        """
        return "ReadGroup"

    def doRead(self) -> None:
        """
        Let sockets read for which something has come.
        """
        if self._turn is not None:
            self._read_for(self._turn)
        elif self._poll is not None:
            for number, event in self._poll.poll(0, len(self._members)):
                self._read(number, event)

    def _read_for(self, turn: float) -> None:
        """
        Let one after the other read for a while. Linux puts one that it has told of
        behind the others, so that each gets its turn.
        """
        end = self._clock.seconds() + turn
        while self._poll is not None and (ready := self._poll.poll(0, 1)):
            self._read(*ready[0])
            if self._clock.seconds() >= end:
                return

    def _read(self, number: int, event: int) -> None:
        # Another may have closed it meanwhile.
        reader = self._members.get(number)
        if reader is None:
            return
        readable = bool(event & select.EPOLLIN)
        why: Exception | Failure | None = ConnectionDone()
        try:
            if readable:
                why = reader.doRead()
        except Exception as error:  # noqa: BLE001  As the reactor does.
            _log.failure("A connection is broken off", Failure())
            why = error
        if why is not None:
            self._disconnect(reader, why, at_reading=readable)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops: so do all connections.
        """
        for reader in list(self._numbers):
            self._lose(reader, reason)

    # --- inside

    def _disconnect(
        self, reader: IReadDescriptor, why: Exception | Failure, *, at_reading: bool
    ) -> None:
        """
        End a connection as the reactor would.
        """
        self.removeReader(reader)
        reason = why if isinstance(why, Failure) else Failure(why)
        done = reason.check(ConnectionDone)
        if at_reading and done and IHalfCloseableDescriptor.providedBy(reader):
            reader.readConnectionLost(reason)
        else:
            self._lose(reader, reason)

    def _lose(self, reader: IReadDescriptor, reason: Failure) -> None:
        self.removeReader(reader)
        if IReadWriteDescriptor.providedBy(reader):
            self._reactor.removeWriter(reader)
        reader.connectionLost(reason)

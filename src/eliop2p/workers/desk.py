"""
Connections that a worker process has been lent, and the answers that it may give there.
"""

import random
import socket
from bisect import bisect_left
from collections.abc import Callable

from twisted.internet.interfaces import (
    IReactorFDSet,
    IReactorTime,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.request_ids import request_ids
from eliop2p.net.read_group import ReadGroup
from eliop2p.workers.board import Board
from eliop2p.workers.lease import Lease, decode_lease

READ_BYTES = 64 * 1024
"""
What is read of a connection at once.
"""

_NOTHING = memoryview(b"")


@implementer(IReadDescriptor, IWriteDescriptor)
class LentConnection:
    """
    One client's connection, as long as the worker has it.

    Args:
        connection: The socket; it belongs to the connection.
        number: What the node calls it.
        place: Its place on the board.
        desk: Knows the answers.
    """

    def __init__(
        self, connection: socket.socket, number: int, place: int, desk: "Desk"
    ) -> None:
        self.number = number
        self._socket = connection
        self._place = place
        self._desk = desk
        self._busy = desk.board.busy
        self._rest = _NOTHING
        self._due = 0  # What the client gets on the connection here, in bytes.
        self._sent: Callable[[], None] | None = None

    def fileno(self) -> int:
        """
        Give the descriptor that the reactor watches.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Name it to the reactor's log.
        """
        return "LentConnection"

    def doRead(self) -> None:
        """
        Answer what has come, or let go of the connection.
        """
        # Before a byte is taken: when the worker dies the node knows whether any was.
        self._busy[self._place] = 1
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            self._busy[self._place] = 0
            return
        except OSError:
            data = b""
        if not data:
            self._desk.gone(self)
            return
        started = self._desk.now()
        lease = self._desk.find(data, started)
        if lease is None:
            self._desk.give_back(self, data)
            return
        self._answer(lease, started)

    def doWrite(self) -> None:
        """
        Go on with an answer.
        """
        try:
            taken = self._socket.send(self._rest)
        except BlockingIOError:
            return
        except OSError:
            self._desk.gone(self)
            return
        self._rest = self._rest[taken:]
        if not self._rest:
            self._desk.reactor.removeWriter(self)
            assert self._sent is not None
            self._sent()
            self._sent = None
            self._busy[self._place] = 0
            self._desk.group.addReader(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """
        Take it that the client is gone: the reactor found the socket broken.
        """
        self._desk.gone(self)

    def close(self) -> None:
        """
        Let go of it.
        """
        self._desk.group.removeReader(self)
        self._desk.reactor.removeWriter(self)
        self._socket.close()
        self._rest = _NOTHING

    def _answer(self, lease: "KnownLease", started: float) -> None:
        name = self._desk.name()
        answer = lease.answer
        head = b"".join((answer.opening, name, answer.head[3]))
        self._due += len(head) + len(answer.body)
        self._busy[self._place] = 1 + self._due
        try:
            taken = self._socket.sendmsg((head, answer.body))
        except BlockingIOError:
            taken = 0
        except OSError:
            self._desk.gone(self)
            return
        if taken == len(head) + len(answer.body):
            self._desk.count(lease, name, started)
            self._busy[self._place] = 0
            return
        self._sent = lambda: self._desk.count(lease, name, started)
        self._rest = memoryview(head + answer.body)[taken:]
        self._desk.group.removeReader(self)
        self._desk.reactor.addWriter(self)


class KnownLease:
    """
    A lease in its place.

    Args:
        answer: What it is for.
        number: Its own.
        place: Where the board says whether it is good.
    """

    __slots__ = ("answer", "number", "place")

    def __init__(self, answer: Lease, number: int, place: int) -> None:
        self.answer = answer
        self.number = number
        self.place = place


class Desk:
    """
    The connections and the answers of one worker.

    Attributes:
        board: What is shared with the node.
        reactor: Watches sockets for writing.
        group: Watches them for reading.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        board: Board,
        reactor: IReactorFDSet,
        clock: IReactorTime,
        *,
        rng: random.Random,
        back: Callable[[int, bytes], None],
        gone: Callable[[int], None],
    ) -> None:
        """
        Args:
            board: What is shared with the node.
            reactor: Watches sockets.
            clock: Tells the seconds since the epoch.
            rng: For names of requests.
            back: Told of a connection that is let go of, and what has come on it.
            gone: Told of one whose client is gone.
        """
        self.board = board
        self.reactor = reactor
        self.group = ReadGroup(reactor, clock)
        self.now = clock.seconds
        self._names = request_ids(rng)
        self._back = back
        self._gone = gone
        self._bounds = board.bounds
        self._count, self._note = board.count, board.note
        self._connections: dict[int, LentConnection] = {}
        self._answers: dict[bytes, KnownLease] = {}
        self._requests: dict[int, bytes] = {}

    # --- what the node says

    def lend(self, number: int, place: int, descriptor: int) -> None:
        """
        Take a connection.
        """
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        lent = LentConnection(connection, number, place, self)
        self.board.busy[place] = 0
        self._connections[number] = lent
        self.group.addReader(lent)

    def recall(self, number: int) -> None:
        """
        Let go of a connection.
        """
        lent = self._connections.pop(number, None)
        if lent is not None:
            lent.close()

    def teach(self, number: int, place: int, data: bytes) -> None:
        """
        Learn an answer.

        Raises:
            RemoteProtocolError: It is none.
        """
        lease = decode_lease(data)
        self._drop(lease.raw)
        self._answers[lease.raw] = KnownLease(lease, number, place)
        self._requests[number] = lease.raw

    def forget(self, number: int) -> None:
        """
        Drop an answer.
        """
        raw = self._requests.get(number)
        if raw is not None:
            self._drop(raw)

    # --- what connections ask

    def find(self, raw: bytes, now: float) -> KnownLease | None:
        """
        Find the answer to a request, if it is good at this moment.
        """
        known = self._answers.get(raw)
        if known is None:
            return None
        answer = known.answer
        if self.board.good[known.place] != known.number or not (
            answer.since <= now < answer.until
        ):
            self._drop(raw)
            return None
        if not answer.expires - 1 <= now < answer.expires:
            answer.write(now)
        return known

    def name(self) -> bytes:
        """
        Name a request.
        """
        return next(self._names)

    def count(self, lease: KnownLease, name: bytes, started: float) -> None:
        """
        Count an answer that has been given.
        """
        seconds = self.now() - started
        bucket = bisect_left(self._bounds, seconds)
        self._count(lease.place, bucket, len(lease.answer.body))
        self._note(lease.number, name, started, seconds)

    def give_back(self, lent: LentConnection, data: bytes) -> None:
        """
        Let the node answer what has come, and all that will.
        """
        self.recall(lent.number)
        self._back(lent.number, data)

    def gone(self, lent: LentConnection) -> None:
        """
        Tell the node that a client has gone.
        """
        if self._connections.get(lent.number) is lent:
            self.recall(lent.number)
            self._gone(lent.number)

    def _drop(self, raw: bytes) -> None:
        known = self._answers.pop(raw, None)
        if known is not None:
            del self._requests[known.number]

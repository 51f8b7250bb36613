"""
A worker process as its node sees it.
"""

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.model.span import FileSpan
from eliop2p.workers.board import Board
from eliop2p.workers.channel import Channel, close_all
from eliop2p.workers.lending import Lending
from eliop2p.workers.messages import Kind, Message, encode_places

SILENCE_SECONDS = 10.0
"""
After how long a worker that says nothing is taken for hung, and killed.
"""

_log = Logger()


@attrs.frozen
class Ended:
    """
    What became of bytes that a worker was to send.

    Attributes:
        taken: How many of them the kernel took; None when the worker died, and only the
            kernel knows.
        error: The number of the error that ended it; 0 for none.
    """

    taken: int | None
    error: int


@attrs.frozen
class _Ticket:
    length: int
    ended: Callable[[Ended], None]


class WorkerProcess(ProcessProtocol):
    """
    One worker process.

    Attributes:
        load: Bytes that it has still to send.
        ready: Whether it can be given work.
        sent: Bytes that it has sent.
        born: When it was started.
        lending: What it has been lent.
    """

    transport: IProcessTransport

    def __init__(
        self,
        board: Board,
        seconds: Callable[[], float],
        over: Callable[["WorkerProcess"], None],
    ) -> None:
        """
        Args:
            board: What is shared with it.
            seconds: A clock.
            over: Told when the process has ended.
        """
        self.load = 0
        self.sent = 0
        self.ready = False
        self.born = self._heard = seconds()
        self._seconds = seconds
        self._over = over
        self._tickets: dict[int, _Ticket] = {}
        self._last = 0
        self._channel: Channel | None = None
        self.lending = Lending(board, self._offer, self._send)

    def use(self, channel: Channel) -> None:
        """
        Talk to the process over a channel, whose messages go to :meth:`received` and
        whose end to :meth:`lost`.
        """
        self._channel = channel

    def carry(
        self,
        client: int,
        spans: Sequence[FileSpan],
        ended: Callable[[Ended], None],
    ) -> int | None:
        """
        Have bytes of files sent to a client.

        Args:
            client: The descriptor of the client's socket, which nobody else may write
                to meanwhile.
            spans: The bytes, of :data:`.MAX_FILES` files at most; may be closed at
                once.
            ended: Told what became of it, unless it is stopped before.

        Returns:
            What :meth:`stop` takes; None when the worker cannot be given more now.
        """
        ticket = self._last + 1
        places = encode_places(spans)
        message = Message(Kind.CARRY, ticket, len(spans), data=places)
        files = (span.fd for span in spans)
        if not self.ready or not self._offer(message, (client, *files)):
            return None
        length = sum(span.length for span in spans)
        self._last = ticket
        self._tickets[ticket] = _Ticket(length, ended)
        self.load += length
        return ticket

    def stop(self, ticket: int) -> None:
        """
        Have no more sent of what was given to the worker.
        """
        if self._forget(ticket) is not None:
            self._send(Message(Kind.STOP, ticket))

    def check(self, now: float) -> None:
        """
        Ask the worker whether it lives, and kill it if it has not said so for long.
        """
        if now - self._heard > SILENCE_SECONDS:
            _log.warn(
                "A worker has not answered for {silence:.0f} s, and is killed",
                silence=now - self._heard,
            )
            self.kill()
        else:
            self._send(Message(Kind.PING))

    def dismiss(self) -> None:
        """
        Let the process end.
        """
        self.ready = False
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def kill(self) -> None:
        """
        End the process at once.
        """
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            return

    # --- what the channel tells

    def received(self, message: Message, descriptors: list[int]) -> None:
        """
        Take a message.
        """
        close_all(descriptors)
        self._heard = self._seconds()
        if message.kind is Kind.PONG:
            self.ready = True
        elif message.kind is Kind.ENDED:
            ticket = self._forget(message.ticket)
            if ticket is not None:
                self.sent += message.first
                ticket.ended(Ended(message.first, message.second))
        elif message.kind is Kind.BACK:
            self.lending.back(message.ticket, message.data)
        elif message.kind is Kind.GONE:
            self.lending.gone(message.ticket)

    def lost(self) -> None:
        """
        Take it that the process is gone, or will be: it cannot work any more.
        """
        self.ready = False
        self._channel = None
        self.kill()

    # --- what the reactor tells

    def errReceived(self, data: bytes) -> None:  # noqa: N802
        """
        Pass on what the process complains of.
        """
        for line in data.decode("utf-8", "replace").splitlines():
            _log.warn("A worker says: {line}", line=line)

    def outReceived(self, data: bytes) -> None:  # noqa: N802
        """
        Pass on what else it writes.
        """
        self.errReceived(data)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        """
        The process has ended, and so has every system call of it: what it had still to
        send, somebody else has to.
        """
        _log.debug("A worker has ended: {reason}", reason=reason.getErrorMessage())
        if self._channel is not None:
            # What it said before.
            self._channel.read_all()
        self.dismiss()
        tickets, self._tickets = self._tickets, {}
        self.load = 0
        self._over(self)
        for ticket in tickets.values():
            ticket.ended(Ended(None, 0))
        self.lending.died()

    def _offer(self, message: Message, descriptors: tuple[int, ...]) -> bool:
        return self._channel is not None and self._channel.offer(message, descriptors)

    def _send(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _forget(self, number: int) -> _Ticket | None:
        ticket = self._tickets.pop(number, None)
        if ticket is not None:
            self.load -= ticket.length
        return ticket

"""
Pairs of connected protocols on the loopback interface.
"""

import socket
from pathlib import Path
from typing import cast

from twisted.internet import reactor  # noqa: TID251  # These tests are of sockets.
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from eliop2p.net.network import ReactorNetwork

REACTOR = reactor

_DONE = Failure(ConnectionDone())


async def turns(count: int = 5) -> None:
    """
    Let the reactor go round.
    """
    for _ in range(count):
        await deferLater(cast("IReactorTime", REACTOR), 0)


def open_descriptors() -> list[str]:
    """
    Name what every open descriptor of this process is, apart from the listing itself.
    """
    names = []
    for entry in sorted(Path("/proc/self/fd").iterdir()):
        try:
            names.append(str(entry.readlink()))
        except OSError:
            continue
    return sorted(names)


class End(Protocol):
    """
    One end of a connection, which remembers what it heard.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.made = Deferred[None]()
        self.lost = Deferred[None]()
        self.is_lost = False
        self._waiting: tuple[int, Deferred[None]] | None = None

    @property
    def connection(self) -> Connection:
        """
        The transport, as the TCP connection that it is.
        """
        return cast("Connection", self.transport)

    def connectionMade(self) -> None:
        """
        Tell who waits for the connection.
        """
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the bytes.
        """
        self.received += data
        if self._waiting is not None and len(self.received) >= self._waiting[0]:
            waiting, self._waiting = self._waiting[1], None
            waiting.callback(None)

    def connectionLost(self, reason: Failure = _DONE) -> None:
        """
        Tell who waits for the end.
        """
        self.is_lost = True
        self.reason = reason
        self.lost.callback(None)

    def wait_for(self, length: int) -> Deferred[None]:
        """
        Wait until length bytes have been received in all.
        """
        waiting = Deferred[None]()
        self._waiting = (length, waiting)
        self.dataReceived(b"")
        return waiting


class EndFactory(Factory):
    """
    Makes one end, known before it is connected.
    """

    def __init__(self) -> None:
        self.end = End()

    def buildProtocol(self, addr: object) -> End:
        """
        Give the end.
        """
        return self.end


def port_of(listening: IListeningPort) -> int:
    """
    Tell which port was chosen.
    """
    return cast("IPv4Address", listening.getHost()).port


async def pair(case: TestCase, buffers: int = 0) -> tuple[End, End]:
    """
    Connect two ends; both are gone when the test ends.

    Args:
        case: The test.
        buffers: Size of the kernel's buffers in bytes, 0 for its default.

    Returns:
        The accepted end and the connecting end.
    """
    network = ReactorNetwork(REACTOR)
    accepting, connecting = EndFactory(), EndFactory()
    listening = network.listen("127.0.0.1", 0, accepting)
    port = port_of(listening)
    await network.connect("127.0.0.1", port, connecting, 5, False)
    await accepting.end.made
    await maybeDeferred(listening.stopListening)
    case.addCleanup(finish, accepting.end, connecting.end)
    if buffers:
        for end, option in (
            (accepting.end, socket.SO_SNDBUF),
            (connecting.end, socket.SO_RCVBUF),
        ):
            handle: socket.socket = end.connection.getHandle()
            handle.setsockopt(socket.SOL_SOCKET, option, buffers)
    return accepting.end, connecting.end


async def finish(*ends: End) -> None:
    """
    Abort what is still connected and wait until it is gone.
    """
    for end in ends:
        if not end.is_lost:
            end.connection.resumeProducing()
            end.connection.abortConnection()
    for end in ends:
        if not end.is_lost:
            await end.lost

"""
What tests of the simulated network share.
"""

import random
from collections.abc import Callable
from typing import cast

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IPushProducer,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.testing.simnet import SimNetwork, advance_until
from eliop2p.testing.simtransport import SimTransport

ONE, TWO, THREE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
WINDOW = 256 * 1024
_DONE = Failure(error.ConnectionDone())


class End(Protocol):
    """
    One end of a connection, which remembers what it heard and when.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.received = bytearray()
        self.sizes: list[int] = []
        self.lost_because: Failure | None = None
        self.lost_at = -1.0
        self.is_writing = False

    @property
    def connection(self) -> SimTransport:
        """
        The transport.
        """
        return cast("SimTransport", self.transport)

    def write(self, data: bytes) -> None:
        """
        Write, and notice when something is delivered meanwhile.
        """
        self.is_writing = True
        self.connection.write(data)
        self.is_writing = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the bytes.
        """
        assert not self.is_writing
        self.received += data
        self.sizes.append(len(data))

    def connectionLost(self, reason: Failure = _DONE) -> None:
        """
        Keep the reason.
        """
        assert self.lost_because is None
        self.lost_because = reason
        self.lost_at = self.clock.seconds()

    def lost(self, reason: type[Exception]) -> bool:
        """
        Tell whether the connection was lost for a reason.
        """
        return self.lost_because is not None and bool(self.lost_because.check(reason))


class Ends(Factory):
    """
    Makes ends and keeps them.
    """

    def __init__(self, make: Callable[[], End]) -> None:
        self.make = make
        self.made: list[End] = []

    def buildProtocol(self, addr: object) -> End | None:
        """
        Make one.
        """
        self.made.append(self.make())
        return self.made[-1]


@implementer(IPushProducer)
class Producer:
    """
    Writes pieces for as long as it is not paused.
    """

    def __init__(self, end: End, pieces: int, piece: bytes) -> None:
        self.end = end
        self.left = pieces
        self.piece = piece
        self.paused = False
        self.pauses = 0
        self.stopped = False

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        Write until paused.
        """
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.end.write(self.piece)
        if not self.left:
            self.end.connection.unregisterProducer()

    def stopProducing(self) -> None:
        """
        Note it.
        """
        self.stopped = True


class PullProducer(Producer):
    """
    Writes one piece whenever it is asked.
    """

    def resumeProducing(self) -> None:
        """
        Write one.
        """
        self.left -= 1
        self.end.write(self.piece)
        if not self.left:
            self.end.connection.unregisterProducer()


class SimNetworkTestCase(SynchronousTestCase):
    """
    A network with a few hosts.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        self.clock = Clock()
        self.network = self.make_network(1)

    def make_network(self, seed: int) -> SimNetwork:
        """
        Make a network on the clock.
        """
        return SimNetwork(self.clock, random.Random(seed), window=WINDOW)

    def ends(self) -> Ends:
        """
        Make a factory.
        """
        return Ends(lambda: End(self.clock))

    def connect(self, one: str = ONE, two: str = TWO, port: int = 9000) -> list[End]:
        """
        Connect two hosts.

        Returns:
            The connecting and the accepted end.
        """
        accepting, connecting = self.ends(), self.ends()
        self.addCleanup(
            self.network.host(two).listen("", port, accepting).stopListening
        )
        self.wait(self.network.host(one).connect(two, port, connecting, 5.0, False))
        return connecting.made + accepting.made

    def wait(self, deferred: Deferred[IProtocol]) -> IProtocol:
        """
        Wait for a connection.
        """
        return advance_until(self.clock, deferred, 10.0)

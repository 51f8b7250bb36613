"""
One end of a simulated TCP connection.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IProducer,
    IProtocol,
    IPullProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.testing.simlink import Fabric, Link, Way

HIGH_WATER = 64 * 1024
"""
Unsent bytes above which Twisted's own transports pause a streaming producer.
"""

_END = None
"""
The packet after the last: the sender has closed.
"""


@implementer(ITCPTransport, IConsumer, IPushProducer)
class SimTransport:
    """
    Behaves as Twisted's TCP transport does, on a :class:`Fabric`.

    What is written is cut into segments of random lengths, of which no more than a
    window's worth is under way or waiting for the other end to read it. Nothing is
    delivered, resumed or lost from within a call of this transport's methods. There is
    no half-closing.

    Args:
        fabric: What the bytes travel on.
        link: This end's link.
        host: This end's address.
        segments: The least and the most bytes that are delivered at once.
        window: Bytes under way, at most.
        high_water: Unsent bytes above which a streaming producer is paused.
        gone: To be told when the connection is lost.

    Attributes:
        link: This end's link.
        connected: Whether the connection is there.
        disconnecting: Whether it closes when all has been sent.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        fabric: Fabric,
        link: Link,
        host: IPv4Address,
        segments: tuple[int, int],
        window: int,
        high_water: int,
        gone: Callable[["SimTransport"], object],
    ) -> None:
        self.link = link
        self.connected = True
        self.disconnecting = False
        self._fabric = fabric
        self._host = host
        self._segments = segments
        self._window = window
        self._high_water = high_water
        self._gone = gone
        self._peer = self
        self._way = Way(fabric, link, link, self.packet_arrived)
        self._protocol: IProtocol | None = None
        self._producer: IPushProducer | IPullProducer | None = None
        self._streaming = False
        self._producer_paused = False
        self._options = {"nodelay": False, "keepalive": False}
        self._buffer = bytearray()
        self._in_flight = 0
        self._pumping = False
        self._inbox: deque[bytes | None] = deque()
        self._reading = False
        self._aborting = False
        self._broken = False

    def meet(self, peer: "SimTransport") -> None:
        """
        Make the other end known; each end must be told.
        """
        self._peer = peer
        self._way = Way(self._fabric, self.link, peer.link, peer.packet_arrived)

    def attach(self, protocol: IProtocol) -> None:
        """
        Give the end its protocol, and the protocol what has arrived.
        """
        self._protocol = protocol
        protocol.makeConnection(self)
        self.resumeProducing()

    # --- ITCPTransport

    def write(self, data: bytes) -> None:
        """
        Send bytes in the turns to come.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a transport takes bytes, not {type(data)}")
        if not data or not self.connected or self._aborting:
            return
        self._buffer += data
        if self._streaming and len(self._buffer) > self._high_water:
            self._producer_paused = True
            cast("IPushProducer", self._producer).pauseProducing()
        self._pump_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send several byte strings.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close when all has been sent; read nothing more.
        """
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._reading = False
            self._pump_soon()

    def loseWriteConnection(self) -> None:  # noqa: N802
        """
        Half-closing is not simulated.
        """
        raise NotImplementedError

    def abortConnection(self) -> None:
        """
        Reset the connection.
        """
        self.break_off(Failure(ConnectionAborted()))

    def break_off(self, reason: Failure) -> None:
        """
        Reset the connection, for a reason that our own protocol hears.
        """
        if self.connected and not self._aborting:
            self._aborting = True
            self._reading = False
            self._buffer.clear()
            self._way.tell(self._peer.reset_arrived)
            self._fabric.agenda.soon(lambda: self._lose(reason))

    def getHost(self) -> IPv4Address:
        """
        Give this end's address.
        """
        return self._host

    def getPeer(self) -> IPv4Address:
        """
        Give the other end's address.
        """
        return self._peer.getHost()

    def getTcpNoDelay(self) -> bool:  # noqa: N802
        """
        Tell what was set.
        """
        return self._options["nodelay"]

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """
        Remember it; nothing is ever delayed on purpose.
        """
        self._options["nodelay"] = enabled

    def getTcpKeepAlive(self) -> bool:  # noqa: N802
        """
        Tell what was set.
        """
        return self._options["keepalive"]

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """
        Remember it; nothing is ever probed.
        """
        self._options["keepalive"] = enabled

    # --- IConsumer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Take a producer, which is paused and resumed as the other end reads.
        """
        if self._producer is not None:
            raise RuntimeError(f"{self._producer} was never unregistered")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer = cast("IPushProducer | IPullProducer", producer)
        self._streaming = streaming
        self._producer_paused = False
        if not streaming:
            self._pump_soon()

    def unregisterProducer(self) -> None:
        """
        Let go of the producer.
        """
        self._producer, self._streaming = None, False
        if self.disconnecting:
            self._pump_soon()

    # --- IPushProducer

    def pauseProducing(self) -> None:
        """
        Deliver nothing until resumed.
        """
        self._reading = False

    def resumeProducing(self) -> None:
        """
        Deliver again, from the next turn on.
        """
        if self.connected and not self.disconnecting and not self._aborting:
            self._reading = True
            self._fabric.agenda.soon(self._read)

    def stopProducing(self) -> None:
        """
        Close when all has been sent.
        """
        self.loseConnection()

    # --- sending

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._fabric.agenda.soon(self._pump)

    def _pump(self) -> None:
        """
        Send what the window allows; when nothing is left, ask for more or close.
        """
        self._pumping = False
        if not self.connected or self._aborting:
            return
        if self._broken:
            self._lose(Failure(ConnectionLost()))
            return
        self._fill_window()
        if self._buffer:
            return
        if self._producer is not None and (
            not self._streaming or self._producer_paused
        ):
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._way.send(_END)
            self._lose(Failure(ConnectionDone()))

    def _fill_window(self) -> None:
        while self._buffer and self._in_flight < self._window:
            room = self._window - self._in_flight
            least, most = self._segments
            size = most if least == most else self._fabric.rng.randint(least, most)
            size = min(size, self._window, len(self._buffer))
            if size > room:
                # As TCP does (RFC 9293, section 3.8.6.2): else the segments of a busy
                # connection become smaller and smaller.
                return
            self._in_flight += size
            self._way.send(bytes(memoryview(self._buffer)[:size]))
            del self._buffer[:size]

    def acknowledged(self, size: int) -> None:
        """
        Move the window: the other end has read.
        """
        self._in_flight -= size
        if self._buffer:
            self._pump_soon()

    # --- receiving

    def packet_arrived(self, packet: bytes | None) -> None:
        """
        Take what the other end has sent, and nothing more of it after its reset.
        """
        if self._broken:
            return
        if self.connected:
            self._inbox.append(packet)
            self._read()
        elif packet is not _END:
            self._way.tell(self._peer.reset_arrived)

    def _read(self) -> None:
        while self._reading and self._inbox:
            packet = self._inbox.popleft()
            if packet is _END:
                self._lose(Failure(ConnectionDone()))
            else:
                self._peer.acknowledged(len(packet))
                self._deliver(packet)
        if self._reading and self._broken:
            self._lose(Failure(ConnectionLost()))

    def _deliver(self, data: bytes) -> None:
        assert self._protocol is not None
        try:
            self._protocol.dataReceived(data)
        except Exception:  # noqa: BLE001  # As the reactor does.
            self._log.failure("a protocol failed on {count} bytes", count=len(data))
            self.break_off(Failure())

    def reset_arrived(self) -> None:
        """
        Take it that the other end has broken off.
        """
        # Who neither reads nor writes does not notice yet.
        self._broken = True
        self._inbox.clear()
        if not self._aborting and (self._reading or self._buffer):
            self._lose(Failure(ConnectionLost()))

    def _lose(self, reason: Failure) -> None:
        if not self.connected:
            return
        self.connected = self._reading = False
        self._buffer.clear()
        self._inbox.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._gone(self)
        if self._protocol is not None:
            self._protocol.connectionLost(reason)

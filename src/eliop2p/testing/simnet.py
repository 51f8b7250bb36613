"""
A network of simulated hosts on a ``twisted.internet.task.Clock``.

The same seed gives the same latencies, segments and order of events, so that a whole
cluster can be run, broken and run again in one process and in no time.
"""

import errno
import itertools
import math
import random
from collections.abc import Callable

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.interfaces import INetwork
from eliop2p.testing.simclock import Agenda, SimClock, advance_until, let_pass
from eliop2p.testing.simlink import Fabric, Link
from eliop2p.testing.simtransport import HIGH_WATER, SimTransport

__all__ = ["SimClock", "SimHost", "SimNetwork", "SimPort", "advance_until", "let_pass"]

_EVERYWHERE = frozenset(("", "0.0.0.0", "::"))  # noqa: S104  # Simulated.
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@implementer(IListeningPort)
class SimPort:
    """
    A port of a simulated host on which somebody listens.

    Attributes:
        factory: Makes a protocol for each connection.
        is_private: Whether only the host itself can connect.
    """

    def __init__(
        self, host: "SimHost", port: int, factory: IProtocolFactory, is_private: bool
    ) -> None:
        self.factory = factory
        self.is_private = is_private
        self._host = host
        self._address = IPv4Address("TCP", host.address, port)

    def startListening(self) -> None:
        """
        Listen.

        Raises:
            CannotListenError: Somebody else does.
        """
        self._host.add_port(self)
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """
        Stop; connections that have been accepted stay.
        """
        if self._host.remove_port(self):
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """
        Give the address.
        """
        return self._address


@implementer(INetwork)
class SimHost:
    """
    A host's own view of the network, until it is killed.

    Attributes:
        address: What others connect to.
        link: What it is attached by.
        is_alive: Whether it has not been killed.
    """

    def __init__(self, network: "SimNetwork", link: Link) -> None:
        self.address = link.address
        self.link = link
        self.is_alive = True
        self._network = network
        self._ports: dict[int, SimPort] = {}
        self._transports: dict[SimTransport, None] = {}
        self._free_ports = itertools.count(49152)

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        See :meth:`INetwork.listen`.
        """
        if not self.is_alive:
            raise error.CannotListenError(host, port, OSError(errno.ENETDOWN, "killed"))
        is_private = host in _LOOPBACK
        if not is_private and host not in _EVERYWHERE and host != self.address:
            reason = OSError(errno.EADDRNOTAVAIL, "not an address of this host")
            raise error.CannotListenError(host, port, reason)
        listening = SimPort(self, port or self.free_port(), factory, is_private)
        listening.startListening()
        return listening

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,  # noqa: ARG002  # Nobody listens in.
    ) -> Deferred[IProtocol]:
        """
        See :meth:`INetwork.connect`. TLS is not simulated.
        """
        if not self.is_alive:
            return fail(error.NoRouteError(string="the host has been killed"))
        address = self.address if host in _LOOPBACK else host
        attempt = _Attempt(
            self,
            network=self._network,
            address=address,
            port=port,
            factory=factory,
            timeout=timeout,
        )
        return attempt.result

    def free_port(self) -> int:
        """
        Give a port that was not given before.
        """
        return next(self._free_ports)

    def add_port(self, listening: SimPort) -> None:
        """
        Let a port be found.

        Raises:
            CannotListenError: The port is taken.
        """
        port = listening.getHost().port
        if port in self._ports:
            reason = OSError(errno.EADDRINUSE, "the port is taken")
            raise error.CannotListenError(self.address, port, reason)
        self._ports[port] = listening

    def remove_port(self, listening: SimPort) -> bool:
        """
        Let a port be found no more.

        Returns:
            Whether it could be found.
        """
        port = listening.getHost().port
        found = self._ports.get(port) is listening
        if found:
            del self._ports[port]
        return found

    def port_for(self, port: int, caller: "SimHost") -> SimPort | None:
        """
        Find who listens for a caller.
        """
        listening = self._ports.get(port)
        if listening is None or (listening.is_private and caller is not self):
            return None
        return listening

    def transport(self, port: int) -> SimTransport:
        """
        Make one end of a connection.
        """
        transport = self._network.transport(self, port, self._transports.pop)
        self._transports[transport] = None
        return transport

    def kill(self) -> None:
        """
        See :meth:`SimNetwork.kill`.
        """
        self.is_alive = False
        self._ports.clear()
        for transport in list(self._transports):
            transport.break_off(Failure(error.ConnectionLost()))


class _Attempt:
    """
    One host's attempt to connect to another: a packet there, a packet back.
    """

    def __init__(
        self,
        caller: SimHost,
        *,
        network: "SimNetwork",
        address: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
    ) -> None:
        self.result = Deferred[IProtocol](self._cancelled)
        self._network = network
        self._caller = caller
        self._link = network.link(address)
        self._port = port
        self._factory = factory
        self._timer = network.clock.callLater(timeout, self._fail, error.TimeoutError())
        network.fabric.carry(caller.link, self._link, 0, self._knock)

    def _knock(self) -> None:
        callee = self._network.find(self._link.address)
        listening = callee.port_for(self._port, self._caller) if callee else None
        if callee is None or listening is None:
            self._answer(lambda: self._fail(error.ConnectionRefusedError()))
            return
        ours = self._caller.transport(self._caller.free_port())
        theirs = callee.transport(self._port)
        ours.meet(theirs)
        theirs.meet(ours)
        self._answer(lambda: self._connected(ours))
        protocol = listening.factory.buildProtocol(ours.getHost())
        if protocol is None:
            theirs.attach(Protocol())
            theirs.loseConnection()
        else:
            theirs.attach(protocol)

    def _answer(self, answer: Callable[[], None]) -> None:
        self._network.fabric.carry(self._link, self._caller.link, 0, answer)

    def _connected(self, transport: SimTransport) -> None:
        if not self._timer.active() or not self._caller.is_alive:
            transport.abortConnection()
            return
        self._timer.cancel()
        protocol = self._factory.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
            self.result.errback(error.NoProtocol())
        else:
            transport.attach(protocol)
            self.result.callback(protocol)

    def _fail(self, reason: error.ConnectError) -> None:
        if self._timer.active():
            self._timer.cancel()
        if not self.result.called:
            self.result.errback(reason)

    def _cancelled(self, result: Deferred[IProtocol]) -> None:
        self._timer.cancel()
        address = IPv4Address("TCP", self._link.address, self._port)
        result.errback(error.ConnectingCancelledError(address))


class SimNetwork:
    """
    The network, seen from above.

    Args:
        clock: What time passes on.
        rng: Where latencies and segments come from.
        latency: Mean seconds from one host to another.
        max_segment: Bytes that a protocol is given at once, at most.
        min_segment: The least it is given where there is more.
        window: Bytes of one direction of a connection that are under way or unread, at
            most.
        high_water: Unsent bytes above which a producer is paused.

    Attributes:
        clock: The clock.
        fabric: What the hosts' links are attached to.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        latency: float = 0.0005,
        max_segment: int = 64 * 1024,
        min_segment: int = 1,
        window: int = 256 * 1024,
        high_water: int = HIGH_WATER,
    ) -> None:
        self.clock = clock
        self.fabric = Fabric(Agenda(clock), rng, latency)
        self._segments = (min_segment, max_segment)
        self._window = window
        self._high_water = high_water
        self._links: dict[str, Link] = {}
        self._hosts: dict[str, SimHost] = {}

    def host(self, address: str) -> SimHost:
        """
        Give the host at an address; after it was killed, a new one.
        """
        if self.link(address).silent:
            old = self._links[address]
            self._links[address] = Link(address)
            self.limit(address, uplink=old.up.rate, downlink=old.down.rate)
        if address not in self._hosts:
            self._hosts[address] = SimHost(self, self.link(address))
        return self._hosts[address]

    def limit(
        self, address: str, *, uplink: float = math.inf, downlink: float = math.inf
    ) -> None:
        """
        Bound what passes a host's link, in bytes per second each way.
        """
        link = self.link(address)
        link.up.rate, link.down.rate = uplink, downlink

    def cut(self, one: str, other: str) -> None:
        """
        Let nothing through between two hosts, silently.
        """
        self.fabric.cut(one, other)

    def heal(self, one: str, other: str) -> None:
        """
        Undo a cut: connections go on where they were.
        """
        self.fabric.heal(one, other)

    def kill(self, address: str) -> None:
        """
        Let a host's process die: its connections are reset, which both ends hear of,
        its ports refuse, and its view of the network is of no use any more.
        """
        host = self._hosts.pop(address, None)
        if host is not None:
            host.kill()

    def vanish(self, address: str) -> None:
        """
        Let a host lose its power: nobody hears of it, and all that is sent to it is
        lost, until a new host takes the address.
        """
        host = self._hosts.pop(address, None)
        self.link(address).silent = True
        if host is not None:
            host.is_alive = False

    # --- what hosts ask for

    def find(self, address: str) -> SimHost | None:
        """
        Find the host at an address.
        """
        return self._hosts.get(address)

    def link(self, address: str) -> Link:
        """
        Give the link at an address, whether somebody uses it or not.
        """
        return self._links.setdefault(address, Link(address))

    def transport(
        self, host: SimHost, port: int, gone: Callable[[SimTransport], object]
    ) -> SimTransport:
        """
        Make one end of a connection.
        """
        return SimTransport(
            fabric=self.fabric,
            link=host.link,
            host=IPv4Address("TCP", host.address, port),
            segments=self._segments,
            window=self._window,
            high_water=self._high_water,
            gone=gone,
        )

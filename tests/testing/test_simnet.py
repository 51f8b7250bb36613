"""
Tests for :mod:`eliop2p.testing.simnet`.
"""

from twisted.internet import error
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from eliop2p.interfaces import INetwork
from eliop2p.testing.simnet import let_pass
from tests.testing.simnet_case import ONE, THREE, TWO, SimNetworkTestCase


class ConnectingTests(SimNetworkTestCase):
    """
    Listening and connecting.
    """

    def test_interfaces(self) -> None:
        """
        Hosts, ports and transports provide what the real ones do.
        """
        host = self.network.host(ONE)
        verifyObject(INetwork, host)
        verifyObject(IListeningPort, host.listen("", 0, self.ends()))
        connecting, _ = self.connect()
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            verifyObject(interface, connecting.connection)

    def test_addresses(self) -> None:
        """
        Both ends know both addresses.
        """
        connecting, accepted = self.connect(port=9000)
        ours, theirs = connecting.connection, accepted.connection
        self.assertEqual((theirs.getHost().host, theirs.getHost().port), (TWO, 9000))
        self.assertEqual(theirs.getPeer(), ours.getHost())
        self.assertEqual(ours.getPeer(), theirs.getHost())
        self.assertEqual(ours.getHost().host, ONE)

    def test_nobody_listens(self) -> None:
        """
        A port that nobody listens on, or no longer, and a host that nobody has ever
        heard of, refuse.
        """
        host = self.network.host(ONE)
        listening = self.network.host(TWO).listen("", 9000, self.ends())
        listening.stopListening()
        for address in (TWO, THREE):
            connecting = host.connect(address, 9000, self.ends(), 5.0, False)
            with self.assertRaises(error.ConnectionRefusedError):
                self.wait(connecting)

    def test_port_is_taken(self) -> None:
        """
        Two cannot listen on one port of a host; on two hosts they can.
        """
        self.network.host(ONE).listen("", 9000, self.ends())
        with self.assertRaises(error.CannotListenError):
            self.network.host(ONE).listen("", 9000, self.ends())
        self.network.host(TWO).listen("", 9000, self.ends())

    def test_foreign_address(self) -> None:
        """
        A host cannot listen on another's address.
        """
        with self.assertRaises(error.CannotListenError):
            self.network.host(ONE).listen(TWO, 9000, self.ends())

    def test_loopback(self) -> None:
        """
        What listens on the loopback address is there for the host itself alone.
        """
        accepting = self.ends()
        self.network.host(ONE).listen("127.0.0.1", 8082, accepting)
        home = self.network.host(ONE).connect("localhost", 8082, self.ends(), 5, False)
        self.wait(home)
        self.assertEqual(len(accepting.made), 1)
        away = self.network.host(TWO).connect(ONE, 8082, self.ends(), 5.0, False)
        with self.assertRaises(error.ConnectionRefusedError):
            self.wait(away)

    def test_chosen_port(self) -> None:
        """
        Port 0 stands for one that is free.
        """
        host = self.network.host(ONE)
        ports = [host.listen("", 0, self.ends()).getHost() for _ in range(3)]
        self.assertEqual(len(set(ports)), 3)

    def test_silence(self) -> None:
        """
        An attempt across a cut fails after its timeout, and what comes of it later is
        dropped.
        """
        accepting = self.ends()
        self.network.host(TWO).listen("", 9000, accepting)
        self.network.cut(ONE, TWO)
        connecting = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        let_pass(self.clock, 4.9)
        self.assertNoResult(connecting)
        let_pass(self.clock, 0.2)
        self.failureResultOf(connecting, error.TimeoutError)
        self.network.heal(TWO, ONE)
        let_pass(self.clock, 1.0)
        self.assertTrue(accepting.made[0].lost(error.ConnectionLost))

    def test_patience(self) -> None:
        """
        An attempt across a cut that heals in time succeeds.
        """
        self.network.cut(ONE, TWO)
        self.clock.callLater(3.0, self.network.heal, ONE, TWO)
        self.connect()
        self.assertGreater(self.clock.seconds(), 3.0)

    def test_cancelled(self) -> None:
        """
        A cancelled attempt fails, and its connection does not stay.
        """
        accepting = self.ends()
        self.network.host(TWO).listen("", 9000, accepting)
        connecting = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        connecting.cancel()
        self.failureResultOf(connecting, error.ConnectingCancelledError)
        let_pass(self.clock, 0.2)
        self.assertTrue(accepting.made[0].lost(error.ConnectionLost))

    def test_turned_away(self) -> None:
        """
        A server whose factory makes no protocol closes the connection at once.
        """
        factory = Factory()
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]
        self.network.host(TWO).listen("", 9000, factory)
        ends = self.ends()
        self.wait(self.network.host(ONE).connect(TWO, 9000, ends, 5.0, False))
        let_pass(self.clock, 0.1)
        self.assertTrue(ends.made[0].lost(error.ConnectionDone))

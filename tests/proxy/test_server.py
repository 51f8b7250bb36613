"""
Tests for :mod:`eliop2p.proxy.server`.
"""

import random

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.proxy.server import STOP_SECONDS, ProxyServer
from eliop2p.testing.simnet import SimClock, SimNetwork, advance_until, let_pass
from tests.proxy.wires import ByHand, make_factory, request

NODE, CLIENT, PORT = "10.0.0.1", "10.0.0.2", 8080


class Client(Protocol):
    """
    A client that keeps what it hears.
    """

    heard = b""
    gone = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        """
        Note it.
        """
        self.gone = True

    def say(self, data: bytes) -> None:
        """
        Send to the proxy.
        """
        assert self.transport is not None
        self.transport.write(data)


class ServerTests(SynchronousTestCase):
    """
    The proxy's port.
    """

    def setUp(self) -> None:
        """
        Listen for three clients.
        """
        self.clock = SimClock()
        self.network = SimNetwork(self.clock, random.Random(1))
        self.answers = ByHand()
        self.factory = make_factory(self.clock, self.answers, connections=3)
        self.server = ProxyServer(
            self.factory, self.network.host(NODE), self.clock, NODE, PORT
        )
        self.server.startService()

    def connect(self) -> Client:
        """
        Connect a client.
        """
        factory = Factory.forProtocol(Client)
        factory.noisy = False
        connecting = self.network.host(CLIENT).connect(NODE, PORT, factory, 5, False)
        client = advance_until(self.clock, connecting, 5)
        assert isinstance(client, Client)
        let_pass(self.clock, 0.1)
        return client

    def stop(self) -> Deferred[None]:
        """
        Begin to stop.
        """
        stopping = self.server.stopService()
        let_pass(self.clock, 0.1)
        return stopping

    def test_port_taken(self) -> None:
        """
        A port that is taken is told by the key to change.
        """
        other = ProxyServer(
            self.factory, self.network.host(NODE), self.clock, NODE, PORT
        )
        error = self.assertRaises(StartError, other.startService)
        self.assertIn("[proxy] listen_port", str(error))

    def test_too_many(self) -> None:
        """
        One client more than allowed is turned away, until another has gone.
        """
        clients = [self.connect() for _ in range(4)]
        self.assertEqual([client.gone for client in clients], [False] * 3 + [True])
        transport = clients[0].transport
        assert transport is not None
        transport.loseConnection()
        let_pass(self.clock, 0.1)
        self.assertFalse(self.connect().gone)

    def test_stop_idle(self) -> None:
        """
        A proxy that answers nothing stops at once, closing what is open.
        """
        client = self.connect()
        stopping = self.stop()
        self.successResultOf(stopping)
        self.assertTrue(client.gone)
        self.assertEqual(list(self.clock.getDelayedCalls()), [])

    def test_stop_busy(self) -> None:
        """
        An answer under way is completed, and its connection closed; nobody is let in
        meanwhile.
        """
        busy, idle = self.connect(), self.connect()
        busy.say(request(b"/1"))
        let_pass(self.clock, 0.1)
        stopping = self.stop()
        self.assertNoResult(stopping)
        self.assertEqual((busy.gone, idle.gone), (False, True))
        late = self.network.host(CLIENT).connect(
            NODE, PORT, Factory.forProtocol(Client), 5, False
        )
        let_pass(self.clock, 1)
        self.failureResultOf(late)
        self.answers.answer(b"whole")
        let_pass(self.clock, 0.1)
        self.assertTrue(busy.heard.endswith(b"whole"))
        self.assertTrue(busy.gone)
        self.successResultOf(stopping)

    def test_stop_takes_no_more(self) -> None:
        """
        A request behind the one that is being answered is not begun any more.
        """
        client = self.connect()
        client.say(request(b"/1") + request(b"/2"))
        let_pass(self.clock, 0.1)
        stopping = self.stop()
        self.answers.answer(b"whole")
        let_pass(self.clock, 0.1)
        self.assertEqual(self.answers.targets, [b"/1"])
        self.successResultOf(stopping)

    def test_stop_in_vain(self) -> None:
        """
        An answer that takes longer than that is cut.
        """
        client = self.connect()
        client.say(request(b"/1"))
        let_pass(self.clock, 0.1)
        stopping = self.stop()
        let_pass(self.clock, STOP_SECONDS - 0.5)
        self.assertNoResult(stopping)
        self.assertFalse(client.gone)
        let_pass(self.clock, 1)
        self.successResultOf(stopping)
        self.assertTrue(client.gone)
        self.assertEqual(self.answers.cancelled, 1)
        self.assertEqual(list(self.clock.getDelayedCalls()), [])

"""
Two ends of a connection in memory.
"""

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.chunk import ObjectId
from eliop2p.p2p.bandwidth import make_bandwidth
from eliop2p.p2p.protocol import PeerConnection
from eliop2p.wire.events import (
    Message,
)
from eliop2p.wire.rules import Established, Event, Role
from eliop2p.wire.session import Session
from tests.p2p.chunk_requests import (
    ChunkRequests,
)
from tests.p2p.memory_network import ImmediateWorker

OBJECT = ObjectId(b"o" * 32)
SECRET = b"the secret of the cluster"


class TCPTransport(StringTransport):
    """
    A transport that remembers its options.
    """

    def __init__(self) -> None:
        super().__init__()
        self.options: set[str] = set()
        directlyProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 - Twisted's.
        """
        Remember it.
        """
        self.options.add("no delay")

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802 - Twisted's.
        """
        Remember it.
        """
        self.options.add("keep alive")


class Owner:
    """
    Notes what it is told.
    """

    def __init__(self) -> None:
        self.bytes_sent = 0
        self.bytes_received = 0
        self.messages_sent = 0
        self.told: list[str] = []
        self.errors: list[str] = []

    def established(self, connection: PeerConnection) -> None:
        """
        Note it.
        """
        self.told.append("established")

    def trusted(self, connection: PeerConnection) -> None:
        """
        Note it.
        """
        self.told.append("trusted")

    def doubted(self, connection: PeerConnection) -> None:
        """
        Note it.
        """
        self.told.append("doubted")

    def broken(self, error: RemoteProtocolError) -> None:
        """
        Note it.
        """
        self.errors.append(str(error))

    def closed(self, connection: PeerConnection) -> None:
        """
        Note it.
        """
        self.told.append("closed")

    def gone(self, connection: PeerConnection) -> None:
        """
        Note it.
        """
        self.told.append("gone")


class ConnectionCase(SynchronousTestCase):
    """
    A connection and the session of its peer.
    """

    def setUp(self) -> None:
        """
        Make both.
        """
        self.clock = Clock()
        self.owner = Owner()
        self.bandwidth = make_bandwidth(self.clock)
        self.requests = ChunkRequests()
        self.transport = TCPTransport()
        self.logged = self.enterContext(capturedLogs())
        self.peer = Session(Role.CONNECTING, "peer", SECRET, lambda: b"p" * 32)
        self.connection = PeerConnection(
            Session(Role.ACCEPTING, "node", SECRET, lambda: b"n" * 32),
            self.clock,
            owner=self.owner,
            requests=self.requests,
            worker=ImmediateWorker(),
            bandwidth=self.bandwidth,
        )
        self.connection.makeConnection(self.transport)

    def dropped(self) -> list[str]:
        """
        Give the reasons for which connections were dropped, as logged.
        """
        found = (event.get("reason") for event in self.logged)
        return [str(reason) for reason in found if reason]

    def establish(self) -> None:
        """
        Let both sides prove themselves.
        """
        self.receive(self.peer.data_to_send())
        self.heard()
        self.receive(self.peer.data_to_send())
        self.assertEqual(self.heard(), [Established("node")])

    def receive(self, data: bytes) -> None:
        """
        Let bytes arrive.
        """
        self.connection.dataReceived(data)

    def say(self, message: Message) -> None:
        """
        Let the peer say something.
        """
        self.receive(self.peer.send(message))

    def heard(self) -> list[Event]:
        """
        Give what the connection has said since the last time.
        """
        data = self.transport.value()
        self.transport.clear()
        return self.peer.receive(data)

    def lose(self) -> None:
        """
        Let the transport go.
        """
        self.connection.connectionLost(Failure(ConnectionLost()))

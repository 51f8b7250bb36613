"""
Tests for :mod:`eliop2p.net.network`.
"""

import datetime as dt
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.SSL import Error as OpenSSLError
from twisted.internet import error
from twisted.internet._resolver import HostResolution
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IResolutionReceiver,
)
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.base.errors import StartError
from eliop2p.interfaces import INetwork
from eliop2p.net.copying_sender import TransportSender
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.read_group import ReadGroup
from eliop2p.net.sender import make_sender
from tests.net.body_sender_faults import LARGE, noise
from tests.net.loopback import REACTOR, EndFactory, finish, pair, port_of


def _certificate() -> tuple[bytes, bytes]:
    """
    Make a certificate for localhost and 127.0.0.1 that is its own authority.

    Returns:
        The certificate and its key, as PEM.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    address = ipaddress.IPv4Address("127.0.0.1")
    names = [x509.DNSName("localhost"), x509.IPAddress(address)]
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class ReactorNetworkTests(TestCase):
    """
    Tests for :class:`.ReactorNetwork` on real sockets.
    """

    timeout = 20

    async def test_connection(self) -> None:
        """
        What one end writes the other receives, and neither end delays small writes.
        """
        accepted, connected = await pair(self)
        accepted.connection.write(b"to the client")
        connected.connection.write(b"to the server")
        await accepted.wait_for(13)
        await connected.wait_for(13)
        self.assertEqual(bytes(accepted.received), b"to the server")
        self.assertEqual(bytes(connected.received), b"to the client")
        for end in (accepted, connected):
            self.assertTrue(end.connection.getTcpNoDelay())

    async def test_port_is_taken(self) -> None:
        """
        Listening on a port that is taken raises.
        """
        network = ReactorNetwork(REACTOR)
        listening = network.listen("127.0.0.1", 0, EndFactory())
        self.addCleanup(listening.stopListening)
        with self.assertRaises(error.CannotListenError):
            network.listen("127.0.0.1", port_of(listening), EndFactory())

    async def test_refused(self) -> None:
        """
        A port where nobody listens refuses the connection, by address and by name.
        """
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            port = unheard.getsockname()[1]
            network = ReactorNetwork(REACTOR)
            connecting = [
                network.connect(host, port, EndFactory(), 5, False)
                for host in ("127.0.0.1", "localhost") * 50
            ]
            for each in connecting:
                await self.assertFailure(each, error.ConnectionRefusedError)

    async def test_groups(self) -> None:
        """
        Connections that are made are read as one group and accepted ones as another,
        which they leave at their end.
        """
        accepted, connected = await pair(self)
        groups: list[ReadGroup] = []
        for end in (accepted, connected):
            group = end.connection.reactor
            assert isinstance(group, ReadGroup)
            self.assertEqual(group.size, 1)
            groups.append(group)
        self.assertIsNot(groups[0], groups[1])
        connected.connection.loseConnection()
        await connected.lost
        await accepted.lost
        self.assertEqual([group.size for group in groups], [0, 0])


@implementer(IHostnameResolver)
class _SilentResolver:
    """
    Begins to look names up and finds nothing, ever.
    """

    def resolveHostName(  # noqa: N802  # Twisted's name.
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """
        Begin.
        """
        resolution = HostResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        return resolution


class TimeoutTests(SynchronousTestCase):
    """
    How long :class:`.ReactorNetwork` tries.
    """

    def setUp(self) -> None:
        """
        Make a network on which nothing ever answers.
        """
        self.reactor = MemoryReactorClock()
        self.network = ReactorNetwork(self.reactor)

    def test_interface(self) -> None:
        """
        It provides what the interface asks for.
        """
        verifyObject(INetwork, self.network)

    def test_silent_host(self) -> None:
        """
        A host that does not answer is given up after the timeout.
        """
        connecting = self.network.connect("127.0.0.1", 9, EndFactory(), 5, False)
        self.reactor.advance(4.9)
        self.assertNoResult(connecting)
        self.reactor.advance(0.2)
        self.failureResultOf(connecting, error.TimeoutError)

    def test_silent_resolver(self) -> None:
        """
        The time that a name's resolution takes counts too.
        """
        self.reactor.installNameResolver(_SilentResolver())
        connecting = self.network.connect("store.example", 80, EndFactory(), 5, True)
        self.reactor.advance(5.1)
        self.failureResultOf(connecting, error.TimeoutError)

    def test_impossible_name(self) -> None:
        """
        A name that cannot exist fails the attempt and raises nothing.
        """
        for tls in (False, True):
            name = "a" * 64 + ".example"
            connecting = self.network.connect(name, 80, EndFactory(), 5, tls)
            self.failureResultOf(connecting)


class TLSTests(TestCase):
    """
    :class:`.ReactorNetwork` with TLS.
    """

    timeout = 20

    def setUp(self) -> None:
        """
        Listen with TLS and write down the authority.
        """
        certificate, key = _certificate()
        self.ca_file = Path(self.mktemp())
        self.ca_file.write_bytes(b"a comment\n" + certificate + certificate)
        server = PrivateCertificate.loadPEM(certificate + key)
        self.accepting = EndFactory()
        tls = TLSMemoryBIOFactory(server.options(), False, self.accepting)
        listening = ReactorNetwork(REACTOR).listen("127.0.0.1", 0, tls)
        self.addCleanup(listening.stopListening)
        self.port = port_of(listening)

    def tearDown(self) -> None:
        """
        Overlook that Twisted hands its certificates to pyOpenSSL in the old way.
        """
        for warning in self.flushWarnings():
            self.assertIn("Passing pyOpenSSL", str(warning["message"]))

    def connect(
        self, ca_file: str, host: str
    ) -> tuple[EndFactory, Deferred[IProtocol]]:
        """
        Begin to connect; what comes of it is gone when the test ends.
        """
        factory = EndFactory()
        network = ReactorNetwork(REACTOR, ca_file=ca_file)
        connecting = network.connect(host, self.port, factory, 5, True)
        self.addCleanup(
            lambda: Deferred.fromCoroutine(finish(factory.end, self.accepting.end))
        )
        return factory, connecting

    async def test_verified(self) -> None:
        """
        A server whose certificate an authority of the file vouches for, by name or
        address, is talked to, and bodies reach us through its sender.
        """
        factory, connecting = self.connect(str(self.ca_file), "127.0.0.1")
        await connecting
        factory.end.connection.write(b"hello")
        await self.accepting.end.wait_for(5)
        sender = make_sender(self.accepting.end.connection, REACTOR)
        self.assertIsInstance(sender, TransportSender)
        content = noise(LARGE)
        with memoryview(content) as view:
            await sender.send(view, True)
        await factory.end.wait_for(LARGE)
        self.assertEqual(factory.end.received, content)

    async def test_unknown_authority(self) -> None:
        """
        A server that only an unknown authority vouches for hears not a byte.
        """
        factory, connecting = self.connect("", "localhost")
        await connecting
        factory.end.connection.write(b"secret")
        await factory.end.lost
        factory.end.reason.trap(OpenSSLError)
        await self.accepting.end.lost
        self.accepting.end.reason.trap(OpenSSLError)
        self.assertEqual(bytes(self.accepting.end.received), b"")


class AuthorityFileTests(SynchronousTestCase):
    """
    The file of authorities.
    """

    def test_unusable(self) -> None:
        """
        A file that is missing, empty, or holds something else is named when the
        network is made.
        """
        for content in (
            None,
            b"",
            b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
        ):
            path = Path(self.mktemp())
            if content is not None:
                path.write_bytes(content)
            with self.assertRaisesRegex(StartError, str(path)):
                ReactorNetwork(MemoryReactorClock(), ca_file=str(path))

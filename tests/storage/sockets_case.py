"""
Stores that listen on real sockets, for tests of the client.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor  # noqa: TID251 - the subject is a socket.
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, ContextFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.interfaces import IBodyReceiver, INetwork, IOriginResponse

# Twisted types its reactor as a module without the interfaces that it provides.
REAL_REACTOR = cast("Any", reactor)


@implementer(INetwork)
class LoopbackNetwork:
    """
    Connects to the own machine, and trusts anybody there.
    """

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Listen.
        """
        return cast("IListeningPort", REAL_REACTOR.listenTCP(port, factory, 50, host))

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,
    ) -> "Deferred[Any]":
        """
        Connect.
        """
        endpoint: Any = HostnameEndpoint(REAL_REACTOR, host, port, timeout)
        if tls:
            endpoint = wrapClientTLS(CertificateOptions(), endpoint)
        return cast("Deferred[Any]", endpoint.connect(factory))


class Store(Protocol):
    """
    Answers each request by a script: one function for each, called with the protocol
    when the request's last bytes are there.
    """

    def __init__(self, script: list[Callable[["Store"], None]], end: bytes) -> None:
        self._script = script
        self._end = end
        self.seen = b""
        self.taken = 0
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        """
        Wait for the end of the request.
        """
        self.taken += len(data)
        # Of a long request the end is enough.
        self.seen = self.seen[-65536:] + data
        if self.seen.endswith(self._end):
            self.seen = b""
            self._script.pop(0)(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.gone = True

    def say(self, data: bytes) -> None:
        """
        Send.
        """
        assert self.transport is not None
        self.transport.write(data)

    def leave(self) -> None:
        """
        Close.
        """
        assert self.transport is not None
        self.transport.loseConnection()


@implementer(IBodyReceiver)
class Collector:
    """
    Takes a body; the Deferred fires with it.
    """

    def __init__(self, response: IOriginResponse, blink: bool = False) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._response = response
        self._blink = blink
        response.deliver(self)

    def data_received(self, data: bytes) -> None:
        """
        Keep the bytes; pause for a turn when that is wanted.
        """
        self._parts.append(data)
        if self._blink:
            self._response.pause()
            REAL_REACTOR.callLater(0, self._response.resume)

    def body_ended(self) -> None:
        """
        Give the body.
        """
        self.done.callback(b"".join(self._parts))

    def body_failed(self, error: Exception) -> None:
        """
        Give the error.
        """
        self.done.errback(error)


class SelfSigned(ContextFactory):
    """
    Serves TLS with a certificate that nobody vouches for.
    """

    def __init__(self) -> None:
        key, certificate = self_signed()
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate(certificate)
        self._context.use_privatekey(key)

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted calls it.
        """
        Give the context.
        """
        return self._context


def self_signed() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """
    Make a key and a certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def say(data: bytes, leave: bool = False) -> Callable[[Store], None]:
    """
    Script an answer.
    """

    def act(store: Store) -> None:
        store.say(data)
        if leave:
            store.leave()

    return act


def whole(data: bytes) -> bytes:
    """
    Write an answer with a length.
    """
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data

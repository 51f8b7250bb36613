"""
Real TCP connections, with TLS towards servers that ask for it.
"""

import functools
import socket
import sys
from collections.abc import Callable

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorFDSet,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.ssl import (
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.internet.tcp import Port
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.interfaces import INetwork
from eliop2p.net.bulk import BulkConnections
from eliop2p.net.read_group import ReadGroup
from eliop2p.net.tls import read_certificates

BACKLOG = 1024
"""
Connections that may wait to be accepted.
"""

TLS_HOSTS = 32
"""
How many servers' TLS contexts are kept; making one reads every trusted certificate.
"""


def _tls_options(ca_file: str) -> Callable[[str], IOpenSSLClientConnectionCreator]:
    """
    Make what says how to talk TLS to a host, by its name.
    """
    trusted = (
        trustRootFromCertificates(read_certificates(ca_file, "[storage] ca_file"))
        if ca_file
        else platformTrust()
    )

    @functools.lru_cache(TLS_HOSTS)
    def options(host: str) -> IOpenSSLClientConnectionCreator:
        return optionsForClientTLS(host, trustRoot=trusted)

    return options


@implementer(INetwork)
class ReactorNetwork:
    """
    The network as the reactor has it. Small writes go out at once on every connection.

    Args:
        reactor: A reactor with TCP, timers and name resolution.
        ca_file: A PEM file of the authorities to trust instead of the platform's.

    Raises:
        StartError: The authorities cannot be read.
    """

    def __init__(self, reactor: IReactorTCP, *, ca_file: str = "") -> None:
        self._reactor = reactor
        self._tls_options = _tls_options(ca_file)
        self._connector: IReactorTCP | BulkConnections = reactor
        self._group: ReadGroup | None = None
        if sys.platform == "linux" and isinstance(reactor, PosixReactorBase):
            self._group = ReadGroup(IReactorFDSet(reactor), reactor)
            self._connector = BulkConnections(reactor)

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        See :meth:`INetwork.listen`.
        """
        listening = self._listen(host, port, factory)
        if isinstance(listening, Port):
            # Linux: the sockets that are accepted inherit it.
            listening.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    def _listen(
        self, host: str, port: int, factory: IProtocolFactory
    ) -> IListeningPort:
        if self._group is None:
            return self._reactor.listenTCP(
                port,
                factory,  # type: ignore[arg-type]  # IReactorTCP asks for a class.
                BACKLOG,
                host,
            )
        listening = Port(port, factory, BACKLOG, host, self._group)
        listening.startListening()
        return listening

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,
    ) -> Deferred[IProtocol]:
        """
        See :meth:`INetwork.connect`. All of a name's addresses are tried, within one
        timeout. TLS is negotiated after the Deferred has fired: a certificate that
        does not verify is the reason the protocol's connection is lost for.
        """

        def timed_out(_result: object, _timeout: float) -> Failure:
            return Failure(error.TimeoutError())

        endpoint = self._endpoint(host, port, timeout)
        connecting = Deferred.fromCoroutine(
            self._connect(endpoint, factory, host if tls else "")
        )
        return connecting.addTimeout(timeout, IReactorTime(self._reactor), timed_out)

    def _endpoint(self, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
        """
        Say how a host is reached. An address is tried at once; of a name's addresses
        the next is waited for, even when there is none.
        """
        if isIPAddress(host):
            return TCP4ClientEndpoint(self._connector, host, port, timeout)
        if isIPv6Address(host):
            return TCP6ClientEndpoint(self._connector, host, port, timeout)
        return HostnameEndpoint(self._connector, host, port, timeout)

    async def _connect(
        self,
        endpoint: IStreamClientEndpoint,
        factory: IProtocolFactory,
        tls_name: str,
    ) -> IProtocol:
        if tls_name:
            endpoint = wrapClientTLS(self._tls_options(tls_name), endpoint)
        protocol = await endpoint.connect(factory)
        transport = getattr(protocol, "transport", None)
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        return protocol

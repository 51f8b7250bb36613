"""
``twisted.web``'s HTTP client on any network.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from eliop2p.interfaces import INetwork

CONNECT_SECONDS = 30.0


@implementer(IStreamClientEndpoint)
class _Endpoint:
    """
    Connects to one server.
    """

    def __init__(self, network: INetwork, uri: URI) -> None:
        self._network = network
        self._uri = uri

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        See ``twisted.internet.interfaces.IStreamClientEndpoint.connect``.
        """
        uri = self._uri
        tls = uri.scheme == b"https"
        return self._network.connect(
            uri.host.decode("ascii"), uri.port, factory, CONNECT_SECONDS, tls
        )


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Makes endpoints for an agent.
    """

    def __init__(self, network: INetwork) -> None:
        self._network = network

    def endpointForURI(self, uri: URI) -> _Endpoint:  # noqa: N802
        """
        See ``twisted.web.iweb.IAgentEndpointFactory.endpointForURI``.
        """
        return _Endpoint(self._network, uri)


def network_agent(clock: IReactorTime, network: INetwork) -> IAgent:
    """
    Make an HTTP client that keeps its connections, as a node has one.

    Args:
        clock: For what it does later.
        network: The way to servers.
    """
    agent: IAgent = Agent.usingEndpointFactory(
        clock, _Endpoints(network), HTTPConnectionPool(clock)
    )
    return agent

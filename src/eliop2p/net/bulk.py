"""
Connections to the store and to other nodes, which bring much at a time.

What comes on them is read for a short while in each turn of the reactor. Chunks come on
a dozen connections at once; a client whose answer is ready must not wait until all of
them have been read.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IProtocol,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTime,
)
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ClientFactory
from twisted.internet.tcp import Connector
from zope.interface import implementer

from eliop2p.net.read_group import ReadGroup

TURN = 0.001
"""
Seconds of each turn of the reactor in which such connections are read.
"""


class _BulkConnector(Connector):
    """
    Makes a connection which, once it is there, is read with the others of a group.

    Not before: the reactor tells a refusal by what it hears of reading and writing
    together.
    """

    def __init__(
        self,
        address: tuple[str, int],
        factory: ClientFactory,
        timeout: float,
        local: tuple[str, int] | None,
        *,
        reactor: PosixReactorBase,
        group: ReadGroup,
    ) -> None:
        super().__init__(*address, factory, timeout, local, reactor)
        self._group = group

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """
        The connection is there.
        """
        assert self.transport is not None
        self.transport.reactor = cast("IReactorFDSet", self._group)
        protocol: IProtocol | None = super().buildProtocol(addr)
        return protocol


@implementer(IReactorTime, IReactorPluggableNameResolver)
class BulkConnections:
    """
    What endpoints need of a reactor; the connections that they make are read in turn.

    Args:
        reactor: The reactor.
    """

    def __init__(self, reactor: PosixReactorBase) -> None:
        self._reactor = reactor
        self._time = IReactorTime(reactor)
        self._group = ReadGroup(IReactorFDSet(reactor), self._time, TURN)

    @property
    def nameResolver(self) -> IHostnameResolver:  # noqa: N802
        """
        The reactor's, as it is now.
        """
        return self._reactor.nameResolver

    def installNameResolver(  # noqa: N802
        self, resolver: IHostnameResolver
    ) -> IHostnameResolver:
        """
        Have the reactor resolve names in another way.
        """
        return self._reactor.installNameResolver(resolver)

    def seconds(self) -> float:
        """
        Tell the reactor's time.
        """
        return self._time.seconds()

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:  # noqa: N802
        """
        Name what the reactor is to call later.
        """
        return self._time.getDelayedCalls()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """
        Have the reactor call something later.
        """
        return self._time.callLater(delay, callable, *args, **kwargs)

    def connectTCP(  # noqa: N802
        self,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,  # noqa: N803
    ) -> IConnector:
        """
        Connect to an address.
        """
        connector = _BulkConnector(
            (host, port),
            factory,
            timeout,
            bindAddress,
            reactor=self._reactor,
            group=self._group,
        )
        connector.connect()
        return connector

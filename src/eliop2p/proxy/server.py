"""
The proxy's port: accepts clients and lets them go in good order.
"""

import random
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.base.metrics import Metrics
from eliop2p.base.request_ids import request_ids
from eliop2p.interfaces import IBodySender, INetwork, IStreamTransport
from eliop2p.net.listening import opening
from eliop2p.proxy.connection import ProxyConnection
from eliop2p.proxy.exchange import Answer
from eliop2p.proxy.prepared_answers import AtOnce, not_at_once

SWEEP_SECONDS = 1.0
"""
How often connections are looked at for having stalled.
"""

STOP_SECONDS = 10.0
"""
How long answers under way may take once the node stops.
"""

_log = Logger()


class ProxyFactory(Factory):
    """
    Makes connections and knows those that are open.

    Attributes:
        answer: Answers requests.
        at_once: Answers those that it can without thought.
        seconds: The clock's.
        leaving: Whether the node stops: each connection closes after its answer.
    """

    noisy = False

    def __init__(
        self,
        answer: Answer,
        make_sender: Callable[[IStreamTransport], IBodySender],
        *,
        at_once: AtOnce,
        metrics: Metrics,
        clock: IReactorTime,
        rng: random.Random,
        max_connections: int,
    ) -> None:
        """
        Args:
            answer: Answers requests.
            make_sender: Makes the outgoing side of a connection.
            at_once: Answers requests before answer is asked.
            metrics: Where refusals are counted.
            clock: For stalls.
            rng: For request ids.
            max_connections: How many clients at one time.
        """
        self.answer = answer
        self.at_once = at_once
        self.make_sender = make_sender
        self.seconds = clock.seconds
        self.leaving = False
        self._metrics = metrics
        self._ids = request_ids(rng)
        self._max_connections = max_connections
        self._open: dict[ProxyConnection, None] = {}
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> ProxyConnection | None:  # noqa: ARG002
        """
        Take a client, or close its connection when there are too many.
        """
        if self.leaving or len(self._open) >= self._max_connections:
            self._metrics.errors.labels("TooManyConnections").inc()
            return None
        return ProxyConnection(self)

    def request_id(self) -> str:
        """
        Name a request.
        """
        return next(self._ids).decode()

    def opened(self, connection: ProxyConnection) -> None:
        """
        A client is there.
        """
        self._open[connection] = None

    def closed(self, connection: ProxyConnection) -> None:
        """
        A client is gone.
        """
        self._open.pop(connection, None)
        if self._empty is not None and not self._open:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def refused(self, error: RemoteProtocolError) -> None:
        """
        A client sent what is not a request.
        """
        self._metrics.errors.labels("BadRequest").inc()
        _log.info("A request was refused: {error}", error=error)

    def sweep(self) -> None:
        """
        Cut connections on which nothing moves.
        """
        now = self.seconds()
        for connection in list(self._open):
            connection.check(now)

    def leave(self) -> "Deferred[None]":
        """
        Let every client go after its answer.

        Returns:
            Fires when the last is gone.
        """
        self.leaving = True
        self.at_once = not_at_once
        self._empty = Deferred()
        empty = self._empty
        for connection in list(self._open):
            connection.leave()
        if not self._open and self._empty is not None:
            self._empty = None
            empty.callback(None)
        return empty

    def cut(self) -> None:
        """
        Break every connection.
        """
        for connection in list(self._open):
            connection.transport.abortConnection()


class ProxyServer(Service):
    """
    The proxy as a service.
    """

    name = "proxy"

    def __init__(
        self,
        factory: ProxyFactory,
        network: INetwork,
        clock: IReactorTime,
        host: str,
        port: int,
    ) -> None:
        self._factory = factory
        self._network = network
        self._clock = clock
        self._address = host, port
        self._port: IListeningPort | None = None
        self._sweeping = LoopingCall(factory.sweep)
        self._sweeping.clock = clock

    def startService(self) -> None:
        """
        Begin to accept.

        Raises:
            StartError: The port is taken.
        """
        host, port = self._address
        with opening(host, port, "[proxy] listen_port"):
            self._port = self._network.listen(host, port, self._factory)
        self._sweeping.start(SWEEP_SECONDS, now=False)
        super().startService()
        _log.info("Clients are served on {host}:{port}", host=host, port=port)

    def stopService(self) -> "Deferred[None]":
        """
        Accept no more, finish what is under way within 10 s, cut the rest.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        stopped = port.stopListening()
        if stopped is not None:
            await stopped
        left = self._factory.leave()
        cut = self._clock.callLater(STOP_SECONDS, self._factory.cut)
        await left
        if cut.active():
            cut.cancel()
        self._sweeping.stop()

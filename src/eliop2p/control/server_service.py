"""
The embedded control plane as a service.
"""

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.config import ControlConfig
from eliop2p.base.errors import StartError
from eliop2p.control.database import Database, Saved
from eliop2p.control.journal import Journal
from eliop2p.control.metrics import ControlMetrics
from eliop2p.control.policy import Policy
from eliop2p.control.registry import Registry
from eliop2p.control.server import ControlResource
from eliop2p.control.site import ControlSite
from eliop2p.control.tokens import Guard, read_token
from eliop2p.interfaces import INetwork, IWorker
from eliop2p.net.address import is_loopback
from eliop2p.net.listening import opening
from eliop2p.net.tls import serve_tls

LOOKS_PER_TIMEOUT = 10
"""
How often silent nodes are looked for within a heartbeat timeout.
"""

_log = Logger()


def choose_address(config: ControlConfig) -> str:
    """
    Give the address to listen on: this machine's own, as long as anybody may register.
    """
    wanted = config.server.bind_address
    if config.token is not None or is_loopback(wanted):
        return wanted
    _log.warn(
        "listening on 127.0.0.1 instead of {wanted}: without [control_plane] token "
        "anybody there could register; set one to serve other machines",
        wanted=wanted,
    )
    return "127.0.0.1"


def first_version(saved: int, now: float) -> int:
    """
    Choose the version of the membership at the start: above every one that was given
    out before, even when the last ones, or the whole database, were lost.

    Args:
        saved: The last version that was saved.
        now: Seconds since 1970.
    """
    return max(saved + 1, int(now * 1000))


class ControlServer(Service):
    """
    Serves the control plane's API. What it learnt in an earlier run is read when it
    starts, which blocks; each node then has one heartbeat timeout to show itself.

    Args:
        config: What it runs with.
        network: Where it listens.
        clock: Tells the time, in seconds since 1970.
        worker: Where it writes its database.

    Attributes:
        port: Where it listens, None while it does not.
    """

    def __init__(
        self,
        config: ControlConfig,
        network: INetwork,
        clock: IReactorTime,
        worker: IWorker,
    ) -> None:
        self.port: IListeningPort | None = None
        self._config = config
        self._network = network
        self._clock = clock
        self._worker = worker
        self._journal: Journal | None = None
        self._resource: ControlResource | None = None
        self._watch: LoopingCall | None = None

    def startService(self) -> None:
        """
        Read the database and listen.

        Raises:
            StartError: The database cannot be used or the port cannot be had.
        """
        database = Database(self._config.server.database)
        try:
            saved = database.load()
            registry = self._restore(saved)
            journal = Journal(registry, database, self._worker, self._clock)
            self._listen(registry, journal)
        except StartError:
            database.close()
            raise
        self._journal = journal
        self._watch = LoopingCall(self._look, registry, journal)
        self._watch.clock = self._clock
        interval = self._config.server.heartbeat_timeout / LOOKS_PER_TIMEOUT
        self._watch.start(interval).addErrback(self._broken)
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening and write what is left.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._resource is not None:
            self._resource.close()
            self._resource = None
        if self.port is not None:
            port, self.port = self.port, None
            stopped: Deferred[None] | None = port.stopListening()
            if stopped is not None:
                await stopped
        if self._journal is not None:
            journal, self._journal = self._journal, None
            await journal.close()

    def _restore(self, saved: Saved) -> Registry:
        now = self._clock.seconds()
        version = first_version(saved.version, now)
        registry = Registry(self._config.server.heartbeat_timeout, version)
        registry.restore(saved.nodes, now)
        known = {each.info.node_id for each in saved.nodes}
        registry.orders.restore(saved.orders, known)
        server = self._config.server
        registry.policy = saved.policy or Policy(
            server.min_replicas, server.max_replicas
        )
        _log.info("{count} nodes are known from before", count=len(saved.nodes))
        if saved.unreadable:
            _log.warn(
                "{count} nodes in the database cannot be read; they have to register",
                count=saved.unreadable,
            )
        return registry

    def _listen(self, registry: Registry, journal: Journal) -> None:
        config, server = self._config, self._config.server
        guard = Guard(
            read_token(config.token),
            read_token(server.admin_token),
            self._clock.seconds,
        )
        metrics = ControlMetrics(registry)
        resource = ControlResource(registry, journal, guard, metrics, self._clock)
        site: IProtocolFactory = ControlSite(resource, guard, metrics, self._clock)
        if server.tls_certificate:
            site = serve_tls(
                site,
                server.tls_certificate,
                server.tls_key,
                "[control_plane_server] tls_certificate",
            )
        address, port = choose_address(config), server.listen_port
        with opening(address, port, "[control_plane_server] listen_port"):
            self.port = self._network.listen(address, port, site)
        self._resource = resource

    def _look(self, registry: Registry, journal: Journal) -> None:
        """
        Let go of the nodes that have been silent for too long.
        """
        for node_id in registry.expire(self._clock.seconds()):
            journal.note(node_id)
            if self._resource is not None:
                self._resource.changed()
            _log.warn("node {node_id} is silent and counts as dead", node_id=node_id)

    def _broken(self, failure: Failure) -> None:
        _log.failure("looking for silent nodes has ended", failure=failure)


def build_control(
    config: ControlConfig,
    network: INetwork,
    clock: IReactorTime,
    worker: IWorker,
) -> IService:
    """
    Make the service of a control plane.

    Args:
        config: What it runs with.
        network: Where it listens.
        clock: Tells the time, in seconds since 1970.
        worker: Where it writes its database; started and stopped by the caller.
    """
    return ControlServer(config, network, clock, worker)

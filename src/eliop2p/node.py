"""
A node, put together: the only module that knows every concrete class.
"""

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from eliop2p import __version__
from eliop2p.access import make_gate, make_trust, watch_clients
from eliop2p.admin.frame import Sights
from eliop2p.admin.port import make_admin
from eliop2p.admin.status import ControlStatus, NodeStatus
from eliop2p.base.config import NodeConfig
from eliop2p.base.metrics import Metrics
from eliop2p.cache.records import RecordStore
from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.service import ControlService
from eliop2p.eviction import Eviction
from eliop2p.identity import describe_node, node_name, p2p_address, usable_directory
from eliop2p.interfaces import (
    CacheUsage,
    IPeerRequests,
    NodeLoad,
)
from eliop2p.model.tally import Tally
from eliop2p.model.trails import Trails
from eliop2p.net.listening import opening
from eliop2p.node_metrics import Counted, observe_node
from eliop2p.p2p.bandwidth import make_bandwidth
from eliop2p.p2p.links import PeerLinks
from eliop2p.p2p.node_discovery import NodeDiscovery
from eliop2p.p2p.swarm import Swarm, make_gossip
from eliop2p.parts import Surroundings, make_chunks, trace_requests
from eliop2p.planes import make_steered
from eliop2p.proxy.at_hand import AtHand
from eliop2p.proxy.heads import settle_oss, settle_s3
from eliop2p.proxy.integrity import ObjectChecks
from eliop2p.proxy.objects import ObjectReads
from eliop2p.proxy.prepared_answers import PreparedAnswers
from eliop2p.proxy.recording import Recording
from eliop2p.proxy.records import Records
from eliop2p.proxy.server import ProxyFactory, ProxyServer
from eliop2p.proxy.service import ProxyService
from eliop2p.proxy.tunnel import Tunnels
from eliop2p.reported_source import ReportedSource
from eliop2p.shared_answers import SharedAnswers
from eliop2p.storage.budgeted import BudgetedOrigin
from eliop2p.stores import make_budget, make_stores

_log = Logger()

TRAIL_BYTES = 32 * 1024 * 1024
"""
The most memory for how past requests were answered.
"""


class Node(MultiService):
    """
    Everything that one machine runs.
    """

    def __init__(self, config: NodeConfig, world: Surroundings) -> None:
        """
        Raises:
            StartError: A directory cannot be used.
        """
        super().__init__()
        self._config = config
        self._world = world
        self._started = world.clock.seconds()
        if world.workers is not None:
            # Before all that needs them, since it is stopped in the reverse order.
            world.workers.setServiceParent(self)
        self._ready = False
        data = config.general.data_dir
        self._directory = usable_directory(data, "[general] data_dir")
        self.metrics = Metrics()
        self.trails = Trails(config.admin.explain_requests, TRAIL_BYTES)
        self.me = describe_node(config, node_name(config, self._directory, world.rng))
        name = self.me.node_id
        tracing = trace_requests(config.tracing, name, self.trails, world.worker)
        if tracing is not None:
            tracing.setServiceParent(self)
        self.budget = make_budget(config, world.clock)
        plain, self._stores = make_stores(
            config, world.network, world.worker, world.clock
        )
        self.origin = BudgetedOrigin(plain, self.budget, world.clock, world.rng)
        known = self._directory / "members.json"
        self.members = NodeDiscovery(self.me, known, world.worker)
        self.swarm = Swarm(
            self.me.node_id,
            self.members,
            self._make_links,
            clock=world.clock,
            rng=world.rng,
            selection_k=config.p2p.selection_k,
            upload_slots=config.p2p.upload_slots,
            selection=config.p2p.selection,
            budget=self.budget,
        )
        self.gossip, self._gossiped = make_gossip(
            self.me,
            self.swarm,
            self.members,
            clock=world.clock,
            rng=world.rng,
            seeds=config.p2p.seeds,
        )
        self.gossip.setServiceParent(self)
        self._source = ReportedSource(self.swarm.transfers)
        self.chunks = make_chunks(config, self._source, world, self.metrics)
        records = str(self._directory / "objects.db")
        self._record_store = RecordStore(records, world.worker)
        size = config.cache.chunk_size
        self._records = Records(self._record_store, self.swarm.objects, size)
        self.steered = make_steered(
            config,
            self.me.node_id,
            self.chunks,
            catalog=self.swarm.make_catalog(self._record_store),
            membership=self.members,
            agent=world.agent,
            clock=world.clock,
        )
        self.control = self._make_control()
        self._source.control = self.control
        self.steered.join(self)
        self.control.setServiceParent(self)
        self._make_admin().setServiceParent(self)
        self._make_proxy().setServiceParent(self)
        observe_node(
            self.metrics,
            Counted(
                self.origin,
                self.links,
                self.chunks,
                self.members,
                self.control,
                self.gossip,
                self.steered,
                self.swarm,
                world.clock.seconds,
                self._tunnels,
                world.workers,
                self.bandwidth,
                self.budget,
            ),
        )

    # --- parts

    def _make_links(self, requests: IPeerRequests) -> PeerLinks:
        world, p2p = self._world, self._config.p2p
        self.bandwidth = make_bandwidth(world.clock, p2p.max_upload, p2p.max_download)
        self.links = PeerLinks(
            node_id=self.me.node_id,
            secret=p2p.cluster_secret.reveal().encode() if p2p.cluster_secret else b"",
            network=world.network,
            clock=world.clock,
            requests=requests,
            worker=world.worker,
            rng=world.rng,
            nonce=world.nonce,
            max_peers=p2p.max_peers,
            bandwidth=self.bandwidth,
        )
        return self.links

    def _make_control(self) -> ControlService:
        config, world = self._config.control_plane, self._world
        return ControlService(
            self.me,
            self.steered.plane,
            self._gossiped,
            load=self._load,
            holdings=lambda: (chunk_id for chunk_id, _ in self.chunks.holdings()),
            clock=world.clock,
            rng=world.rng,
            interval=config.heartbeat_interval_sec,
            told=self.steered.told,
        )

    def _make_admin(self) -> MultiService:
        clock = self._world.clock
        worker = self._world.worker
        eviction = Eviction(self._record_store, self._records, self.chunks, worker)
        sights = Sights(
            self.status,
            self.metrics,
            self.trails,
            lambda: self.swarm.transfers.scores.standings(clock.seconds()),
            clock.seconds,
            self.swarm.make_tallies(self._tally, clock).current,
        )
        return make_admin(
            self._config.admin,
            self._world.network,
            clock,
            sights,
            evict=eviction.evict,
            calls={
                b"objects": self.steered.operations.objects,
                b"replication": self.steered.operations.replication,
            },
        )

    def _make_proxy(self) -> ProxyServer:
        config, world = self._config, self._world
        records, chunk_size = self._records, config.cache.chunk_size
        self._tunnels = Tunnels(
            world.network,
            world.clock,
            self.metrics,
            limit=config.proxy.max_tunnels,
            connect_timeout=config.storage.connect_timeout_sec,
        )
        self.checks = ObjectChecks(
            self.chunks, records, world.worker, world.clock, self.metrics
        )
        seconds = world.clock.seconds
        trust = make_trust(config, seconds, self.metrics)
        self.prepared = PreparedAnswers(
            self.chunks,
            self.chunks,
            records,
            trust=trust,
            metrics=self.metrics,
            trails=self.trails,
            now=seconds,
            rng=world.rng,
        )
        watch = watch_clients(config, world.worker, world.clock)
        if watch is not None:
            watch.setServiceParent(self)
        reads = ObjectReads(
            self.origin,
            self.chunks,
            self.chunks,
            records,
            at_hand=AtHand(
                *(self.chunks, self.chunks, self.checks, self.prepared, self.metrics)
            ),
            checks=self.checks,
            metrics=self.metrics,
            clock=world.clock,
            trust=trust,
            settle=settle_oss if config.storage.type == "oss" else settle_s3,
            chunk_size=chunk_size,
            rng=world.rng,
        )
        service = ProxyService(
            self.origin,
            reads,
            records,
            self.metrics,
            gate=make_gate(
                config,
                self._stores.main.name,
                lambda: watch.clients if watch else {},
                seconds,
            ),
            trust=trust,
            seconds=seconds,
            stores=self._stores,
            tunnels=self._tunnels if config.proxy.forward else None,
        )
        answer = service.answer
        if self.trails.on:
            answer = Recording(answer, self.trails, world.clock.seconds).answer
        at_once = self.prepared.answer
        if world.workers is not None:
            shared = SharedAnswers(
                *(self.prepared, world.workers, records),
                held=self.chunks,
                counted=self.chunks,
                metrics=self.metrics,
                trails=self.trails,
                clock=world.clock,
            )
            shared.setServiceParent(self)
            at_once = shared.answer
        factory = ProxyFactory(
            answer,
            world.make_sender,
            at_once=at_once,
            metrics=self.metrics,
            clock=world.clock,
            rng=world.rng,
            max_connections=config.proxy.max_connections,
        )
        return ProxyServer(
            factory,
            world.network,
            world.clock,
            config.proxy.bind_address,
            config.proxy.listen_port,
        )

    # --- life

    def startService(self) -> None:
        """
        Open the ports, then find out what an earlier run left.

        Raises:
            StartError: A port is taken.
        """
        host, port = p2p_address(self._config), self._config.p2p.listen_port
        if self._config.p2p.cluster_secret is None:
            _log.warn(
                "Peers are served on {host} only: without [p2p] cluster_secret nothing "
                "tells a peer from anybody else",
                host=host,
            )
        with opening(host, port, "[p2p] listen_port"):
            self.links.start(host, port)
        super().startService()
        self.swarm.begin(self.chunks)
        Deferred.fromCoroutine(self._find()).addErrback(
            lambda failure: _log.failure("Finding what an earlier run left", failure)
        )

    async def _find(self) -> None:
        await self.members.start()
        self.gossip.introduce(tuple(self.members.current().peers.values()))
        await self.chunks.start()
        self._ready = True
        _log.info(
            "{node_id} is ready: {chunks} chunks are held",
            node_id=self.me.node_id,
            chunks=sum(usage.chunks for usage in self.chunks.usage().values()),
        )

    def stopService(self) -> "Deferred[None]":
        """
        Let clients finish, say goodbye to control plane and peers, write what is left.
        """
        self.running = 0
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        _log.info("{node_id} stops", node_id=self.me.node_id)
        for service in reversed(list(self)):
            await maybeDeferred(service.stopService)
        self.swarm.stop()
        await self.checks.stop()
        await self.chunks.stop()
        await self.links.close()
        await self.origin.close()
        await self.members.stop()
        await self._record_store.close()

    # --- what others are told

    def _load(self) -> NodeLoad:
        usage = self.chunks.usage()
        empty = CacheUsage(0, 0, 0)
        memory, disk = usage["memory"], usage.get("disk", empty)
        return NodeLoad(
            memory.used,
            disk.used,
            max(memory.chunks, disk.chunks),
            self.swarm.requests.uploads,
            memory.capacity,
            disk.capacity,
        )

    def _tally(self) -> Tally:
        status = self.status()
        return Tally(
            int(status.uptime), sum(status.served.values()), status.origin_bytes
        )

    def status(self) -> NodeStatus:
        """
        Tell how the node is.
        """
        plane = self._config.control_plane.url
        state = self.control.state if plane else PlaneState.UNREGISTERED
        self.metrics.catch_up()
        served = self.metrics.served_bytes
        return NodeStatus(
            self.me.node_id,
            __version__,
            self._world.clock.seconds() - self._started,
            self._ready,
            tuple(self.members.current().peers.values()),
            ControlStatus(plane, state.value),
            self.chunks.usage(),
            {
                sample.labels["source"]: int(sample.value)
                for family in served.collect()
                for sample in family.samples
                if sample.name.endswith("_total")
            },
            self.origin.bytes_in,
        )

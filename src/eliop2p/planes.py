"""
The control plane of a node, made from its configuration, and what the node does for it.
"""

import attrs
from twisted.application.service import MultiService
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from eliop2p.base.config import NodeConfig
from eliop2p.base.config_control import ControlPlaneConfig
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.control.adjuster import Adjuster
from eliop2p.control.client import HttpControlPlane, NullControlPlane
from eliop2p.control.etcd import EtcdControlPlane, lease_seconds
from eliop2p.control.etcd_gateway import EtcdGateway
from eliop2p.control.executor import Executor
from eliop2p.control.steering import ISteering, NullSteering
from eliop2p.interfaces import ICatalog, IControlPlane, IMembership, Registration
from eliop2p.operations import Operations
from eliop2p.replicas import Replicas


def make_plane(
    config: ControlPlaneConfig, agent: IAgent, clock: IReactorTime
) -> tuple[IControlPlane, ISteering]:
    """
    Make the way to the control plane, and to what steers the replication.
    """
    if not config.endpoint:
        return NullControlPlane(), NullSteering()
    if config.is_etcd:
        urls = [place.url for place in config.addresses]
        gateway = EtcdGateway(urls, agent, clock)
        lease = lease_seconds(config.heartbeat_interval_sec)
        etcd = EtcdControlPlane(gateway, clock, lease)
        return etcd, etcd
    token = config.token.reveal().encode() if config.token else b""
    http = HttpControlPlane(config.url, agent, token, clock)
    return http, http


@attrs.frozen
class Steered:
    """
    What a node has to do with its control plane besides being a member.

    Attributes:
        plane: The control plane.
        operations: Answers operators.
        adjuster: Orders replicas, when it falls to this node.
        executor: Carries commands out.
    """

    plane: IControlPlane
    operations: Operations
    adjuster: Adjuster
    executor: Executor

    def join(self, parent: MultiService) -> None:
        """
        Live and die with a service.
        """
        self.adjuster.setServiceParent(parent)
        self.executor.setServiceParent(parent)

    def told(self, answer: Registration) -> None:
        """
        Take what the control plane says of this node.
        """
        self.adjuster.told(answer)
        self.executor.told(answer)


def make_steered(
    config: NodeConfig,
    node_id: str,
    chunks: ChunkManager,
    *,
    catalog: ICatalog,
    membership: IMembership,
    agent: IAgent,
    clock: IReactorTime,
) -> Steered:
    """
    Make what a node has to do with its control plane.
    """
    plane, steering = make_plane(config.control_plane, agent, clock)
    executor = Executor(
        node_id,
        steering,
        replicas=Replicas(chunks),
        catalog=catalog,
        clock=clock,
        bytes_per_second=config.limits.adjust_rate,
    )
    adjuster = Adjuster(steering, catalog, membership, clock)
    return Steered(plane, Operations(catalog, steering), adjuster, executor)

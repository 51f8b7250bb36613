"""
Membership and the control plane.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo


class IMembership(Interface):
    """
    Who is alive.
    """

    def current() -> Membership:
        """
        Give the members at this moment, this node among them.
        """

    def watch(changed: Callable[[Membership], None]) -> None:
        """
        Be told of each change, after it.
        """

    def update(membership: Membership) -> None:
        """
        Take a newer list of members from the control plane.
        """


@attrs.frozen
class Registration:
    """
    The control plane's answer to a registration or a heartbeat.

    Attributes:
        membership: The live members, or None when they are what the node has.
        version: The version of the membership.
        commands: How many commands wait for the node.
        adjusts: Whether it falls to the node to adjust the replication.
    """

    membership: Membership | None
    version: int
    commands: int = 0
    adjusts: bool = False


@attrs.frozen
class NodeLoad:
    """
    How a node is doing, told with each heartbeat.

    Attributes:
        memory_used: Bytes in the memory tier.
        disk_used: Bytes in the disk tier.
        chunks: Chunks held in either tier.
        uploads: Uploads to peers under way.
        memory_capacity: Bytes that the memory tier may hold.
        disk_capacity: Bytes that the disk tier may hold.
    """

    memory_used: int
    disk_used: int
    chunks: int
    uploads: int
    memory_capacity: int = 0
    disk_capacity: int = 0


class IControlPlane(Interface):
    """
    The place that knows the cluster; reads never depend on it.
    """

    def register(node: PeerInfo) -> "Deferred[Registration]":
        """
        Make this node known.
        """

    def heartbeat(
        node_id: str, load: NodeLoad, version: int
    ) -> "Deferred[Registration | None]":
        """
        Say that the node is alive.

        Args:
            node_id: Which node.
            load: How it is doing.
            version: The membership version that the node has.

        Returns:
            None when the control plane does not know the node: register again.
        """

    def leave(node_id: str) -> "Deferred[None]":
        """
        Say that the node goes.
        """

    def report(
        node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> "Deferred[None]":
        """
        Say which chunks the node has come to hold, and which it has let go of.
        """

    def watch(version: int) -> "Deferred[Registration]":
        """
        Wait, a bounded time, until the membership is another than of this version.

        Cancelling it is to stop waiting.
        """

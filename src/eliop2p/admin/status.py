"""
The state of a node as one value, for people and scripts.
"""

import attrs

from eliop2p.interfaces import CacheUsage
from eliop2p.model.peer import PeerInfo


@attrs.frozen
class ControlStatus:
    """
    How the node stands with its control plane.

    Attributes:
        endpoint: Where it is, empty when there is none.
        state: unregistered, registered, degraded or leaving.
    """

    endpoint: str
    state: str


@attrs.frozen
class NodeStatus:
    """
    Everything that ``eliop2p status`` shows.

    Attributes:
        node_id: Who.
        version: Of the software.
        uptime: Seconds since the start.
        ready: Whether it serves from all its tiers.
        members: The live members it knows, itself among them.
        control_plane: How it stands with the control plane.
        tiers: Cache tiers by name.
        served: Bytes sent to clients by source.
        origin_bytes: Bytes read from the store.
    """

    node_id: str
    version: str
    uptime: float
    ready: bool
    members: tuple[PeerInfo, ...]
    control_plane: ControlStatus
    tiers: dict[str, CacheUsage]
    served: dict[str, int]
    origin_bytes: int

    def to_json(self) -> dict[str, object]:
        """
        Give the form that ``/api/v1/status`` serves.
        """
        return attrs.asdict(self)

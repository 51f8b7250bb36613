"""
How the control plane tells nodes who is alive: as a whole or as what has changed.
"""

from collections import deque
from collections.abc import Iterable

import attrs

from eliop2p.control.fields import MAX_INTEGER, Fields
from eliop2p.control.messages import (
    MAX_NODES,
    node_from_json,
    node_to_json,
    read_node_id,
)
from eliop2p.model.peer import Membership, PeerInfo

MAX_CHANGES = 2 * MAX_NODES
"""
Changes that are remembered: a node that has missed more is told everything.
"""


class Changes:
    """
    Which nodes each version of the membership was about.

    Args:
        version: The version from which on changes are known.
        limit: How many are remembered.
    """

    def __init__(self, version: int, limit: int = MAX_CHANGES) -> None:
        self._first = version
        self._names: deque[str] = deque()
        self._limit = limit

    def note(self, node_id: str) -> None:
        """
        The next version has come, and it is about this node.
        """
        self._names.append(node_id)
        if len(self._names) > self._limit:
            self._names.popleft()
            self._first += 1

    def since(self, version: int) -> set[str] | None:
        """
        Name the nodes that have come, gone or changed since a version.

        Returns:
            None when that is not known.
        """
        missed = self._first + len(self._names) - version
        if not 0 <= missed <= len(self._names):
            return None
        names = self._names
        return {names[-place] for place in range(1, missed + 1)}


@attrs.frozen
class MembershipDelta:
    """
    What has become of a membership.

    Attributes:
        since: The version that it is about.
        present: Nodes that have come or changed.
        gone: Names of nodes that have gone.
    """

    since: int
    present: tuple[PeerInfo, ...]
    gone: tuple[str, ...]

    def apply(self, membership: Membership, version: int) -> Membership:
        """
        Bring a membership of the right version up to date.
        """
        peers = dict(membership.peers)
        for node_id in self.gone:
            peers.pop(node_id, None)
        peers.update({node.node_id: node for node in self.present})
        return Membership(version, peers)


@attrs.frozen
class MembershipAnswer:
    """
    The answer to a registration, a heartbeat, or the question for a newer membership.

    Attributes:
        version: The version of the membership.
        nodes: The live nodes, None when they are not told.
        delta: What has changed, None when that is not told.
        commands: How many commands wait for the node that asks.
        adjusts: Whether it falls to that node to adjust the replication.
    """

    version: int
    nodes: tuple[PeerInfo, ...] | None = None
    delta: MembershipDelta | None = None
    commands: int = 0
    adjusts: bool = False

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        message: dict[str, object] = {"version": self.version}
        if self.nodes is not None:
            message["nodes"] = _nodes_to_json(self.nodes)
        if self.delta is not None:
            message["since"] = self.delta.since
            message["changed"] = _nodes_to_json(self.delta.present)
            message["gone"] = list(self.delta.gone)
        if self.commands:
            message["commands"] = self.commands
        if self.adjusts:
            message["adjusts"] = True
        return message

    @classmethod
    def from_json(cls, value: object) -> "MembershipAnswer":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        fields = Fields(value)
        nodes, delta = None, None
        if fields.has("nodes"):
            nodes = fields.items("nodes", MAX_NODES, node_from_json)
        if fields.has("since"):
            delta = MembershipDelta(
                fields.integer("since", 0, MAX_INTEGER),
                fields.items("changed", MAX_NODES, node_from_json),
                fields.items("gone", MAX_CHANGES, read_node_id),
            )
        return cls(
            version=fields.integer("version", 0, MAX_INTEGER),
            nodes=nodes,
            delta=delta,
            commands=fields.integer("commands", 0, MAX_INTEGER, default=0),
            adjusts=fields.flag("adjusts", default=False),
        )


def _nodes_to_json(nodes: Iterable[PeerInfo]) -> list[dict[str, object]]:
    return [node_to_json(node) for node in nodes]

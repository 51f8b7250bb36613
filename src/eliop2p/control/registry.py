"""
The table of live nodes.
"""

from collections.abc import Iterable

import attrs

from eliop2p.base.errors import ElioError
from eliop2p.control.locations import Locations
from eliop2p.control.membership import Changes, MembershipDelta
from eliop2p.control.messages import (
    MAX_HOLDERS_TOLD,
    MAX_NODES,
    ChunkReport,
    Heartbeat,
    Location,
    ReportAnswer,
)
from eliop2p.control.orders import OrderBook
from eliop2p.control.policy import Policy
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo

MAX_LOCATIONS = 2_000_000
"""
Pairs of chunk and holder that are kept: some 400 MB of memory.
"""


class RegistryFull(ElioError):
    """
    There are as many nodes as there may be.
    """


class UnknownNode(ElioError):
    """
    No such node is registered: it has to register again.
    """


@attrs.frozen
class SavedNode:
    """
    What outlives a restart of a node's membership.

    Attributes:
        info: What members know of it.
        registered_at: When it came, in seconds since 1970.
    """

    info: PeerInfo
    registered_at: float


@attrs.define
class Member:
    """
    A live node.

    Attributes:
        saved: What outlives a restart.
        heard_at: When it last gave a sign of life, in seconds on the caller's clock.
        load: What it last said of itself, None before its first heartbeat.
    """

    saved: SavedNode
    heard_at: float
    load: Heartbeat | None = None


class Registry:
    """
    Who is alive, and what each holds. It has no clock: each call tells the time.

    Args:
        heartbeat_timeout: Seconds of silence after which a node is dead.
        version: The version of the membership before the first change.
        max_nodes: How many nodes there may be.
        max_locations: How many pairs of chunk and holder are kept.

    Attributes:
        version: Grows with every change of the membership.
        locations: What each node holds.
        policy: What operators want of replication.
        orders: What nodes are to do for that.
        adjuster: The node that sees to it: the one that has been here longest; empty
            while there is none.
    """

    def __init__(
        self,
        heartbeat_timeout: float,
        version: int,
        max_nodes: int = MAX_NODES,
        max_locations: int = MAX_LOCATIONS,
    ) -> None:
        self.version = version
        self.locations = Locations(max_locations)
        self.policy = Policy()
        self.orders = OrderBook()
        self.adjuster = ""
        self._changes = Changes(version)
        self._timeout = heartbeat_timeout
        self._max_nodes = max_nodes
        self._members: dict[str, Member] = {}
        self._looked_at: float | None = None

    def __len__(self) -> int:
        return len(self._members)

    def restore(self, nodes: Iterable[SavedNode], now: float) -> None:
        """
        Take the nodes of an earlier run, as if each had just been heard of.
        """
        for saved in nodes:
            self._members[saved.info.node_id] = Member(saved, now)
        self._choose_adjuster()

    def find(self, node_id: str) -> Member | None:
        """
        Give a node, or None when it is not registered.
        """
        return self._members.get(node_id)

    def members(self) -> list[Member]:
        """
        Give the nodes, by name.
        """
        return [self._members[node_id] for node_id in sorted(self._members)]

    def nodes(self) -> tuple[PeerInfo, ...]:
        """
        Give what members know of each other, by name.
        """
        return tuple(member.saved.info for member in self.members())

    def changes_since(self, version: int) -> MembershipDelta | None:
        """
        Tell what has become of the membership since a version, or None when that is not
        known.
        """
        names = self._changes.since(version)
        if names is None:
            return None
        members = [self._members[name] for name in sorted(names & self._members.keys())]
        gone = tuple(sorted(names - self._members.keys()))
        return MembershipDelta(version, tuple(m.saved.info for m in members), gone)

    def register(self, node: PeerInfo, now: float) -> bool:
        """
        Take a node in, in place of one of the same name. What it held before is
        forgotten; it will say what it holds.

        Returns:
            Whether the membership has changed.

        Raises:
            RegistryFull: It is new and there is no room.
        """
        member = self._members.get(node.node_id)
        self.locations.drop(node.node_id)
        if member is not None and member.saved.info == node:
            member.heard_at = now
            return False
        if member is None and len(self._members) >= self._max_nodes:
            raise RegistryFull(f"there are {self._max_nodes} nodes already")
        since = now if member is None else member.saved.registered_at
        self._members[node.node_id] = Member(SavedNode(node, since), now)
        self._changed(node.node_id)
        return True

    def beat(self, node_id: str, heartbeat: Heartbeat, now: float) -> None:
        """
        Take a sign of life.

        Raises:
            UnknownNode: There is no such node.
        """
        member = self._hear(node_id, now)
        member.load = heartbeat

    def report(self, node_id: str, report: ChunkReport, now: float) -> ReportAnswer:
        """
        Learn what a node holds; a sign of life as well.

        Raises:
            UnknownNode: There is no such node.
        """
        self._hear(node_id, now)
        self.locations.discard(node_id, report.gone)
        ignored = self.locations.add(node_id, report.held)
        return ReportAnswer(self.locations.count(node_id), ignored)

    def leave(self, node_id: str) -> None:
        """
        Let a node go.

        Raises:
            UnknownNode: There is no such node.
        """
        if node_id not in self._members:
            raise UnknownNode(node_id)
        self._remove(node_id)

    def expire(self, now: float) -> tuple[str, ...]:
        """
        Let go of the nodes that have been silent for too long. To be called several
        times within the timeout: time during which it was not called, because the
        process or its machine stood still or the clock was set, is not held against
        the nodes.

        Returns:
            Their names.
        """
        waited = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        if not 0 <= waited <= self._timeout / 2:
            for member in self._members.values():
                member.heard_at += waited
        dead = tuple(
            node_id
            for node_id, member in sorted(self._members.items())
            if now - member.heard_at > self._timeout
        )
        for node_id in dead:
            self._remove(node_id)
        return dead

    def locate(self, chunk_ids: Iterable[ChunkId]) -> dict[ChunkId, Location]:
        """
        Tell where chunks are.
        """
        found = {chunk_id: self.locations.holders(chunk_id) for chunk_id in chunk_ids}
        return {
            chunk_id: Location(len(holders), holders[::-1][:MAX_HOLDERS_TOLD])
            for chunk_id, holders in found.items()
        }

    def _hear(self, node_id: str, now: float) -> Member:
        member = self._members.get(node_id)
        if member is None:
            raise UnknownNode(node_id)
        member.heard_at = now
        return member

    def _remove(self, node_id: str) -> None:
        del self._members[node_id]
        self.locations.drop(node_id)
        self._changed(node_id)

    def _changed(self, node_id: str) -> None:
        self.version += 1
        self._changes.note(node_id)
        self._choose_adjuster()

    def _choose_adjuster(self) -> None:
        def came(node_id: str) -> tuple[float, str]:
            return self._members[node_id].saved.registered_at, node_id

        self.adjuster = min(self._members, key=came, default="")

"""
What nodes have served and what they read of the store for it, each and all together.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class Tally:
    """
    What one node has done since it started.

    Attributes:
        seconds: For how long it has run.
        served: Bytes sent to clients.
        store: Bytes read of the store.
    """

    seconds: int
    served: int
    store: int

    def since(self, earlier: "Tally") -> "Tally":
        """
        Tell what was done after an earlier tally, all of this one if the node has
        started anew since.
        """
        if self.seconds < earlier.seconds or self.served < earlier.served:
            return self
        return Tally(
            self.seconds - earlier.seconds,
            self.served - earlier.served,
            max(0, self.store - earlier.store),
        )


@attrs.frozen
class NodeTally:
    """
    What is known of one node's work.

    Attributes:
        node_id: Which node.
        total: Since it started.
        recent: In the last time, see :attr:`ClusterTally.window`.
    """

    node_id: str
    total: Tally
    recent: Tally


@attrs.frozen
class ClusterTally:
    """
    What is known of the cluster's work.

    Attributes:
        members: How many nodes the cluster has.
        window: How many seconds what is recent goes back at most.
        nodes: Those whose work is known.
    """

    members: int
    window: float
    nodes: tuple[NodeTally, ...]

    @property
    def total(self) -> Tally:
        """
        The sums over the nodes, and the longest time.
        """
        return _sum(node.total for node in self.nodes)

    @property
    def recent(self) -> Tally:
        """
        The same of what is recent.
        """
        return _sum(node.recent for node in self.nodes)


def _sum(tallies: Iterable[Tally]) -> Tally:
    seconds = served = store = 0
    for each in tallies:
        seconds = max(seconds, each.seconds)
        served, store = served + each.served, store + each.store
    return Tally(seconds, served, store)


class TallyBook:
    """
    The last tallies of each node. It has no clock: each call tells the time.

    Args:
        window: How many seconds back they are kept.
        patience: Seconds after which a node that gives no new one is not counted.
    """

    def __init__(self, window: float, patience: float) -> None:
        self._window = window
        self._patience = patience
        self._known: dict[str, deque[tuple[float, Tally]]] = {}

    def note(self, node_id: str, tally: Tally, now: float) -> None:
        """
        A node has told.
        """
        known = self._known.setdefault(node_id, deque())
        known.append((now, tally))
        while known[0][0] < now - self._window:
            known.popleft()

    def read(self, members: Mapping[str, object], now: float) -> ClusterTally:
        """
        Tell what is known of the members, and forget all others.
        """
        for node_id in [name for name in self._known if name not in members]:
            del self._known[node_id]
        found = (
            NodeTally(name, known[-1][1], known[-1][1].since(known[0][1]))
            for name, known in sorted(self._known.items())
            if known[-1][0] >= now - self._patience
        )
        return ClusterTally(len(members), self._window, tuple(found))

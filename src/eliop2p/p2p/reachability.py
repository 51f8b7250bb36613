"""
Tells of peers that can no longer be reached, and of those that can again.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LOOK_AGAIN = 0.25
"""
Seconds from one look whether a peer can be reached again to the next.
"""

MAX_LOST = 4096
"""
Of how many peers it is told that they can be reached again.
"""


class Reachability:
    """
    Which peers cannot be reached at the moment.

    Args:
        clock: For looking again.
        suspected: Tells whether a peer cannot be reached.
    """

    def __init__(self, clock: IReactorTime, suspected: Callable[[str], bool]) -> None:
        self._clock = clock
        self._suspected = suspected
        self._lost: dict[str, None] = {}
        self._watchers: list[Callable[[str], None]] = []
        self._call: IDelayedCall | None = None
        self._stopped = False

    def watch(self, changed: Callable[[str], None]) -> None:
        """
        Be told of each peer that can no longer be reached, or can again.
        """
        self._watchers.append(changed)

    def lost(self, node_id: str) -> None:
        """
        A peer has failed.
        """
        is_known = node_id in self._lost or len(self._lost) >= MAX_LOST
        if is_known or self._stopped or not self._suspected(node_id):
            return
        self._lost[node_id] = None
        if self._call is None:
            self._call = self._clock.callLater(LOOK_AGAIN, self._look)
        self._tell(node_id)

    def stop(self) -> None:
        """
        Tell nothing more.
        """
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        found = [node_id for node_id in self._lost if not self._suspected(node_id)]
        for node_id in found:
            del self._lost[node_id]
        if self._lost:
            self._call = self._clock.callLater(LOOK_AGAIN, self._look)
        for node_id in found:
            self._tell(node_id)

    def _tell(self, node_id: str) -> None:
        for changed in tuple(self._watchers):
            changed(node_id)

"""
Which connections there are with whom, and who is not to be tried at the moment.
"""

from twisted.internet.interfaces import IReactorTime

from eliop2p.p2p.pace import ANSWER_WITHIN
from eliop2p.p2p.protocol import PeerConnection
from eliop2p.p2p.reachability import Reachability

SUSPICION = 5.0
"""
Seconds for which a peer that failed is not tried.
"""

MAX_SHARED = 4
"""
The most connections with one peer.
"""

_MAX_SUSPECTS = 1024


class Connections:
    """
    The connections that both sides have proved themselves on.

    Opens and closes none.

    Attributes:
        reachability: Tells who can be reached.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.reachability = Reachability(clock, self.suspected)
        self._clock = clock
        # By peer, with the time since when it has been one.
        self._shared: dict[str, dict[PeerConnection, float]] = {}
        self._suspects: dict[str, float] = {}

    def asked(self) -> list[int]:
        """
        Tell for each connection how many requests the peer has not answered.
        """
        return [link.asked for shared in self._shared.values() for link in shared]

    def add(self, connection: PeerConnection) -> bool:
        """
        Include a connection: its peer is alive.

        Returns:
            False when there are too many with this peer already.
        """
        shared = self._shared.setdefault(connection.peer_id, {})
        if len(shared) >= MAX_SHARED:
            return False
        shared[connection] = self._clock.seconds()
        self._suspects.pop(connection.peer_id, None)
        return True

    def remove(self, connection: PeerConnection) -> bool:
        """
        Leave a connection out.

        Returns:
            Whether it was the last one with its peer.
        """
        shared = self._shared.get(connection.peer_id, {})
        if connection not in shared:
            return False
        del shared[connection]
        if shared:
            self._look_again(connection.peer_id)
            return False
        del self._shared[connection.peer_id]
        return True

    def usable(self, node_id: str) -> PeerConnection | None:
        """
        Give the oldest connection with a peer, one that is in doubt only when all are.
        """
        shared = self._open(node_id)
        trusted = [link for link in shared if not link.calls.in_doubt]
        return next(iter(trusted or shared), None)

    def doubt(self, node_id: str) -> None:
        """
        Note that a peer gave no sign of life: what is asked over any of its connections
        ends, or each would be waited for in turn; but not over those on which it was
        heard meanwhile, or made since: it has started again.
        """
        now, used = self._clock.seconds(), self.usable(node_id)
        if used is None:
            self.suspect(node_id)
            return
        shared = self._shared[node_id]
        for link in self._open(node_id):
            before = shared[link] <= used.heard and link.silence(now) >= ANSWER_WITHIN
            if link is used or before:
                link.doubt()

    def suspect(self, node_id: str) -> None:
        """
        Note that a peer failed, unless a connection with it is beyond doubt.
        """
        connection = self.usable(node_id)
        if connection is not None and not connection.calls.in_doubt:
            return
        now = self._clock.seconds()
        if len(self._suspects) >= _MAX_SUSPECTS:
            self._suspects = {k: v for k, v in self._suspects.items() if v > now}
        self._suspects[node_id] = now + SUSPICION
        self.reachability.lost(node_id)

    def pardon(self, node_id: str) -> None:
        """
        Note that there is news of a peer: that it failed before counts no more.
        """
        self._suspects.pop(node_id, None)
        for connection in self._shared.get(node_id, ()):
            connection.calls.resume()

    def suspected(self, node_id: str) -> bool:
        """
        Tell whether a peer failed a moment ago, or owes a sign of life: what was sent
        over a connection in doubt comes through when anything does.
        """
        connection = self.usable(node_id)
        if connection is not None:
            return connection.calls.in_doubt
        return self._clock.seconds() < self._suspects.get(node_id, 0.0)

    def _look_again(self, node_id: str) -> None:
        """
        A connection is lost, and perhaps it alone: the others need not be in doubt.
        """
        for link in self._open(node_id):
            if link.calls.in_doubt:
                link.probe()

    def _open(self, node_id: str) -> list[PeerConnection]:
        return [link for link in self._shared.get(node_id, ()) if link.is_open]

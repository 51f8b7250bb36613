"""
Asks the homes of a chunk where to get it.
"""

from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime

from eliop2p.base.errors import PeerError
from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.rendezvous import Homes
from eliop2p.p2p.selection import PeerScores
from eliop2p.wire.events import Locate, Located, Verdict

CONSULT_SECONDS = 0.25
"""
How long another home is given to say what it knows before the store is read.
"""

OTHER_HOME_AFTER = 1.0
"""
How long a home is waited for where there is another one, in seconds.
"""


class Locator:
    """
    The way to the homes.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: The way to the other homes.
        home: This node as a home.
        scores: How peers have done.
        clock: For time limits.

    Attributes:
        messages: Questions sent to other nodes.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        home: ChunkHome,
        scores: PeerScores,
        clock: IReactorTime,
    ) -> None:
        self.messages = 0
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._home = home
        self._scores = scores
        self._clock = clock

    async def locate(self, request: Locate) -> tuple[Located, tuple[str, ...]]:
        """
        Ask the first home that answers; when none does, this node acts as one.

        Returns:
            The answer, and the homes that have not been asked.
        """
        peers = self._membership.current().peers
        homes = self._homes.of(request.chunk_id, peers)
        for place, home in enumerate(homes):
            if home == self._node_id:
                return self._home.locate(home, request), homes[place + 1 :]
            last = place == len(homes) - 1
            patience = None if last else OTHER_HOME_AFTER
            located = await self._ask(peers[home], request, patience)
            if located is not None:
                return located, homes[place + 1 :]
        return self._home.locate(self._node_id, request), ()

    async def consult(self, request: Locate, homes: tuple[str, ...]) -> Located | None:
        """
        Ask further homes whether they know of somebody who has the chunk, before it
        is read from the store.

        The first home may be new, and others may see other members. They are given
        little time: a read of the store waits.

        Returns:
            Whom to ask, or None when nobody knows.
        """
        peers = self._membership.current().peers
        for home in homes:
            if home == self._node_id:
                located: Located | None = self._home.locate(home, request)
            elif home in peers and not self._scores.suspect(
                home, self._clock.seconds()
            ):
                located = await self._ask(peers[home], request, CONSULT_SECONDS)
            else:
                continue
            if located is not None and located.holders:
                return located
        return None

    async def _ask(
        self, peer: PeerInfo, request: Locate, seconds: float | None = None
    ) -> Located | None:
        if not self._links.reachable(peer.node_id):
            return None
        self.messages += 1
        asking = self._links.ask(peer, request)
        if seconds is not None:
            asking.addTimeout(seconds, self._clock)
        try:
            located = await asking
        except (PeerError, DeferredTimeoutError):
            if seconds and self._links.silence(peer.node_id) >= seconds:
                self._links.doubt(peer.node_id)
            self._scores.failed(peer.node_id, self._clock.seconds())
            return None
        assert isinstance(located, Located)
        return None if located.verdict is Verdict.NOT_HOME else located

"""
Asks the members what they have served, and what they read of the store for it.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from eliop2p.base.errors import PeerError
from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.model.tally import ClusterTally, Tally, TallyBook
from eliop2p.wire.cluster_events import AskTally, ToldTally

PERIOD = 5.0
"""
Seconds from asking everybody to asking again, while somebody wants to know.
"""

WINDOW = 60.0
"""
Seconds that count as recent.
"""

PATIENCE = 30.0
"""
Seconds after which what a node said is not shown any more.
"""

MAX_MEMBERS = 256
"""
How many members are asked at most; of more, the first by name, always the same.
"""

_AT_ONCE = 16
_log = Logger()


class Tallies:
    """
    The work of the cluster. Nobody is asked while nobody wants to know.

    Args:
        node_id: This node.
        membership: Who is alive.
        links: The way to the members.
        own: Gives what this node has done.
        clock: The time.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        *,
        links: IPeerLinks,
        own: Callable[[], Tally],
        clock: IReactorTime,
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._links = links
        self._own = own
        self._clock = clock
        self._book = TallyBook(WINDOW, PATIENCE)
        self._asked_at: float | None = None
        self._asking = False

    def current(self) -> ClusterTally:
        """
        Tell what is known now, and ask for news if it is time.
        """
        now = self._clock.seconds()
        members = self._membership.current().peers
        self._book.note(self._node_id, self._own(), now)
        due = self._asked_at is None or now >= self._asked_at + PERIOD
        if due and not self._asking:
            self._asked_at, self._asking = now, True
            asking = Deferred.fromCoroutine(self._ask_all(list(members.values())))
            asking.addErrback(
                lambda failure: _log.failure("Asking for tallies", failure)
            )
        return self._book.read(members, now)

    async def _ask_all(self, members: list[PeerInfo]) -> None:
        others = [peer for peer in members if peer.node_id != self._node_id]
        others.sort(key=lambda peer: peer.node_id)
        turns = DeferredSemaphore(_AT_ONCE)

        def ask(peer: PeerInfo) -> "Deferred[None]":
            return Deferred.fromCoroutine(self._ask(peer))

        try:
            await gatherResults(
                [turns.run(ask, peer) for peer in others[:MAX_MEMBERS]],
                consumeErrors=True,
            )
        finally:
            self._asking = False

    async def _ask(self, peer: PeerInfo) -> None:
        try:
            told: ToldTally = await self._links.ask(peer, AskTally(1))
        except PeerError:
            return  # It is not counted once what it last said is too old.
        tally = Tally(told.seconds, told.served, told.store)
        self._book.note(peer.node_id, tally, self._clock.seconds())

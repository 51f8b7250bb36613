"""
Asks the homes of a chunk where to get it.
"""

from collections.abc import Container, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime

from eliop2p.base.errors import PeerError
from eliop2p.interfaces import IChunkSink, IMembership, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.pace import QUIET, SLOW_SECONDS, sign_within
from eliop2p.p2p.patience import OTHER_HOME_AFTER, patience_with_home
from eliop2p.p2p.rendezvous import Homes
from eliop2p.p2p.selection import PeerScores
from eliop2p.p2p.sentry import Sentry
from eliop2p.p2p.vigil import Vigil
from eliop2p.wire.cluster_events import Inlined
from eliop2p.wire.events import MAX_HOLDERS, Holder, Locate, Located, Verdict

CONSULT_SECONDS = 0.25
"""
How long another home is given to say what it knows before the store is read.
"""

BEHIND_BYTES = 10.0
"""
How many times longer a home is waited for while this node itself is slow to read.
"""

MAX_ASKED = 8
"""
How many nodes are asked as homes for one answer, at most.
"""


class Search:
    """
    Which nodes are still to be asked as homes of a chunk, best first.

    Nodes with other views of the membership send an asker on, always to nodes that rank
    better, so that a search ends at the best home that anybody on the way knows.

    Args:
        homes: The homes as the asker sees them.
        reserve: Those next in rank, who may be homes for others.
        useless: Those not to ask.

    Attributes:
        failed: Those who did not answer, or are not to be asked.
        answered: Who gave the answer; None when this node gave it itself.
        inlined: The chunk, when it came with the answer.
    """

    def __init__(
        self,
        homes: list[PeerInfo],
        reserve: list[PeerInfo],
        useless: Iterable[str] = (),
    ) -> None:
        self.failed = tuple(useless)
        self.answered: PeerInfo | None = None
        self.inlined: Inlined | None = None
        self._left = homes
        self._reserve = reserve
        self._asked: set[str] = set()
        self._sent_by: dict[str, PeerInfo] = {}
        self._questions = 0
        self._late: dict[str, PeerInfo] = {}
        self._awaited: set[str] = set()

    @property
    def has_more(self) -> bool:
        """
        Whether somebody is there to be asked who was not yet.
        """
        return bool(self._left)

    def others(self) -> tuple[PeerInfo, ...]:
        """
        Give those who may be asked yet.
        """
        return (*self._left, *self._reserve)

    def may_pass_over(self, home: PeerInfo) -> bool:
        """
        Tell whether somebody else is there to be asked, should a node be late.
        """
        return self.has_more and home.node_id not in self._awaited

    def next(self) -> PeerInfo | None:
        """
        Give the next node to ask, if there is one.
        """
        while self._left and self._questions < MAX_ASKED:
            home = self._left.pop(0)
            self._asked.add(home.node_id)
            if home.node_id not in self.failed:
                self._questions += 1
                return home
        return None

    def again(self) -> PeerInfo | None:
        """
        Give the best node that was late, to be waited for, if there is one.
        """
        if not self._late or self._questions >= MAX_ASKED:
            return None
        self._questions += 1
        node_id = next(iter(self._late))
        self._awaited.add(node_id)
        return self._late.pop(node_id)

    def stand_in(self, homes: Iterable[PeerInfo]) -> None:
        """
        Ask those too who stand in for the homes that did not answer.
        """
        self._left += [home for home in homes if home.node_id not in self._asked]

    def widen(self) -> None:
        """
        Ask those next in rank too, once.
        """
        self._left += self._reserve
        self._reserve = []

    def sent_on(self, by: PeerInfo, better: Iterable[PeerInfo]) -> None:
        """
        A node named better homes than itself.
        """
        better = list(better)
        for home in better:
            if self._late.pop(home.node_id, None) is not None:
                self._awaited.add(home.node_id)
                self._asked.discard(home.node_id)
        unasked = [home for home in better if home.node_id not in self._asked]
        known = {home.node_id for home in unasked}
        self._left = unasked + [
            home for home in self._left if home.node_id not in known
        ]
        self._sent_by.update(dict.fromkeys(known, by))

    def take(self, home: PeerInfo, answer: Located | Inlined) -> Located:
        """
        Take an answer; with the chunk in it, it says that the home holds the chunk.
        """
        if isinstance(answer, Located):
            return answer
        self.inlined = answer
        here = (Holder(home.node_id, True, home.host, home.port),)
        return Located(answer.request_id, Verdict.HOLDERS, 0, answer.digest, here)

    def missed(self, home: PeerInfo, *, late: bool) -> None:
        """
        A node did not answer: whoever named it is asked again, knowing that.

        Args:
            home: The node.
            late: Whether it may still do so when it is waited for.
        """
        if late and home.node_id not in self._awaited:
            self._late[home.node_id] = home
            return
        self.failed += (home.node_id,)
        by = self._sent_by.get(home.node_id)
        if by is not None and by.node_id not in self.failed:
            self._left.insert(0, by)


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
        downlink: What is on its way to this node.
        sentry: Finds out who else is silent when a home is.
        slow_nodes: Homes that are asked after others, which may know enough.

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
        downlink: Downlink,
        sentry: Sentry,
        slow_nodes: Container[str],
    ) -> None:
        self.messages = 0
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._home = home
        self._scores = scores
        self._clock = clock
        self._downlink = downlink
        self._sentry = sentry
        self._slow_nodes = slow_nodes

    async def locate(
        self, request: Locate, useless: Iterable[str] = ()
    ) -> tuple[Located, Search]:
        """
        Ask the best home that answers; when none does, this node acts as one.

        Args:
            request: What is asked.
            useless: Homes that have given useless answers.

        Returns:
            The answer, and the search, which can go on.
        """
        peers = self._membership.current().peers
        ranked = self._homes.reachable(request.chunk_id, peers, self._reachable)
        replicas = self._homes.replicas
        homes, reserve = sorted(ranked[:replicas], key=self._is_slow), ranked[replicas:]
        lost = set(self._homes.ranked(request.chunk_id, peers)) - set(ranked)
        search = Search(
            [peers[home] for home in homes],
            [peers[home] for home in reserve],
            (*useless, *sorted(lost)),
        )
        while (home := search.next() or search.again()) is not None:
            patience = self._patience_with(home, search)
            located = await self._search_at(home, request, search, patience)
            if located is not None:
                return located, search
            if not search.has_more:
                ranked = self._homes.reachable(request.chunk_id, peers, self._reachable)
                search.stand_in(peers[home] for home in ranked)
        return self._home.locate(self._node_id, request, final=True), search

    def _patience_with(self, home: PeerInfo, search: Search) -> float | None:
        """
        Tell for how many seconds a home is waited for; None where it is the only one.
        """
        if not search.may_pass_over(home):
            return None
        node_id = home.node_id
        failed = self._scores.suspect(node_id, self._clock.seconds())
        failed = failed or self._sentry.silent(node_id)
        return patience_with_home(self._downlink.delay(), failed=failed)

    async def hear(self, sink: IChunkSink, rejected: tuple[str, ...] = ()) -> Located:
        """
        Ask again who has a chunk and what its digest is, but not for a lease.
        """
        request = Locate(0, sink.chunk.id, sink.filled, False, rejected)
        return (await self.locate(request))[0]

    def _is_slow(self, node_id: str) -> bool:
        return node_id != self._node_id and node_id in self._slow_nodes

    def _reachable(self, node_id: str) -> bool:
        return node_id == self._node_id or self._links.reachable(node_id)

    async def consult(self, request: Locate, search: Search) -> Located | None:
        """
        Ask further homes whether they know of somebody who has the chunk, before it
        is read from the store.

        The first home may be new, and others may see other members. They are given
        little time: a read of the store waits.

        Returns:
            Whom to ask, or None when nobody knows.
        """
        search.widen()
        while (home := search.next()) is not None:
            if self._scores.suspect(home.node_id, self._clock.seconds()):
                continue
            located = await self._search_at(home, request, search, CONSULT_SECONDS)
            if located is not None and located.holders:
                return located
        return None

    async def _search_at(
        self, home: PeerInfo, request: Locate, search: Search, seconds: float | None
    ) -> Located | None:
        """
        Ask one home, unless it sends the asker on.
        """
        known = (*search.failed, *request.rejected, *self._sentry.lost)
        rejected = dict.fromkeys(known)
        request = attrs.evolve(request, rejected=tuple(rejected)[:MAX_HOLDERS])
        if home.node_id == self._node_id:
            located = self._home.locate(self._node_id, request)
        else:
            look = self._clock.callLater(QUIET, self._sentry.ask, search.others())
            try:
                answer = await self._ask(home, request, seconds)
            finally:
                if look.active():
                    look.cancel()
            if answer is None:
                search.missed(home, late=self._links.starved(home.node_id))
                return None
            located = search.take(home, answer)
        if located.verdict is Verdict.NOT_HOME:
            peers = self._membership.current().peers
            search.sent_on(home, [each.resolve(peers) for each in located.holders])
            return None
        search.answered = None if home.node_id == self._node_id else home
        return located

    async def _ask(
        self, peer: PeerInfo, request: Locate, seconds: float | None = None
    ) -> Located | Inlined | None:
        if not self._links.reachable(peer.node_id):
            return None
        self.messages += 1
        asking = self._links.ask(peer, request)
        if seconds is not None and self._links.held_back():
            seconds *= BEHIND_BYTES  # The answer may be here, and wait to be read.
        try:
            if seconds is None:
                self._keep_vigil(peer, asking)
            else:
                asking.addTimeout(seconds, self._clock)
            located = await asking
        except (PeerError, DeferredTimeoutError):
            least = SLOW_SECONDS if self._is_slow(peer.node_id) else 0.0
            if seconds and self._links.silence(peer.node_id) >= max(seconds, least):
                self._links.doubt(peer.node_id)
            self._scores.failed(peer.node_id, self._clock.seconds())
            return None
        assert isinstance(located, Located | Inlined)
        return located

    def _keep_vigil(self, peer: PeerInfo, asking: Deferred[Any]) -> None:
        """
        Wait for the only home that is left as long as it gives signs of life.
        """
        slow = self._is_slow(peer.node_id)
        within = sign_within(self._downlink.delay(), slow=slow)
        alarmed = self._sentry.alarmed
        vigil = Vigil(
            self._links,
            self._clock,
            peer,
            asking,
            after=QUIET if alarmed else OTHER_HOME_AFTER,
            within=within,
        )
        asking.addBoth(vigil.end)

"""
Probes members and tells them of each other, over the connections between nodes.
"""

import random
from collections.abc import Callable, Coroutine, Sequence

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import PeerError
from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.peer import Membership, PeerInfo, is_seed, seed_peer
from eliop2p.p2p.gossip import Beliefs
from eliop2p.wire.cluster_events import (
    MAX_UPDATES,
    MemberUpdate,
    Probe,
    Probed,
    Rumour,
    Standing,
)

PERIOD = 1.0
"""
Seconds from one probe of a member to the next.
"""

PATIENCE = 0.5
"""
Seconds in which a member must answer, and then again as many for those who are asked to
try.
"""

LATE = 4 * PATIENCE
"""
Seconds for a probe that has failed above which it was this node that stood still, and
nothing is known of the other; and seconds in which an exchange must be answered.
"""

PUSH_SECONDS = 0.05
"""
Time for which news is gathered before neighbours are told.
"""

SYNC_SECONDS = 10.0
"""
Time from one exchange of everything with some other member to the next; a node that has
just started, or was taken for dead, waits less, twice as long each time.
"""

_PIGGYBACK = 16
_log = Logger()


class Gossip(Service):
    """
    Keeps a node's beliefs current. A member that does not answer, neither directly nor
    through others, and of which there is no sign meanwhile, is suspected; all are told,
    and unless it contradicts it is dead.

    Args:
        beliefs: What the node believes.
        links: The way to the members.
        clock: The time.
        rng: Spreads what is done over time.
        seeds: Addresses of members to begin with.
        changed: Told of the live members after each change.

    Attributes:
        beliefs: What the node believes.
        probes: Members probed.
        failed: Probes that nobody answered.
    """

    def __init__(
        self,
        beliefs: Beliefs,
        links: IPeerLinks,
        *,
        clock: IReactorTime,
        rng: random.Random,
        changed: Callable[[dict[str, PeerInfo]], None],
        seeds: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.beliefs = beliefs
        self.probes = 0
        self.failed = 0
        self._links = links
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._seeds = [seed_peer(host, port) for host, port in seeds]
        self._told = beliefs.live
        self._next: IDelayedCall | None = None
        self._push: IDelayedCall | None = None
        self._sync_at = 0.0
        self._sync_pause = PERIOD
        self._probing: dict[str, Deferred[None]] = {}

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        self._synchronise_soon()
        self._next = self._clock.callLater(0, self._beat)

    def stopService(self) -> None:
        """
        Tell the neighbours that the node goes.
        """
        super().stopService()
        for timer in (self._next, self._push):
            if timer is not None and timer.active():
                timer.cancel()
        for probing in list(self._probing.values()):
            probing.cancel()
        left = self.beliefs.leave(self._clock.seconds())
        for peer in self.beliefs.neighbours():
            self._links.tell(peer, Rumour((left,)))

    def introduce(self, nodes: Sequence[PeerInfo]) -> None:
        """
        Take members that a control plane, or a file, knows of.
        """
        self.beliefs.introduce(nodes, self._clock.seconds())
        self._settle()

    # --- what peers ask

    def heard(self, updates: Sequence[MemberUpdate]) -> None:
        """
        Take news.
        """
        incarnation = self.beliefs.own.incarnation
        self.beliefs.hear(updates, self._clock.seconds())
        if self.beliefs.own.incarnation != incarnation:
            # It stood still, or was cut off: what it took others for may be as wrong.
            self._synchronise_soon()
        self._settle()

    async def probed(self, node_id: str, request: Probe) -> Probed:
        """
        Answer a member: that this node is alive, or whether another one is.
        """
        self.heard(request.updates)
        reached = True
        if not request.whole and request.target != self.beliefs.me:
            target = self.beliefs.live.get(request.target)
            reached = target is not None and await self._ask(target, target.node_id)
        news = self.beliefs.news(_PIGGYBACK)
        asker = self.beliefs.about(node_id)
        if asker is not None and request.whole:
            _send_all(self._links, asker.node, self.beliefs.everything())
        if asker is not None and asker.standing is not Standing.ALIVE:
            # Who is taken for dead is told by nobody else, and can contradict.
            news = (*news, asker)
        return Probed(request.request_id, reached, news)

    # --- probing

    def _beat(self) -> None:
        """
        Probe everybody whom this node watches.
        """
        spread = self._rng.uniform(0.95, 1.05)
        self._next = self._clock.callLater(PERIOD * spread, self._beat)
        now = self._clock.seconds()
        self.beliefs.expire(now)
        self._settle()
        for ward in self.beliefs.wards():
            if ward.node_id not in self._probing:
                self._start(ward.node_id, self._probe(ward))
        if now >= self._sync_at:
            for peer in self._partners():
                self._start(peer.node_id, self._synchronise(peer))
            self._sync_at = now + self._sync_pause * self._rng.uniform(0.8, 1.2)
            self._sync_pause = min(2 * self._sync_pause, SYNC_SECONDS)

    def _synchronise_soon(self) -> None:
        self._sync_at, self._sync_pause = self._clock.seconds(), PERIOD

    def _start(
        self, node_id: str, doing: Coroutine[Deferred[object], object, None]
    ) -> None:
        running = self._probing[node_id] = Deferred.fromCoroutine(doing)
        running.addErrback(_ended)
        running.addCallback(lambda _: self._probing.pop(node_id, None))

    async def _probe(self, ward: PeerInfo) -> None:
        self.probes += 1
        begun = self._clock.seconds()
        if await self._ask(ward, ward.node_id):
            return
        helpers = self.beliefs.helpers(ward.node_id)
        if helpers and await self._ask_any(helpers, ward.node_id):
            return
        took = self._clock.seconds() - begun
        if took > LATE or self._links.silence(ward.node_id) < took:
            return
        self.failed += 1
        _log.debug("{node_id} does not answer", node_id=ward.node_id)
        self.beliefs.suspect(ward.node_id, self._clock.seconds())
        self._settle()

    async def _ask_any(self, helpers: Sequence[PeerInfo], target: str) -> bool:
        """
        Ask others whether they reach a member; the first that does decides.
        """
        found: Deferred[bool] = Deferred()

        def answered(reached: bool) -> None:
            if reached and not found.called:
                found.callback(True)

        asked = [
            Deferred.fromCoroutine(self._ask(helper, target, 2 * PATIENCE))
            for helper in helpers
        ]
        for each in asked:
            each.addCallback(answered)
        done = DeferredList(asked, consumeErrors=True)
        done.addCallback(lambda _: None if found.called else found.callback(False))

        def stop(result: bool) -> bool:
            for each in asked:
                each.cancel()
            return result

        return await found.addBoth(stop)

    async def _ask(
        self, peer: PeerInfo, target: str, patience: float = PATIENCE
    ) -> bool:
        request = Probe(1, target, False, self.beliefs.news(_PIGGYBACK))
        asking: Deferred[Probed] = self._links.ask(peer, request)
        asking.addTimeout(patience, self._clock)
        try:
            answer = await asking
        except (PeerError, DeferredTimeoutError):
            return False
        self.heard(answer.updates)
        return answer.reached

    # --- spreading news

    def _settle(self) -> None:
        """
        Act upon what has become of the beliefs.
        """
        if self.beliefs.live is not self._told:
            known, self._told = self._told, self.beliefs.live
            for node_id in self._told:
                if node_id not in known:
                    self._links.welcome(node_id)
            self._changed(self._told)
        waiting = self._push is not None and self._push.active()
        if self.running and not waiting and self.beliefs.has_fresh_news:
            self._push = self._clock.callLater(PUSH_SECONDS, self._push_news)

    def _push_news(self) -> None:
        neighbours = self.beliefs.neighbours()
        while neighbours and self.beliefs.has_fresh_news:
            rumour = Rumour(self.beliefs.news(MAX_UPDATES))
            for peer in neighbours:
                self._links.tell(peer, rumour)

    def _partners(self) -> list[PeerInfo]:
        """
        Choose with whom to exchange everything: a neighbour; now and then somebody who
        is believed dead, for a cut may have healed; a seed that is no member, for there
        may be members around it who have not heard of those here, certainly while this
        node has just started.
        """
        new = self._sync_pause < SYNC_SECONDS
        neighbours = self.beliefs.neighbours()
        chosen = [self._rng.choice(neighbours)] if neighbours else []
        places = {(peer.host, peer.port) for peer in self.beliefs.live.values()}
        seeds = [seed for seed in self._seeds if (seed.host, seed.port) not in places]
        for strangers in (seeds, self.beliefs.gone()):
            share = max(len(strangers) / (len(strangers) + len(neighbours) + 1), 0.1)
            certain = not neighbours or (new and strangers is seeds)
            if strangers and (certain or self._rng.random() < share):
                chosen.append(self._rng.choice(strangers))
        return [peer for peer in chosen if peer.node_id not in self._probing]

    async def _synchronise(self, peer: PeerInfo) -> None:
        if not is_seed(peer):
            _send_all(self._links, peer, self.beliefs.everything())
        mine = [
            u for u in self.beliefs.everything() if u.node.node_id == self.beliefs.me
        ]
        request = Probe(1, peer.node_id, True, tuple(mine))
        asking: Deferred[Probed] = self._links.ask(peer, request)
        asking.addTimeout(LATE, self._clock)
        try:
            answer = await asking
        except (PeerError, DeferredTimeoutError):
            if not self.beliefs.wards():
                self._sync_at = self._clock.seconds() + PERIOD
            return
        self.heard(answer.updates)


def _send_all(
    links: IPeerLinks, peer: PeerInfo, updates: Sequence[MemberUpdate]
) -> None:
    for start in range(0, len(updates), MAX_UPDATES):
        links.tell(peer, Rumour(tuple(updates[start : start + MAX_UPDATES])))


def _ended(failure: Failure) -> None:
    """
    Note what went wrong with a probe; one that is cancelled is not.
    """
    if not failure.check(CancelledError):
        _log.failure("probing a member went wrong", failure=failure)


@implementer(IMembership)
class GossipedMembers:
    """
    The table of members, with a control plane as one source and gossip as the judge: a
    member is in it from when either names it until gossip has found it gone. What the
    control plane loses sight of stays while it answers its neighbours.

    Args:
        table: The table.
    """

    def __init__(self, table: IMembership) -> None:
        self.gossip: Gossip | None = None
        self._table = table
        self._version = 0

    def current(self) -> Membership:
        """
        Give the members at this moment.
        """
        return self._table.current()

    def watch(self, changed: Callable[[Membership], None]) -> None:
        """
        Be told of each change, after it.
        """
        self._table.watch(changed)

    def update(self, membership: Membership) -> None:
        """
        Take what the control plane says.
        """
        self._version = membership.version
        if self.gossip is not None:
            self.gossip.introduce(tuple(membership.peers.values()))
            self.changed(self.gossip.beliefs.live)

    def changed(self, live: dict[str, PeerInfo]) -> None:
        """
        Take what gossip says.
        """
        self._table.update(Membership(self._version, live))

"""
Who is alive, as members tell each other: beliefs, and who watches whom.

The rules are SWIM's (Das, Gupta, Motivala: "SWIM: Scalable Weakly-consistent
Infection-style Process Group Membership Protocol", 2002), with incarnation numbers and
suspicion. Who probes whom is not drawn by lot: connections cost more here than
datagrams. The members stand on a few rings, in an order that their names give; each
watches its successor on every ring, and news travels along the same edges, which form
an expander (Suresh and others: "Stable and Consistent Membership at Scale with Rapid",
2018).
"""

import bisect
import functools
import hashlib
import math
from collections.abc import Iterable

import attrs

from eliop2p.model.peer import PeerInfo
from eliop2p.wire.cluster_events import MemberUpdate, Standing

RINGS = 5
"""
On how many rings the members stand: so many watch each, and so many are told at once.
"""

SUSPICION_SECONDS = 1.5
"""
Time in which a suspected member may contradict.
"""

TOMBSTONE_SECONDS = 3600.0
"""
Time for which a member that is gone is remembered, so that old news of it is known to
be old.
"""

MAX_TOMBSTONES = 20_000
MAX_MEMBERS = 20_000

_GONE = (Standing.DEAD, Standing.LEFT)
_RANK = {Standing.ALIVE: 0, Standing.SUSPECT: 1, Standing.DEAD: 2, Standing.LEFT: 3}


@attrs.frozen
class Belief:
    """
    What is believed of a member.

    Attributes:
        update: The belief, as others are told of it.
        since: When it came to be held, in seconds.
    """

    update: MemberUpdate
    since: float

    @property
    def is_live(self) -> bool:
        """
        Whether the member counts as one.
        """
        return self.update.standing not in _GONE


class Rings:
    """
    The order of the live members on each ring.
    """

    def __init__(self) -> None:
        self._rings: list[list[tuple[bytes, str]]] = [[] for _ in range(RINGS)]

    def add(self, node_id: str) -> None:
        """
        Let a member in.
        """
        for number, ring in enumerate(self._rings):
            place = _place(number, node_id)
            index = bisect.bisect_left(ring, place)
            if ring[index : index + 1] != [place]:
                ring.insert(index, place)

    def remove(self, node_id: str) -> None:
        """
        Leave a member out.
        """
        for number, ring in enumerate(self._rings):
            place = _place(number, node_id)
            index = bisect.bisect_left(ring, place)
            if ring[index : index + 1] == [place]:
                del ring[index]

    def successors(self, node_id: str) -> tuple[str, ...]:
        """
        Name whom a member watches.
        """
        return self._beside(node_id, 1)

    def predecessors(self, node_id: str) -> tuple[str, ...]:
        """
        Name who watches a member.
        """
        return self._beside(node_id, -1)

    def _beside(self, node_id: str, step: int) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for number, ring in enumerate(self._rings):
            index = bisect.bisect_left(ring, _place(number, node_id))
            if len(ring) > 1:
                found[ring[(index + step) % len(ring)][1]] = None
        found.pop(node_id, None)
        return tuple(found)


@functools.lru_cache(RINGS * MAX_MEMBERS)
def _place(ring: int, node_id: str) -> tuple[bytes, str]:
    salt = bytes((ring,))
    return hashlib.blake2b(node_id.encode(), digest_size=8, salt=salt).digest(), node_id


class Beliefs:
    """
    What one node believes of all members. It has no clock: each call tells the time.

    Args:
        me: The node itself; it is always among the live.
        incarnation: A number above that of every earlier life of the node.

    Attributes:
        me: The node's name.
        suspicions: How often a member came to be suspected here.
        refuted: How often this node had to contradict.
    """

    def __init__(self, me: PeerInfo, incarnation: int) -> None:
        self._present: dict[str, PeerInfo] = {}
        self._live: dict[str, PeerInfo] | None = None
        self.suspicions = 0
        self.refuted = 0
        self.me = me.node_id
        self._beliefs: dict[str, Belief] = {}
        self._rings = Rings()
        self._news: dict[str, int] = {}
        self._suspects: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self._take(MemberUpdate(Standing.ALIVE, incarnation, me), 0.0)

    # --- learning

    def hear(self, updates: Iterable[MemberUpdate], now: float) -> None:
        """
        Take what somebody tells.
        """
        for update in updates:
            if update.node.node_id == self.me:
                self._contradict(update, now)
            elif self._is_news(update):
                self._take(update, now)

    def introduce(self, nodes: Iterable[PeerInfo], now: float) -> None:
        """
        Take members that a control plane, or a file, knows of. What is known already,
        of the living and of the dead, stands.
        """
        for node in nodes:
            if node.node_id not in self._beliefs:
                self._take(MemberUpdate(Standing.ALIVE, 0, node), now)

    def suspect(self, node_id: str, now: float) -> None:
        """
        A member did not answer, neither this node nor others.
        """
        belief = self._beliefs.get(node_id)
        if belief is not None and belief.update.standing is Standing.ALIVE:
            update = attrs.evolve(belief.update, standing=Standing.SUSPECT)
            self._take(update, now)

    def expire(self, now: float) -> None:
        """
        Believe those dead that did not contradict in time, and forget the long gone.
        """
        for node_id in list(self._suspects):
            belief = self._beliefs[node_id]
            if now - belief.since >= SUSPICION_SECONDS:
                update = attrs.evolve(belief.update, standing=Standing.DEAD)
                self._take(update, now)
        while self._gone:
            oldest = next(iter(self._gone))
            is_old = now - self._beliefs[oldest].since > TOMBSTONE_SECONDS
            if not is_old and len(self._gone) <= MAX_TOMBSTONES:
                break
            del self._gone[oldest]
            del self._beliefs[oldest]
            self._news.pop(oldest, None)

    def leave(self, now: float) -> MemberUpdate:
        """
        The node goes.

        Returns:
            What the others are to be told.
        """
        update = self._beliefs[self.me].update
        left = attrs.evolve(update, standing=Standing.LEFT)
        self._beliefs[self.me] = Belief(left, now)
        return left

    # --- asking

    @property
    def live(self) -> dict[str, PeerInfo]:
        """
        The live members by node id; another mapping after each change.
        """
        if self._live is None:
            self._live = dict(self._present)
        return self._live

    def standing(self, node_id: str) -> Standing | None:
        """
        Tell what is believed of a member, None when it is not known.
        """
        belief = self._beliefs.get(node_id)
        return None if belief is None else belief.update.standing

    def about(self, node_id: str) -> MemberUpdate | None:
        """
        Give what is believed of a member.
        """
        belief = self._beliefs.get(node_id)
        return None if belief is None else belief.update

    def wards(self) -> tuple[PeerInfo, ...]:
        """
        Give the members that this node watches.
        """
        names = self._rings.successors(self.me)
        return tuple(self._present[name] for name in names)

    def neighbours(self) -> tuple[PeerInfo, ...]:
        """
        Give the members that this node tells its news.
        """
        both = (*self._rings.successors(self.me), *self._rings.predecessors(self.me))
        return tuple(self._present[name] for name in dict.fromkeys(both))

    def helpers(self, node_id: str) -> tuple[PeerInfo, ...]:
        """
        Give the members that watch a member as well.
        """
        names = self._rings.predecessors(node_id)
        return tuple(self._present[name] for name in names if name != self.me)

    def gone(self) -> tuple[PeerInfo, ...]:
        """
        Give the members that are believed dead; they may only have been cut off.
        """
        beliefs = [self._beliefs[name].update for name in self._gone]
        return tuple(
            update.node for update in beliefs if update.standing is Standing.DEAD
        )

    def news(self, limit: int) -> tuple[MemberUpdate, ...]:
        """
        Give what others should hear, what was told least first; each is given so often
        that all hear of it even when messages are late.
        """
        chosen = sorted(self._news, key=self._news.__getitem__)[:limit]
        most = 2 + math.ceil(math.log10(len(self._present) + 1))
        for node_id in chosen:
            self._news[node_id] += 1
            if self._news[node_id] >= most:
                del self._news[node_id]
        return tuple(self._beliefs[node_id].update for node_id in chosen)

    @property
    def has_fresh_news(self) -> bool:
        """
        Whether there is something that nobody has been told.
        """
        return 0 in self._news.values()

    @property
    def own(self) -> MemberUpdate:
        """
        What this node says of itself.
        """
        return self._beliefs[self.me].update

    def everything(self) -> tuple[MemberUpdate, ...]:
        """
        Give every belief. The dead are only suspected, as far as others are told: they
        may have been cut off from this node alone, and shall be able to contradict.
        """
        return tuple(
            attrs.evolve(belief.update, standing=Standing.SUSPECT)
            if belief.update.standing is Standing.DEAD
            else belief.update
            for belief in self._beliefs.values()
        )

    # --- inside

    def _contradict(self, update: MemberUpdate, now: float) -> None:
        """
        Answer what is said of this node itself.
        """
        mine = self._beliefs[self.me].update
        if mine.standing is Standing.LEFT or update.incarnation < mine.incarnation:
            return
        same = update.standing is Standing.ALIVE and update.node == mine.node
        if same and update.incarnation == mine.incarnation:
            return
        self.refuted += 1
        risen = attrs.evolve(mine, incarnation=update.incarnation + 1)
        self._take(risen, now)

    def _is_news(self, update: MemberUpdate) -> bool:
        belief = self._beliefs.get(update.node.node_id)
        if belief is None:
            # A suspicion of somebody who was never heard of is no reason to include it.
            is_known = update.standing is not Standing.SUSPECT
            return is_known and len(self._beliefs) < MAX_MEMBERS
        known = belief.update
        if update.incarnation != known.incarnation:
            return update.incarnation > known.incarnation
        return _RANK[update.standing] > _RANK[known.standing]

    def _take(self, update: MemberUpdate, now: float) -> None:
        node = update.node
        node_id = node.node_id
        self._beliefs[node_id] = Belief(update, now)
        if update.incarnation or update.standing is not Standing.ALIVE:
            # Others hear from the same control plane whom it names.
            self._news[node_id] = 0
        self._suspects.pop(node_id, None)
        self._gone.pop(node_id, None)
        if update.standing is Standing.SUSPECT:
            self._suspects[node_id] = None
            self.suspicions += 1
        if update.standing in _GONE:
            self._gone[node_id] = None
            self._rings.remove(node_id)
            if self._present.pop(node_id, None) is not None:
                self._live = None
        else:
            self._rings.add(node_id)
            if self._present.get(node_id) != node:
                self._present[node_id] = node
                self._live = None

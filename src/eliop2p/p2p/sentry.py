"""
Finds out early which peers are silent, when several others are.
"""

import math
from collections.abc import Callable, Container, Iterable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.pace import QUIET, sign_within

SEVERAL = 3
LATELY = 5.0
"""
How many peers must have fallen silent, within how many seconds, for others to be taken
for silent more readily.
"""

UNHEARD = 1.0
"""
Seconds without a sign of a peer after which it may then be silent, too.
"""


@attrs.frozen
class Spared:
    """
    The peers that are asked for chunks only for want of others.

    Attributes:
        slow: Those that say that they are slow.
        silent: Tells who may be out of reach.
    """

    slow: Container[str]
    silent: Callable[[str], bool]

    def __contains__(self, node_id: object) -> bool:
        assert isinstance(node_id, str)
        return node_id in self.slow or self.silent(node_id)


class Sentry:
    """
    Knows whether a part of the peers is out of reach.

    Where several peers are silent, others mostly are: those beyond the same cut. Who
    finds that out of one after the other, while a chunk waits for each, takes long. So
    nodes tell each other: whom an asker could not reach is in its questions. What one
    peer says of another is a reason to ask that for a sign of life; what two say is
    believed, but only by a node that has lost several peers by its own account, and
    that has not heard of this one; and until it does.

    Args:
        node_id: This node.
        membership: Who is alive.
        clock: The time.
        delay: Tells how many seconds what is on its way to this node takes, which an
            answer may come behind.
        slow: Nodes that are heard late because their links are slow.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        *,
        clock: IReactorTime,
        delay: Callable[[], float],
        slow: Container[str],
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._clock = clock
        self._delay = delay
        self._slow = slow
        self._links: IPeerLinks | None = None
        self._asked: dict[str, IDelayedCall] = {}
        # Whom this node cannot reach and since when, in that order.
        self._lost: dict[str, float] = {}
        self._alarm_ends = -math.inf
        # Of whom somebody has said that it cannot be reached: who, and when.
        self._reported: dict[str, tuple[str, float]] = {}

    def connect(self, links: IPeerLinks) -> None:
        """
        Learn of the links, which tell who falls silent.
        """
        self._links = links
        links.watch(self._changed)

    @property
    def alarmed(self) -> bool:
        """
        Whether several peers fell silent a moment ago.
        """
        return self._clock.seconds() <= self._alarm_ends

    @property
    def lost(self) -> tuple[str, ...]:
        """
        Whom others should be told of, the last ones first: nobody, where only a few
        peers are silent.
        """
        return tuple(reversed(self._lost)) if self.alarmed else ()

    def silent(self, node_id: str) -> bool:
        """
        Tell whether a peer may have fallen silent with several others.
        """
        return self.alarmed and node_id != self._node_id and self._unheard(node_id)

    def ask(self, peers: Iterable[PeerInfo], within: float | None = None) -> None:
        """
        Find out whether peers are there that have said nothing for a while; where
        several are silent, since before these were noticed.

        Args:
            peers: Whom to ask.
            within: Seconds in which they must have given a sign of life, where that is
                known; or else all that is on its way may come before it.
        """
        links = self._links
        if links is None:
            return
        if within is None:
            within = sign_within(self._delay(), slow=False)
        least = UNHEARD if self.alarmed else QUIET
        for peer in peers:
            node_id = peer.node_id
            silence, known = links.silence(node_id), node_id in self._asked
            if known or silence < least or node_id in self._slow:
                continue
            if links.reachable(node_id) and (peer.host or silence < math.inf):
                links.probe(peer)
                self._asked[node_id] = self._clock.callLater(
                    within, self._judge, node_id, within
                )

    def told(self, by: str, node_ids: Iterable[str]) -> None:
        """
        Take that a peer could not reach others, or had no use of them.
        """
        peers = self._membership.current().peers
        members = [each for each in node_ids if each in peers and each != self._node_id]
        if self.alarmed:
            for node_id in members:
                self._believe(by, node_id)
        else:
            self._reported.clear()
            self.ask(peers[each] for each in members if self._is_connected(each))

    def stop(self) -> None:
        """
        Expect nothing more.
        """
        asked, self._asked = self._asked, {}
        for call in asked.values():
            call.cancel()

    def _believe(self, by: str, node_id: str) -> None:
        """
        Doubt a peer when a second one reports it.
        """
        assert self._links is not None
        if not self._unheard(node_id) or not self._links.reachable(node_id):
            self._reported.pop(node_id, None)
            return
        now = self._clock.seconds()
        first, at = self._reported.get(node_id, (by, now))
        if first != by and now - at < LATELY:
            del self._reported[node_id]
            self._links.doubt(node_id)
        else:
            self._reported[node_id] = by, now

    def _is_connected(self, node_id: str) -> bool:
        return self._links is not None and self._links.silence(node_id) < math.inf

    def _unheard(self, node_id: str) -> bool:
        return self._links is not None and self._links.silence(node_id) >= UNHEARD

    def _judge(self, node_id: str, within: float) -> None:
        del self._asked[node_id]
        links = self._links
        assert links is not None
        if not links.held_back() and links.silence(node_id) > within:
            links.doubt(node_id)

    def _changed(self, node_id: str) -> None:
        assert self._links is not None
        self._lost.pop(node_id, None)
        known = node_id in self._membership.current().peers
        if known and not self._links.reachable(node_id):
            self._lost[node_id] = self._clock.seconds()
        since = list(self._lost.values())[-SEVERAL:]
        several = len(since) == SEVERAL
        self._alarm_ends = since[0] + LATELY if several else -math.inf

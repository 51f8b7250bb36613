"""
Whether this node's link is much slower than those of its peers, and which of these say
so of themselves.

A crowd is as fast as its slowest relay. A slow node cannot see that it is one: what it
has asked for comes late whether its own link or its sources are to blame. So nodes that
receive ask some others how fast chunks come to them, and compare.
"""

import math
import random
from collections.abc import Callable, Mapping
from statistics import median

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.wire.cluster_events import Rate

_log = Logger()

SLOWER = 3.0
"""
A node is slow when chunks come to it this many times more slowly than to half of those
that it knows of.
"""

LEAST_KNOWN = 3
MOST_KNOWN = 32
"""
Of how many others a node must know how fast they are; of how many it remembers it.
"""

BUSY = 4
"""
How many chunks must be on their way when a node finds itself slow: fewer may all have
slow sources.
"""

FRESH = 5.0
SLOW_FOR = 60.0
SAY_AGAIN = 25.0
"""
Seconds for which what was heard counts: rates, and that a node is slow; and after how
many a slow node says so again.
"""

SPAN = 0.05
"""
Seconds over which the rate of what comes is measured; the better of the last two
counts.
"""

PAUSES = (0.08, 0.05, 0.1, 0.1, 0.2, 0.4, 0.8, 1.6)
"""
Seconds from the first chunk that is asked for to the first look, and from each look to
the next; the last one holds for all that follow.
"""

DOUBTFUL = 1.5
"""
Others are asked anew while they are this many times faster, by what is known of them;
and who is slow stays so.
"""

MAX_SLOW = 1024
"""
How many nodes are remembered as slow ones; the first to say so goes first.
"""


class Meter:
    """
    Measures how fast bytes come, all together, while any are on their way.

    Args:
        clock: The time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last: tuple[float, ...] = ()
        self.restart()

    @property
    def rate(self) -> float:
        """
        Bytes per second of late; 0 while that is unknown.
        """
        self._turn()
        return max(self._last, default=0.0)

    def restart(self) -> None:
        """
        Something is on its way again, after nothing was.
        """
        self._since, self._received = self._clock.seconds(), 0

    def came(self, size: int) -> None:
        """
        Bytes have come.
        """
        self._received += size
        self._turn()

    def _turn(self) -> None:
        """
        Begin the next span, if this one is over.
        """
        seconds = self._clock.seconds() - self._since
        if seconds >= SPAN * 0.999:
            self._last = (*self._last[-1:], self._received / seconds)
            self.restart()


def is_slower(rate: float, others: tuple[float, ...], times: float = SLOWER) -> bool:
    """
    Tell whether a rate is so many times below that of half of the others; not while too
    few of them are known.
    """
    known = len(others) >= LEAST_KNOWN
    return known and 0 < rate * times < median(others)


class SlowNodes:
    """
    The nodes that say that they are slow.

    Args:
        clock: The time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, node_id: object) -> bool:
        until = self._until.get(str(node_id), -math.inf)
        return self._clock.seconds() < until

    def __len__(self) -> int:
        return len(self._until)

    def note(self, node_id: str, *, slow: bool) -> None:
        """
        Take what a node says of itself.
        """
        self._until.pop(node_id, None)
        if slow:
            self._until[node_id] = self._clock.seconds() + SLOW_FOR
            if len(self._until) > MAX_SLOW:
                del self._until[next(iter(self._until))]


class Speed:
    """
    How fast this node receives, beside others.

    Args:
        node_id: This node.
        membership: Whom it may ask.
        clock: The time.
        rng: Says who is asked.

    Attributes:
        meter: Measures what comes.
        slow_nodes: Those that are slow, this node among them while it is.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        *,
        clock: IReactorTime,
        rng: random.Random,
    ) -> None:
        self.meter = Meter(clock)
        self.slow_nodes = SlowNodes(clock)
        self._node_id = node_id
        self._membership = membership
        self._clock = clock
        self._rng = rng
        self._links: IPeerLinks | None = None
        self._known: dict[str, tuple[float, float]] = {}
        self._watchers: list[Callable[[], None]] = []
        self._on_their_way: Callable[[], int] = lambda: 0
        self._call: IDelayedCall | None = None
        self._looks = 0
        self._suspected = False
        self._said_at = 0.0

    @property
    def is_slow(self) -> bool:
        """
        Whether this node is slow, as far as it knows.
        """
        return self._node_id in self.slow_nodes

    def connect(self, links: IPeerLinks) -> None:
        """
        Learn of the links.
        """
        self._links = links

    def watch(self, changed: Callable[[], None]) -> None:
        """
        Be told when the node has become slow, or is no longer.
        """
        self._watchers.append(changed)

    def began(self, on_their_way: Callable[[], int]) -> None:
        """
        Chunks are on their way, after none were.

        Args:
            on_their_way: Counts them.
        """
        self.meter.restart()
        self._on_their_way = on_their_way
        if self._call is None:
            self._looks = 0
            self._call = self._clock.callLater(PAUSES[0], self._look)

    def heard(self, node_id: str, message: Rate) -> None:
        """
        Take what a peer says of itself.
        """
        self.slow_nodes.note(node_id, slow=message.slow)
        self._known.pop(node_id, None)
        if message.rate:
            self._known[node_id] = float(message.rate), self._clock.seconds()
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        if message.wanted:
            peers = self._membership.current().peers
            self._tell(peers.get(node_id) or PeerInfo(node_id, "", 0))
        else:
            self._suspected = self._is_slower()

    def stop(self) -> None:
        """
        Look no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        if not self._on_their_way():
            return
        self._looks += 1
        pause = PAUSES[min(self._looks, len(PAUSES) - 1)]
        self._call = self._clock.callLater(pause, self._look)
        others = self._others()
        doubtful = not self.is_slow and is_slower(self.meter.rate, others, DOUBTFUL)
        if doubtful or len(others) < LEAST_KNOWN:
            self._ask()
        self._judge()

    def _others(self) -> tuple[float, ...]:
        since = self._clock.seconds() - FRESH
        return tuple(rate for rate, at in self._known.values() if at >= since)

    def _is_slower(self) -> bool:
        busy = self._on_their_way() >= BUSY
        times = DOUBTFUL if self.is_slow else SLOWER
        slower = is_slower(self.meter.rate, self._others(), times)
        return slower and (busy or self.is_slow)

    def _judge(self) -> None:
        """
        Decide; once is never: a crowd's start is uneven. A verdict stands for a while
        after others have ceased to receive.
        """
        if len(self._others()) < LEAST_KNOWN:
            return
        slower = self._is_slower()
        before, slow = self.is_slow, slower and (self.is_slow or self._suspected)
        self._suspected = slower
        self.slow_nodes.note(self._node_id, slow=slow)
        now = self._clock.seconds()
        if slow != before or (slow and now >= self._said_at + SAY_AGAIN):
            self._said_at = now
            for peer in self._connected().values():
                self._tell(peer)
        if slow != before:
            how = "much more slowly than" if slow else "about as fast as"
            _log.info("Chunks come to this node {how} to its peers", how=how)
            for changed in self._watchers:
                changed()

    def _ask(self) -> None:
        peers = self._connected()
        for node_id in self._rng.sample(sorted(peers), min(LEAST_KNOWN, len(peers))):
            self._tell(peers[node_id], wanted=True)

    def _connected(self) -> Mapping[str, PeerInfo]:
        links, peers = self._links, self._membership.current().peers
        if links is None:
            return {}
        return {
            node_id: peer
            for node_id, peer in peers.items()
            if node_id != self._node_id and links.silence(node_id) < math.inf
        }

    def _tell(self, peer: PeerInfo, *, wanted: bool = False) -> None:
        if self._links is not None:
            busy = self._on_their_way() >= BUSY
            rate = round(self.meter.rate) if busy else 0
            self._links.tell(peer, Rate(rate, wanted, self.is_slow))

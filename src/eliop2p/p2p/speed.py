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
SILENT = 2
"""
How many chunks must be on their way when a node finds itself slow: fewer may all have
slow sources. And for how many of them whoever is to bring them must owe a sign of life
for what comes to say nothing of this node's own link.
"""

FRESH = 5.0
FRESH_PART = 0.8
UNEVEN = 0.25
RECENT = 0.15
"""
For how many seconds others are not asked anew after they have said how fast they are;
what they said in the first moments, when rates differ most, counts for a part of the
time for which chunks have been coming. And for how many seconds a rate may be compared:
a moment later all may be faster, or slower.
"""

CONFIRM = 0.05
LATE = 0.01
"""
Seconds after which a node that seems to be slow looks again; and how much later than it
was to be a look shows that this node waits for a processor, not for its link.
"""

SLOW_FOR = 60.0
SAY_AGAIN = 25.0
"""
Seconds for which it counts that a node is slow, and after which it says so again.
"""

SPAN = 0.025
LONGEST_SPAN = 0.1
PIECES = 8
"""
Seconds over which the rate of what comes is measured, at least and at most; and how
many pieces must have come before the longest time is over. The better of the last two
spans counts.
"""

PAUSES = (0.06, *[0.025] * 4, *[0.05] * 4, *[0.1] * 4, 0.2, 0.4, 0.8, 1.6)
"""
Seconds from the first chunk that is asked for to the first look, and from each look to
the next; the last one holds for all that follow.
"""

DOUBTFUL = 2.0
"""
Others are asked anew while they are this many times faster, by what is known of them;
and who is slow stays so.
"""

MAX_SLOW = 1024
MAX_TOLD = 32_768
"""
How many nodes are remembered as slow ones, of which the first to say so goes first; and
how many as those that know that this one is.
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
        self._pieces = 0

    def came(self, size: int) -> None:
        """
        Bytes have come.
        """
        self._received += size
        self._pieces += 1
        self._turn()

    def _turn(self) -> None:
        """
        Begin the next span, if this one is over.
        """
        seconds = self._clock.seconds() - self._since
        least = SPAN if self._pieces >= PIECES else LONGEST_SPAN
        if seconds >= least * 0.999:
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
        self._silent: Callable[[], int] = lambda: 0
        self._call: IDelayedCall | None = None
        self._looks = 0
        self._began_at = self._due = 0.0
        self._suspected = False
        self._said_at = 0.0
        self._told: set[str] = set()

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
        Be told when the node has become slow, or is no longer; or a peer.
        """
        self._watchers.append(changed)

    def connect_gets(self, silent: Callable[[], int]) -> None:
        """
        Learn how many of those who are to bring chunks owe a sign of life.
        """
        self._silent = silent

    def began(self, on_their_way: Callable[[], int]) -> None:
        """
        Chunks are on their way, after none were.

        Args:
            on_their_way: Counts them.
        """
        self.meter.restart()
        self._on_their_way = on_their_way
        if self._call is None:
            self._looks, self._began_at = 0, self._clock.seconds()
            self._look_after(PAUSES[0])

    def heard(self, node_id: str, message: Rate) -> None:
        """
        Take what a peer says of itself.
        """
        before = node_id in self.slow_nodes
        self.slow_nodes.note(node_id, slow=message.slow)
        if message.slow != before:
            self._tell_watchers()
        self._known.pop(node_id, None)
        if message.rate:
            self._known[node_id] = float(message.rate), self._clock.seconds()
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        if message.wanted:
            peers = self._membership.current().peers
            self._tell(peers.get(node_id) or PeerInfo(node_id, "", 0))
        elif self._can_judge():
            self._suspected = self._is_slower()
            self._hurry()

    def met(self, node_id: str) -> None:
        """
        A peer has asked for something: one that this node is new to must know, too,
        that it is slow.
        """
        if self.is_slow and node_id not in self._told:
            peers = self._membership.current().peers
            self._tell(peers.get(node_id) or PeerInfo(node_id, "", 0))

    def stop(self) -> None:
        """
        Look no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _hurry(self) -> None:
        """
        Look again soon, if the verdict may be another then.
        """
        changes = self._suspected != self.is_slow
        later = self._due > self._clock.seconds() + CONFIRM
        if changes and later and self._call is not None:
            self._call.cancel()
            self._look_after(CONFIRM)

    def _look_after(self, seconds: float) -> None:
        self._due = self._clock.seconds() + seconds
        self._call = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._call = None
        if not self._on_their_way():
            return
        now = self._clock.seconds()
        excused = now > self._due + LATE or self._silent() >= SILENT
        self._looks += 1
        self._look_after(PAUSES[min(self._looks, len(PAUSES) - 1)])
        if excused:
            self._suspected = self.is_slow
        else:
            self._judge()
        if self.is_slow and now >= self._said_at + SAY_AGAIN:
            self._say()
        since = now - self._began_at
        others = self._others(min(FRESH, max(since * FRESH_PART, since - UNEVEN)))
        rate = self.meter.rate
        doubtful = rate > 0 and is_slower(rate, others, DOUBTFUL) != self.is_slow
        if (doubtful and not excused) or len(others) < LEAST_KNOWN:
            self._ask()

    def _others(self, seconds: float = RECENT) -> tuple[float, ...]:
        since = self._clock.seconds() - seconds
        return tuple(rate for rate, at in self._known.values() if at >= since)

    def _can_judge(self) -> bool:
        return self.meter.rate > 0 and len(self._others()) >= LEAST_KNOWN

    def _is_slower(self) -> bool:
        busy = self._on_their_way() >= BUSY
        times = DOUBTFUL if self.is_slow else SLOWER
        slower = is_slower(self.meter.rate, self._others(), times)
        return slower and (busy or self.is_slow)

    def _judge(self) -> None:
        """
        Decide; once is never: a crowd's start is uneven. A verdict stands while nothing
        comes, and for a while after others have ceased to receive.
        """
        if not self._can_judge():
            return
        slower = self._is_slower()
        before = self.is_slow
        slow = slower if slower == self._suspected else before
        self._suspected = slower
        self.slow_nodes.note(self._node_id, slow=slow)
        if slow != before:
            self._say()
            how = "much more slowly than" if slow else "about as fast as"
            _log.info("Chunks come to this node {how} to its peers", how=how)
            self._tell_watchers()

    def _say(self) -> None:
        """
        Tell all whether this node is slow.
        """
        self._said_at = self._clock.seconds()
        self._told.clear()
        for peer in self._connected().values():
            self._tell(peer)

    def _tell_watchers(self) -> None:
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
            if self.is_slow and len(self._told) < MAX_TOLD:
                self._told.add(peer.node_id)
            self._links.tell(peer, Rate(rate, wanted, self.is_slow))

"""
How long a chunk may take before another source is worth trying.
"""

import math
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from eliop2p.base.errors import PeerBusy, PeerError, PeerSlow, PeerUnreachable
from eliop2p.interfaces import IChunkSink, IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.wire.events import Done

SLOWER = 4.0
"""
A source is replaced when it takes this many times longer than chunks usually do.
"""

LEAST_PATIENCE = 1.0
MOST_PATIENCE = 10.0
"""
Bounds of the patience with one source, in seconds.
"""

LEAST_PART = 1 / 32
STALLED_AFTER = 4.0
"""
A source that brings less than this part of a chunk in so many seconds or more does not
count as slow but as failed: it could make a chunk last for hours.
"""

FIRST_PATIENCE = 2.0
"""
The patience while no chunk has come from a peer yet, in seconds: where all are slow
together, as at the start on a busy machine, replacing one only adds to the work.
"""

QUIET = 0.25
"""
Seconds without a byte after which a peer that is not heard of is asked for a sign of
life, at least.
"""

ANSWER_WITHIN = 0.5
"""
Seconds in which it must have given one, at least.
"""

SLOW_SECONDS = 2.0
"""
The same for a peer that says that it is slow: what it is sending comes before. So many
seconds a chunk of its may take, too: it gives only what nobody else has, so that there
is nobody to go to instead.
"""

MOST_QUIET = 4
"""
How many times longer that is, at most, for a peer that has given signs of life when it
was asked: it waits for the chunk itself.
"""

_SMOOTHING = 0.2


def quiet(usual: float) -> float:
    """
    Tell after how many seconds of silence a peer is asked for a sign of life.

    Args:
        usual: How many seconds a chunk may take to come now: where this node's own
            link is slow, nobody is heard of for long, and pings would not help.
    """
    return max(QUIET, usual / 4)


def sign_within(delay: float, *, slow: bool) -> float:
    """
    Tell in how many seconds a peer must have given a sign of life.

    Args:
        delay: Seconds that what is on its way to this node takes, which the sign may
            come behind; infinite while that is unknown.
        slow: Whether the peer says that it is slow.
    """
    least = SLOW_SECONDS if slow else ANSWER_WITHIN
    return max(least, min(delay, MOST_PATIENCE))


class Pace:
    """
    How long chunks from peers have taken of late, in all.

    Attributes:
        seconds: The running average, 0 before the first chunk.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        """
        A chunk has come whole from one peer.
        """
        if not self.seconds:
            self.seconds = seconds
        self.seconds += _SMOOTHING * (seconds - self.seconds)

    def patience(self, disappointments: int) -> float:
        """
        Tell how long a source is waited for.

        Args:
            disappointments: How many sources of the chunk were given up for being slow;
                each doubles the patience.
        """
        if self.seconds:
            seconds = max(SLOWER * self.seconds, LEAST_PATIENCE)
        else:
            seconds = FIRST_PATIENCE
        return float(min(seconds * 2.0 ** min(disappointments, 8), MOST_PATIENCE))


class Watch:
    """
    Watches one request for a chunk, and cancels it when it is too slow.

    It is when it has brought less than half of what was missing while the patience
    lasted, unless this node itself holds its peers back. A peer that is not heard of at
    all is asked for a sign of life, and without one it is given up long before that.

    Args:
        peer: Who was asked.
        getting: The request.
        sink: What it fills.
        links: Tells whether the peer is heard of.
        clock: The time.
        patience: In seconds.
        usual: Tells how many seconds a chunk may take to come now: where this node's
            own link is the busy one, everybody is heard late.
        upstream: Tells for how many seconds the peer may have to wait for the chunk
            itself.
        silent: Called when the peer has not given a sign of life at once, with the
            seconds in which others give one.
    """

    def __init__(
        self,
        peer: PeerInfo,
        getting: Deferred[Done],
        sink: IChunkSink,
        *,
        links: IPeerLinks,
        clock: IReactorTime,
        patience: float,
        usual: Callable[[IChunkSink], float],
        upstream: Callable[[], float],
        silent: Callable[[float], None],
    ) -> None:
        self.error: PeerError | None = None
        self._peer = peer
        self._getting = getting
        self._sink = sink
        self._links = links
        self._clock = clock
        self._patience = patience
        self._usual = usual
        self._upstream = upstream
        self._silent = silent
        self._filled = self._brought = sink.filled
        self._since = clock.seconds()
        self._asked_at = math.inf
        self._longer = 1
        self._wait()

    @property
    def owes_sign(self) -> bool:
        """
        Whether the peer was asked for a sign of life, and has given none since.
        """
        heard = self._clock.seconds() - self._links.silence(self._peer.node_id)
        return heard < self._asked_at < math.inf

    def end(self) -> None:
        """
        The request has ended.
        """
        if self._call.active():
            self._call.cancel()

    def give_way(self) -> None:
        """
        Give the request up for others; the peer is not to blame.
        """
        self.error = PeerBusy(f"{self._peer.node_id} was told to wait for other chunks")
        self._getting.cancel()

    def _wait(self) -> None:
        due = self._since + self._patience - self._clock.seconds()
        seconds = min(QUIET, due) if due > 0 else QUIET
        self._call = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        now = self._clock.seconds()
        if now >= self._since + self._patience:
            self._judge(now)
        if self.error is None and self._sink.filled == self._brought:
            self._listen(now)
        self._brought = self._sink.filled
        if self.error is None:
            self._wait()
        else:
            self._getting.cancel()

    def _judge(self, now: float) -> None:
        missing = self._sink.chunk.length - self._filled
        brought = self._sink.filled - self._filled
        if 2 * brought >= missing:
            self._filled, self._since = self._sink.filled, now
            return
        usual = self._usual(self._sink)
        if not brought:
            # A slow link of this node's own is no reason for nothing at all.
            usual = max(min(usual, MOST_PATIENCE / 2), self._upstream())
        waited = now - self._since
        if waited < 2 * usual:
            return
        name, seconds = self._peer.node_id, self._patience
        held_back = self._links.held_back()
        if held_back and self._links.silence(name) < MOST_PATIENCE:
            self._filled, self._since = self._sink.filled, now
            return
        least = self._sink.chunk.length * LEAST_PART
        long = seconds >= STALLED_AFTER or waited >= MOST_PATIENCE
        stalls = long and brought < min(least, missing)
        kind = PeerError if stalls else PeerSlow
        self.error = kind(f"{name} sent {brought} bytes in {seconds:.3g} s")

    def _listen(self, now: float) -> None:
        """
        Nothing came since the last look: ask whether the peer is there, or take it that
        it is not when that brought no answer.
        """
        silence = self._links.silence(self._peer.node_id)
        usual = self._usual(self._sink)
        within = sign_within(usual, slow=False)
        held_back = self._links.held_back()
        if now - silence >= self._asked_at:
            self._asked_at = math.inf
            self._longer = min(2 * self._longer, MOST_QUIET)
        least = quiet(usual) * self._longer
        if silence < least or (held_back and silence < MOST_PATIENCE):
            self._asked_at = math.inf
        elif self._asked_at == math.inf:
            self._asked_at = now
            self._links.probe(self._peer)
        elif now >= self._asked_at + within:
            self.error = PeerUnreachable(
                f"{self._peer.node_id} was silent for {silence:.3g} s"
            )
            self._links.doubt(self._peer.node_id)
        else:
            self._silent(within)

"""
How long a chunk may take before another source is worth trying.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from eliop2p.base.errors import PeerError, PeerSlow, PeerUnreachable
from eliop2p.interfaces import IChunkSink, IPeerLinks
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

_SMOOTHING = 0.2


class Pace:
    """
    How long chunks from peers have taken of late, in all.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def took(self, seconds: float) -> None:
        """
        A chunk has come whole from one peer.
        """
        if not self._seconds:
            self._seconds = seconds
        self._seconds += _SMOOTHING * (seconds - self._seconds)

    def patience(self, disappointments: int) -> float:
        """
        Tell how long a source is waited for.

        Args:
            disappointments: How many sources of the chunk were given up for being slow;
                each doubles the patience.
        """
        if self._seconds:
            seconds = max(SLOWER * self._seconds, LEAST_PATIENCE)
        else:
            seconds = FIRST_PATIENCE
        return float(min(seconds * 2.0 ** min(disappointments, 8), MOST_PATIENCE))


class Watch:
    """
    Watches one request for a chunk, and cancels it when it is too slow.

    It is when it has brought less than half of what was missing while the patience
    lasted. A peer that brought nothing is asked for a sign of life half way.

    Args:
        node_id: The peer.
        getting: The request.
        sink: What it fills.
        links: Tells whether the peer is heard of.
        clock: The time.
        patience: In seconds.
    """

    def __init__(
        self,
        node_id: str,
        getting: Deferred[Done],
        sink: IChunkSink,
        *,
        links: IPeerLinks,
        clock: IReactorTime,
        patience: float,
    ) -> None:
        self.error: PeerError | None = None
        self._node_id = node_id
        self._getting = getting
        self._sink = sink
        self._links = links
        self._clock = clock
        self._patience = patience
        self._filled = sink.filled
        self._wait(self._look)

    def end(self) -> None:
        """
        The request has ended.
        """
        if self._call.active():
            self._call.cancel()

    def _wait(self, then: Callable[[], None]) -> None:
        self._call = self._clock.callLater(self._patience / 2, then)

    def _look(self) -> None:
        if self._sink.filled == self._filled:
            self._links.probe(self._node_id)
        self._wait(self._judge)

    def _judge(self) -> None:
        missing = self._sink.chunk.length - self._filled
        brought = self._sink.filled - self._filled
        if 2 * brought >= missing:
            self._filled = self._sink.filled
            self._wait(self._look)
            return
        name, seconds = self._node_id, self._patience
        if self._links.silence(name) >= seconds / 2:
            self._links.doubt(name)
            self.error = PeerUnreachable(f"{name} was silent for {seconds / 2:.3g} s")
        else:
            least = self._sink.chunk.length * LEAST_PART
            stalls = seconds >= STALLED_AFTER and brought < min(least, missing)
            kind = PeerError if stalls else PeerSlow
            self.error = kind(f"{name} sent {brought} bytes in {seconds:.3g} s")
        self._getting.cancel()

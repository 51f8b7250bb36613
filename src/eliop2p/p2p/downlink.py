"""
How long what was asked for takes, where this node's own link is the slow one.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import IChunkSink
from eliop2p.p2p.speed import Speed

WINDOW = 0.5
"""
Seconds over which the rate of what comes is measured, at least.
"""

HALF_LIFE = 2.0
"""
After how many seconds of receiving more slowly the best rate of late counts half: who
receives little for a moment has no slower link for it.
"""


class Downlink:
    """
    What is on its way to this node.

    The answer of a peer may come behind all that others have sent, so that a node with
    a busy link hears nobody in time, and must not take that for their silence. By
    Little's law (J. D. C. Little, "A Proof for the Queuing Formula L = λW", 1961) it
    waits for as long as all that is on its way takes at the rate of the link.

    Args:
        clock: The time.
        speed: Compares what comes with what comes to others.
    """

    def __init__(self, clock: IReactorTime, speed: Speed) -> None:
        self._clock = clock
        self._speed = speed
        self._filling: dict[int, IChunkSink] = {}
        self._askings: Counter[int] = Counter()
        self._rate = 0.0
        self._since = clock.seconds()
        self._received = 0

    @contextmanager
    def awaiting(self, sink: IChunkSink) -> Iterator[None]:
        """
        Count the rest of a chunk that somebody was asked for; each time that it is.
        """
        self._began(sink)
        try:
            yield
        finally:
            self._ended(sink)

    def _began(self, sink: IChunkSink) -> None:
        if not self._filling:
            self._since, self._received = self._clock.seconds(), 0
            self._speed.began(self._filling.__len__)
        self._filling[id(sink)] = sink
        self._askings[id(sink)] += 1

    def _ended(self, sink: IChunkSink) -> None:
        self._askings[id(sink)] -= 1
        if not self._askings[id(sink)]:
            del self._askings[id(sink)], self._filling[id(sink)]

    def came(self, size: int) -> None:
        """
        Bytes have come, wanted or not.
        """
        self._received += size
        self._speed.meter.came(size)
        self._turn()

    def _turn(self) -> None:
        """
        Begin the next window, if this one is over.
        """
        now = self._clock.seconds()
        seconds = now - self._since
        if seconds < WINDOW:
            return
        rate = self._received / seconds
        self._rate = max(rate, self._rate * 0.5 ** (seconds / HALF_LIFE))
        self._since, self._received = now, 0

    def delay(self, sink: IChunkSink | None = None) -> float:
        """
        Tell how many seconds all takes that may come before a chunk, or before a
        message; infinite before anything has come for long enough. Alone on its way,
        nothing but who sends it can make it late.
        """
        others = [other for other in self._filling.values() if other is not sink]
        if not others:
            return 0.0
        self._turn()  # For nothing may come any more.
        if not self._rate:
            return math.inf
        return sum(other.chunk.length - other.filled for other in others) / self._rate

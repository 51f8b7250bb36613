"""
A store as a crowd of nodes sees it: a delay, a link with a rate, and counters.

It takes the place of HTTP, not of the rules: who may read it, and how often it is read,
is decided by the nodes.
"""

import random
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.base.errors import ElioError
from eliop2p.interfaces import IChunkOrigin, IChunkSink
from eliop2p.model.chunk import Chunk
from eliop2p.testing.simlink import Fabric, Way
from eliop2p.testing.simnet import SimHost

_UNDER_WAY = 2
"""
Segments of one answer that are under way at a time.
"""


class SimOrigin:
    """
    The store.

    Args:
        clock: For its delay.
        fabric: What it sends on.
        host: Where it stands; its uplink is the store's rate.
        rng: Chance.
        latency: Mean seconds from a request to the first byte.
        segment: Bytes sent at once.
        content: Gives the bytes of a chunk.

    Attributes:
        reads: Requests so far.
        sent: Bytes that were sent, whether they were wanted in the end or not.
        came: Those of them that have come to a node that wanted them.
        by_chunk: Requests by chunk id.
    """

    def __init__(
        self,
        clock: IReactorTime,
        fabric: Fabric,
        host: SimHost,
        rng: random.Random,
        *,
        latency: float,
        segment: int,
        content: Callable[[Chunk], memoryview],
    ) -> None:
        self.reads = 0
        self.sent = self.came = 0
        self.by_chunk: dict[bytes, int] = {}
        self.clock = clock
        self.fabric = fabric
        self.host = host
        self.segment = segment
        self.content = content
        self._rng = rng
        self._latency = latency

    def delay(self) -> float:
        """
        Draw the seconds until the first byte of an answer.
        """
        return self._latency * self._rng.uniform(0.5, 1.5)

    def right(self, host: SimHost) -> "SimRight":
        """
        Give the right to read that a client of a node on a host brings.
        """
        return SimRight(self, host)

    def asked(self, chunk: Chunk) -> None:
        """
        Count a request.
        """
        self.reads += 1
        self.by_chunk[chunk.id] = self.by_chunk.get(chunk.id, 0) + 1


@implementer(IChunkOrigin)
class SimRight:
    """
    What one client's request allows: to read everything, at any time.
    """

    def __init__(self, origin: SimOrigin, host: SimHost) -> None:
        self._origin = origin
        self._host = host

    def can_read(self, chunk: Chunk) -> bool:  # noqa: ARG002  # Everything.
        """
        See :class:`IChunkOrigin`.
        """
        return True

    def read(self, sink: IChunkSink) -> Deferred[None]:
        """
        See :class:`IChunkOrigin`.
        """
        self._origin.asked(sink.chunk)
        return _Answer(self._origin, self._host, sink).done

    def passed_over(self, chunk: Chunk) -> None:
        """
        See :class:`IChunkOrigin`: no stream is to be cut here.
        """


class _Answer:
    """
    One answer on its way.
    """

    def __init__(self, origin: SimOrigin, host: SimHost, sink: IChunkSink) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._stop())
        self._origin = origin
        self._host = host
        self._sink = sink
        self._data = origin.content(sink.chunk)
        self._next = self._position = sink.filled
        self._way = Way(origin.fabric, origin.host.link, host.link, self._arrived)
        self._open = True
        self._call = origin.clock.callLater(origin.delay(), self._begin)

    def _begin(self) -> None:
        if self._host.link.silent:
            return  # The request never came here.
        for _ in range(_UNDER_WAY):
            self._send()

    def _send(self) -> None:
        start = self._next
        stop = min(start + self._origin.segment, len(self._data))
        if start < stop:
            self._next = stop
            self._origin.sent += stop - start
            self._way.send(bytes(self._data[start:stop]))

    def _arrived(self, packet: bytes | None) -> None:
        if not self._open or not self._host.is_alive:
            return
        assert packet is not None
        start, self._position = self._position, self._position + len(packet)
        self._origin.came += len(packet)
        try:
            self._sink.write(start, packet)
        except ElioError as error:
            self._open = False
            self.done.errback(error)
            return
        if not self._is_open():
            return  # Who was told of the bytes wants no more.
        if self._sink.filled == len(self._data):
            self._open = False
            self.done.callback(None)
        else:
            self._send()

    def _is_open(self) -> bool:
        return self._open

    def _stop(self) -> None:
        self._open = False
        if self._call.active():
            self._call.cancel()

"""
A chunk on its way in, and those who read it meanwhile.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.cache.buffer import ChunkBuffer
from eliop2p.cache.readings import misuse
from eliop2p.cache.saver import Saver
from eliop2p.cache.shared_origin import SharedOrigin
from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkReading,
    IPartialChunks,
    IWorker,
)
from eliop2p.model.chunk import Chunk, Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival


class Flight:
    """
    The arrival of one chunk: its memory, its readers, and their rights.

    Attributes:
        chunk: Which chunk.
        origins: The readers' rights to read the store.
        buffer: What has arrived; None until there is room for it, and after a failure.
        fetched: How it arrived, once it has and its digest is checked.
        error: Why it does not arrive, once that is known.
        source: Where the latest bytes came from; empty before the first.
        abandoned: Whether nobody wants it any more.
        waiting_on: What its arrival waits for at the moment, to be cancelled.
        arrival: What is noted of how it comes.
        saver: Takes what comes to the disk; None when none keeps parts.

    Args:
        chunk: Which chunk.
        worker: Where it is hashed.
        empty: Called when the last reader has gone before the chunk is settled.
    """

    def __init__(
        self, chunk: Chunk, worker: IWorker, empty: Callable[["Flight"], None]
    ) -> None:
        self.chunk = chunk
        self.origins = SharedOrigin(chunk)
        self.buffer: ChunkBuffer | None = None
        self.fetched: Fetched | None = None
        self.error: Exception | None = None
        self.source = ""
        self.abandoned = False
        self.waiting_on: Deferred[Any] | None = None
        self.arrival = Arrival()
        self.saver: Saver | None = None
        self._noted = 0
        self._worker = worker
        self._empty = empty
        self._release: Callable[[], None] | None = None
        # Not a set: they are told in the order in which they came.
        self._readings: dict[FlightReading, None] = {}

    @property
    def filled(self) -> int:
        """
        Bytes there from the start without a gap.
        """
        return self.buffer.filled if self.buffer else 0

    @property
    def view(self) -> memoryview:
        """
        The memory, to be read, of a chunk that has arrived.
        """
        assert self.buffer is not None
        return self.buffer.view

    @property
    def available(self) -> int:
        """
        How far one may read: not the last byte before the digest is checked.
        """
        return self.filled if self.fetched else min(self.filled, self.chunk.length - 1)

    def join(
        self, origin: IChunkOrigin | None, *, first: bool = False
    ) -> "FlightReading":
        """
        Read along.

        Args:
            origin: The reader's right, None for a peer.
            first: Whether it arrives for this reader.
        """
        if origin is not None:
            self.origins.join(origin)
        reading = FlightReading(self, origin, joined=not first)
        self._readings[reading] = None
        return reading

    def leave(self, reading: "FlightReading", origin: IChunkOrigin | None) -> None:
        """
        Read no more.
        """
        self._readings.pop(reading, None)
        if origin is not None:
            self.origins.leave(origin)
        if self._readings:
            return
        if self._release is None:
            self._empty(self)
        else:
            self._let_go(self._release)

    def allocate(self) -> ChunkBuffer:
        """
        Take memory to receive into, in place of what a failed try has received.
        """
        self._drop_buffer()
        self.buffer = ChunkBuffer(self.chunk, self._worker, self._grown, self.arrival)
        self.saver = None
        return self.buffer

    def save_to(
        self, partials: IPartialChunks, buffer: ChunkBuffer, after: int
    ) -> None:
        """
        Have what comes taken to the disk.

        Args:
            partials: The disk.
            buffer: Where it comes.
            after: The bytes from the start that are there already.
        """
        view = buffer.view

        def read(extent: Interval) -> list[tuple[int, memoryview]]:
            return [(extent.start, view[extent.start : extent.stop])]

        self.saver = Saver(partials, self.chunk, read)
        self._noted = after
        self._note(buffer)

    def start_over(self, error: Exception) -> bool:
        """
        Fail the readers that have been given bytes.

        Returns:
            Whether there are others, for whom it is worth trying again.
        """
        for reading in tuple(self._readings):
            if reading.begun:
                reading.fail(error)
        return not all(reading.begun for reading in self._readings)

    def finish(self, fetched: Fetched) -> None:
        """
        All is there and right.
        """
        self.fetched = fetched
        self.source = fetched.source
        if self.buffer is not None:
            self.buffer.close()
        if self.saver is not None:
            self.saver.close()
        self.origins.finish()
        self._wake()

    def settle(self, release: Callable[[], None]) -> None:
        """
        The tiers have it, or do not want it.

        Args:
            release: Called, once, when nobody reads the memory any more.
        """
        self._release = release
        if not self._readings:
            self._let_go(release)

    def fail(self, error: Exception) -> None:
        """
        It will not come.
        """
        self.error = error
        self._drop_buffer()
        for reading in tuple(self._readings):
            reading.fail(error)

    def _let_go(self, release: Callable[[], None]) -> None:
        self._release = None
        self.saver = None
        self._drop_buffer()
        release()

    def _drop_buffer(self) -> None:
        if self.buffer is not None:
            self.buffer.release()
            self.buffer = None

    def _grown(self) -> None:
        assert self.buffer is not None
        self.source = self.buffer.source
        self._note(self.buffer)
        self._wake()

    def _note(self, buffer: ChunkBuffer) -> None:
        if self.saver is not None:
            from_store = buffer.source == "origin"
            self.saver.came(self._noted, buffer.filled, from_store=from_store)
            self._noted = buffer.filled

    def _wake(self) -> None:
        for reading in tuple(self._readings):
            reading.wake()


@attrs.frozen(eq=False)
class _Wait:
    offset: int
    limit: int
    result: Deferred[Span]


@implementer(IChunkReading)
class FlightReading:
    """
    Reads a chunk that is arriving, or has just arrived.

    Attributes:
        begun: Whether it has been given bytes.
        joined: Whether the chunk was arriving already.
        arrival: How it comes.
    """

    def __init__(
        self, flight: Flight, origin: IChunkOrigin | None, *, joined: bool
    ) -> None:
        self.length = flight.chunk.length
        self.joined = joined
        self.arrival: Arrival | None = flight.arrival
        self.begun = False
        self._flight = flight
        self._origin = origin
        self._error: Exception | None = flight.error
        self._waits: list[_Wait] = []
        self._closed = False

    @property
    def filled(self) -> int:
        """
        Bytes there from the start without a gap.
        """
        return self._flight.filled

    @property
    def digest(self) -> Digest | None:
        """
        The digest, once it is checked.
        """
        return self._flight.fetched.digest if self._flight.fetched else None

    @property
    def source(self) -> str:
        """
        Where the latest bytes came from.
        """
        return self._flight.source

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Wait for bytes.
        """
        error = misuse(offset, limit, self.length, closed=self._closed)
        if error is not None:
            return fail(error)
        if self._error is not None:
            return fail(self._error)

        def forget(_: Deferred[Span]) -> None:
            self._waits = [other for other in self._waits if other is not wait]

        wait = _Wait(offset, limit, Deferred(forget))
        self._waits.append(wait)
        self.wake()
        return wait.result

    def close(self) -> None:
        """
        Stop reading; a second time does nothing. What is being waited for fails.
        """
        if self._closed:
            return
        self._closed = True
        self.fail(ChunkUnavailable("the reading was closed"))
        self._flight.leave(self, self._origin)

    def wake(self) -> None:
        """
        Give what has arrived to who waits for it.
        """
        available = self._flight.available
        ready = [wait for wait in self._waits if wait.offset < available]
        if not ready or self._flight.buffer is None:
            return
        self._waits = [wait for wait in self._waits if wait.offset >= available]
        self.begun = True
        view = self._flight.buffer.view
        for wait in ready:
            if not wait.result.called:
                stop = min(wait.offset + wait.limit, available)
                wait.result.callback(view[wait.offset : stop])

    def fail(self, error: Exception) -> None:
        """
        Fail what is being waited for, and what will be asked for.
        """
        if self._error is None:
            self._error = error
        waits, self._waits = self._waits, []
        for wait in waits:
            if not wait.result.called:
                wait.result.errback(error)

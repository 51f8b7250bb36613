"""
One arrival per chunk, within a number of bytes.
"""

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import ChunkUnavailable, CorruptChunk, ElioError
from eliop2p.cache.flight import Flight, FlightReading
from eliop2p.cache.keeper import Keeper
from eliop2p.cache.parts import Parts
from eliop2p.cache.room import Room
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkSource,
    IPartialChunks,
    IWorker,
)
from eliop2p.model.chunk import Chunk, ChunkId

_log = Logger()

_T = TypeVar("_T")


class Flights:
    """
    The chunks that are arriving.

    A chunk that nobody reads any more is stopped, unless more than half of it is
    there: then it is finished for the next reader. Bytes count from before the memory
    is taken until the memory tier counts them, or until the last reader has closed.

    Args:
        source: Gets the chunks.
        worker: Where they are hashed.
        clock: Gives the turn back to a source before it is cancelled.
        room: Bounds the bytes in flight.
        keeper: Takes chunks to the tiers.
        partials: The disk, if it keeps parts of chunks.
        memory: Bytes of parts of chunks that may be in memory.

    Attributes:
        parts: What is here of chunks that are not whole.
    """

    def __init__(
        self,
        source: IChunkSource,
        worker: IWorker,
        clock: IReactorTime,
        room: Room,
        keeper: Keeper,
        *,
        partials: IPartialChunks | None,
        memory: int,
    ) -> None:
        self.parts = Parts(partials, clock, memory, self._complete)
        self._partials = partials
        self._clock = clock
        self._room = room
        self._source = source
        self._worker = worker
        self._keeper = keeper
        self._table: dict[ChunkId, Flight] = {}
        self._unwanted: list[Flight] = []
        self._tasks = Tasks()

    def get(self, chunk_id: ChunkId) -> Flight | None:
        """
        Find a chunk that is arriving, or has arrived and is in no tier yet.
        """
        return self._table.get(chunk_id)

    def begin(self, chunk: Chunk, origin: IChunkOrigin) -> FlightReading:
        """
        Fetch a chunk that is neither held nor arriving, once there is room.
        """
        flight = Flight(chunk, self._worker, self._emptied)
        self._table[chunk.id] = flight
        reading = flight.join(origin, first=True)
        self._tasks.run(self._fly(flight))
        return reading

    async def stop(self) -> None:
        """
        Stop what is arriving, and wait until what has arrived is kept.
        """
        for flight in tuple(self._table.values()):
            if flight.fetched is None:
                self._abandon(flight)
        self._cancel_unwanted()
        await self._tasks.idle()
        await self.parts.stop()

    def _complete(self, chunk: Chunk) -> None:
        """
        Make a chunk of the parts that make it up.
        """
        if chunk.id not in self._table and not self._keeper.where(chunk.id):
            flight = Flight(chunk, self._worker, self._emptied)
            self._table[chunk.id] = flight
            self._tasks.run(self._fly(flight))

    async def _fly(self, flight: Flight) -> None:
        length, begun = flight.chunk.length, self._clock.seconds()
        try:
            await self._wait(flight, self._room.acquire(length))
            flight.arrival.queued = self._clock.seconds() - begun
        except CancelledError:
            self._failed(Failure(), flight)
            return
        arrival = Deferred.fromCoroutine(self._arrive(flight))
        fetched = await arrival.addErrback(self._failed, flight)
        if fetched is None:
            if flight.saver is not None:
                await flight.saver.flush()
                flight.saver = None
            self._room.release(length)
            return
        flight.finish(fetched)
        await self._settle(flight, flight.view, fetched)

    async def _arrive(self, flight: Flight) -> Fetched:
        """
        Fetch; once more when wrong bytes came and there are readers who have seen none.
        """
        try:
            return await self._fetch(flight)
        except CorruptChunk as error:
            await self._discard(flight)
            if not flight.start_over(error):
                raise
        try:
            return await self._fetch(flight)
        except CorruptChunk:
            await self._discard(flight)
            raise

    async def _fetch(self, flight: Flight) -> Fetched:
        if flight.abandoned:
            raise CancelledError
        buffer = flight.allocate()
        filling = Deferred.fromCoroutine(self.parts.fill(buffer))
        anew = await self._wait(flight, filling)
        if self._partials is not None:
            flight.save_to(self._partials, buffer, 0 if anew else buffer.filled)
        if buffer.filled == flight.chunk.length and buffer.source == "origin":
            digest = await self._wait(flight, buffer.digest())
            return Fetched(digest, "origin")
        fetched = self._source.fetch(buffer, flight.origins)
        return await self._wait(flight, fetched)

    async def _discard(self, flight: Flight) -> None:
        """
        Forget what is kept of a chunk that is wrong.
        """
        if flight.saver is not None:
            flight.saver.close()
        await self.parts.discard(flight.chunk.id)

    async def _settle(self, flight: Flight, data: memoryview, fetched: Fetched) -> None:
        length = flight.chunk.length
        what = (flight.chunk.id, data, fetched.digest)
        handle = await self._keeper.to_memory(*what).addErrback(_unkept)
        if handle is not None:
            self._forget(flight)
            self._room.release(length)
        await self._keeper.to_disk(*what).addErrback(_unkept)
        await self.parts.discard(flight.chunk.id)
        if fetched.source == "peer":
            # Of equals that is given up first which the cluster has once more.
            self._keeper.note_replicas(flight.chunk.id, 1)
        if handle is None:
            self._keeper.dropped(flight.chunk.id)

        def release() -> None:
            if handle is None:
                self._forget(flight)
                self._room.release(length)
            else:
                handle.close()

        flight.settle(release)

    async def _wait(self, flight: Flight, step: Deferred[_T]) -> _T:
        """
        Wait for something that :meth:`_abandon` cancels.
        """
        flight.waiting_on = step
        if flight.abandoned:
            step.cancel()
        try:
            return await step
        finally:
            flight.waiting_on = None

    def _failed(self, failure: Failure, flight: Flight) -> None:
        error = failure.value
        if not isinstance(error, ElioError):
            if not isinstance(error, CancelledError):
                _log.failure("cannot fetch a chunk", failure)
            error = ChunkUnavailable("the arrival of the chunk was stopped")
        self._forget(flight)
        flight.fail(error)

    def _emptied(self, flight: Flight) -> None:
        arriving = flight.fetched is None and flight.error is None
        if arriving and flight.filled * 2 <= flight.chunk.length:
            self._abandon(flight)

    def _abandon(self, flight: Flight) -> None:
        """
        Stop what brings a chunk that nobody reads any more. Not from within: a reader
        may go because of what the very coroutine does that is to be cancelled, and one
        that is running does not hear of it.
        """
        self._forget(flight)
        flight.abandoned = True
        if not self._unwanted:
            self._clock.callLater(0, self._cancel_unwanted)
        self._unwanted.append(flight)

    def _cancel_unwanted(self) -> None:
        unwanted, self._unwanted = self._unwanted, []
        for flight in unwanted:
            if flight.waiting_on is not None:
                flight.waiting_on.cancel()

    def _forget(self, flight: Flight) -> None:
        if self._table.get(flight.chunk.id) is flight:
            del self._table[flight.chunk.id]


def _unkept(failure: Failure) -> None:
    _log.failure("a cache tier failed", failure)

"""
A chunk that is opened before it is sent.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IChunkOrigin, IChunkReader, IChunkReading
from eliop2p.model.chunk import Chunk


class OpenedAhead:
    """
    A chunk opened before its turn.

    Args:
        chunk: Which chunk.
        reader: Opens it.
        origin: The right to read it from the store.
        came: Told when all of it has arrived, unless it was here from the start.
    """

    def __init__(
        self,
        chunk: Chunk,
        reader: IChunkReader,
        origin: IChunkOrigin,
        came: Callable[[], None],
    ) -> None:
        self.chunk = chunk
        self._reader = reader
        self._origin = origin
        self._came = came
        self._failure: Failure | None = None
        self._reading: IChunkReading | None = None
        self._waiter: Deferred[None] | None = None
        self._reopened = False
        self._open()

    def _open(self) -> None:
        self._opening = self._reader.open(self.chunk, self._origin)
        self._opening.addCallbacks(self._opened, self._failed)

    def _opened(self, reading: IChunkReading) -> None:
        self._reading = reading
        if not self.is_here:
            last = reading.read(reading.length - 1, 1)
            # Whoever sends the chunk hears of a failure.
            last.addCallbacks(lambda _: self._came(), lambda _: None)
        self._wake()

    def _failed(self, failure: Failure) -> None:
        self._failure = failure
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    @property
    def is_here(self) -> bool:
        """
        Whether all of the chunk has arrived.
        """
        reading = self._reading
        return reading is not None and reading.filled == reading.length

    async def reading(self) -> IChunkReading:
        """
        Wait until the chunk is open.
        """
        if self._reading is None and self._failure is None:
            self._waiter = Deferred()
            await self._waiter
        if self._failure is not None:
            failure, self._failure = self._failure, None
            failure.raiseException()
        assert self._reading is not None
        return self._reading

    async def reopen(self, error: SpanUnreadable) -> IChunkReading:
        """
        Have the chunk from elsewhere, since the tier that gave it cannot read it.

        Raises:
            SpanUnreadable: This has happened once already.
        """
        if self._reopened:
            raise error
        self._reopened = True
        self.close()
        self._reading = None
        await self._reader.drop(self.chunk.id)
        self._open()
        return await self.reading()

    def close(self) -> None:
        """
        Let go of the chunk, open or not.
        """
        self._waiter = None
        if self._reading is not None:
            self._reading.close()
        else:
            self._opening.cancel()

"""
The body of an answer: chunks opened ahead of the client and sent in order.
"""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IChunkOrigin, IChunkReader, IChunkReading
from eliop2p.model.chunk import MIB, Chunk, Layout
from eliop2p.model.ranges import Interval
from eliop2p.model.trail import ChunkTrail
from eliop2p.proxy.exchange import Exchange

AHEAD = 12
"""
How many chunks may be opened ahead of the one being sent. A client that has to wait for
its bytes gets twice as many as before, one that does not gets fewer: a slow client must
not hold what it will not read soon.
"""

BYTES_AHEAD = 96 * MIB
"""
How many bytes they may be, if that is not less than a few chunks: fewer of those that
are large keep the links as busy.
"""

LEAST_AHEAD = 4
"""
How many chunks may be opened ahead of any length.
"""

OPEN_RATIO = 5
"""
How many times as many may be open when some of them have arrived already: one slow
chunk must not hold up those behind it.
"""

MIXED = 32
"""
Of how many chunks the next one is drawn, where they may come in any order.
"""

MAX_SPAN = 8 * MIB
"""
The most bytes handed to the sender in one go; it shares the processor by itself.
"""

_T = TypeVar("_T")


def ahead_of(chunk_size: int) -> int:
    """
    Tell how many chunks of a length in bytes may be opened ahead of the one being sent.
    """
    return max(LEAST_AHEAD, min(AHEAD, BYTES_AHEAD // chunk_size))


class _Ahead:
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


class BodyReader:
    """
    Sends an interval of an object from its chunks.
    """

    def __init__(
        self,
        reader: IChunkReader,
        layout: Layout,
        origin: IChunkOrigin,
        count: Callable[[str, int], None],
        sent: Callable[[Chunk], None],
        *,
        ahead: int,
        most: int,
        mixed: random.Random | None = None,
    ) -> None:
        """
        Args:
            reader: Opens chunks.
            layout: The object.
            origin: The right to read it from the store.
            count: Told the source and number of bytes sent.
            sent: Told of each chunk of which all that is wanted was sent.
            ahead: How many chunks to open ahead at first.
            most: How many to open ahead when the client waits for them.
            mixed: Where chunks may come in any order, chance: nodes that read the
                same object at the same time then have different chunks to give each
                other. None to open them in order.
        """
        self._reader = reader
        self._layout = layout
        self._origin = origin
        self._count = count
        self._sent = sent
        self._mixed = mixed
        self._left: list[int] = []
        self._ahead: dict[int, _Ahead] = {}
        self._most = most
        self._window = ahead
        self._waited = False
        self._starved = False

    async def send(
        self, exchange: Exchange, part: Interval, begin: Callable[[], None]
    ) -> None:
        """
        Send the bytes of part.

        Args:
            exchange: Where to.
            part: The bytes of the object; not empty.
            begin: Called once, when the first bytes are at hand.

        Raises:
            ChunkUnavailable, CorruptChunk, OriginError: A chunk did not come.
            twisted.internet.error.ConnectionLost: The client went.
        """
        self._left = list(self._layout.covering(part))
        try:
            for index in tuple(self._left):
                self._open_ahead(index)
                ahead = self._ahead[index]
                await self._send_chunk(exchange, ahead, part, begin)
                del self._ahead[index]
                ahead.close()
                self._origin.passed_over(ahead.chunk)
                self._sent(ahead.chunk)
                self._adapt()
        finally:
            for ahead in self._ahead.values():
                ahead.close()

    def _adapt(self) -> None:
        if self._waited:
            self._window = min(2 * self._window, self._most)
        elif all(ahead.is_here for ahead in self._ahead.values()):
            self._window = max(self._window - 1, 1)
        self._waited = False

    def _open_ahead(self, current: int) -> None:
        """
        Open the chunk that is sent next, and some behind it which are not at hand.
        """
        if current not in self._ahead:
            self._open(current)
        self._open_more()

    def _came(self) -> None:
        """
        Open another chunk in place of one that has come, while the client waits for one
        before it: the links would idle until that is here.
        """
        if self._starved:
            self._open_more()

    def _open_more(self) -> None:
        reach = OPEN_RATIO * (self._window + 1)
        while self._left and len(self._ahead) < reach:
            awaited = sum(not ahead.is_here for ahead in self._ahead.values())
            if (awaited or len(self._ahead)) > self._window:
                return
            index = self._left[0]
            if self._mixed is not None:
                index = self._mixed.choice(self._left[:MIXED])
            if self._reader.where(self._layout.chunk(index).id):
                return
            self._open(index)

    def _open(self, index: int) -> None:
        self._left.remove(index)
        chunk = self._layout.chunk(index)
        self._ahead[index] = _Ahead(chunk, self._reader, self._origin, self._came)

    async def _starving(self, awaited: Awaitable[_T]) -> _T:
        """
        Wait for what the client waits for.
        """
        self._starved = True
        try:
            return await awaited
        finally:
            self._starved = False

    async def _send_chunk(
        self,
        exchange: Exchange,
        ahead: _Ahead,
        part: Interval,
        begin: Callable[[], None],
    ) -> None:
        began = exchange.seconds()
        reading = await self._starving(ahead.reading())
        waited = exchange.seconds() - began
        chunk = ahead.chunk
        wanted = chunk.interval.intersect(part)
        assert wanted is not None
        position, stop = wanted.start - chunk.start, wanted.stop - chunk.start
        while position < stop:
            came = reading.read(position, min(stop - position, MAX_SPAN))
            if came.called:
                span = await came
            else:
                self._waited = True
                began = exchange.seconds()
                span = await self._starving(came)
                waited += exchange.seconds() - began
            if not exchange.begun:
                begin()
            taken, source = len(span), reading.source
            try:
                await exchange.send(span)
            except SpanUnreadable as error:
                taken = error.taken
                reading = await ahead.reopen(error)
            self._count(source, taken)
            position += taken
        if exchange.trail is not None:
            exchange.trail.add(
                ChunkTrail(
                    chunk.index,
                    wanted.length,
                    reading.source,
                    joined=reading.joined,
                    waited=waited,
                    arrival=reading.arrival,
                    ended=exchange.seconds(),
                )
            )

"""
The body of an answer: chunks opened ahead of the client and sent in order.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from itertools import chain
from typing import TypeVar

import attrs

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IChunkHandle, IChunkOrigin, IChunkReader
from eliop2p.model.chunk import MIB, Chunk, Layout
from eliop2p.model.ranges import Interval
from eliop2p.model.span import FileSpan, Run, Span
from eliop2p.model.trail import Arrival, ChunkTrail
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.opened_ahead import OpenedAhead

AHEAD = 12
"""
How many chunks may be opened ahead of the one being sent. A client that has to wait for
its bytes gets twice as many as before, one that does not gets fewer: a slow client must
not hold what it will not read soon.
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


@attrs.define
class _Piece:
    """
    A chunk that is at hand and open.
    """

    chunk: Chunk
    tier: str
    handle: IChunkHandle
    span: Span


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
        held: bool = False,
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
            held: Whether tiers have all that is to be sent, as far as is known, so that
                nothing need be opened ahead.
            mixed: Where chunks may come in any order, chance: nodes that read the
                same object at the same time then have different chunks to give each
                other. None to open them in order.
        """
        self._reader = reader
        self._layout = layout
        self._origin = origin
        self._count = count
        self._sent = sent
        self._held = held
        self._mixed = mixed
        self._position = 0
        self._opened: deque[_Piece] = deque()
        self._left: list[int] = []
        self._ahead: dict[int, OpenedAhead] = {}
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
        self._position = part.start
        try:
            while self._position < part.stop:
                await self._send_held(exchange, part, begin)
                if self._position < part.stop:
                    await self._send_next(exchange, part, begin)
        finally:
            for ahead in self._ahead.values():
                ahead.close()

    # --- chunks that are at hand

    async def _send_held(
        self, exchange: Exchange, part: Interval, begin: Callable[[], None]
    ) -> None:
        """
        Send the chunks that come next as long as they are at hand: then nothing has to
        be waited for but the client, and one answer for all of them is enough.
        """
        broken: Chunk | None = None
        with closing(self._runs(exchange, part)) as runs:
            first = next(runs, None)
            if first is None:
                return
            if not exchange.begun:
                begin()
            try:
                await exchange.send_all(chain((first,), runs))
            except SpanUnreadable as error:
                broken = self._broke_off(exchange, error.taken)
        if broken is not None:
            # The rest of it has to come from elsewhere.
            await self._reader.drop(broken.id)

    def _broke_off(self, exchange: Exchange, taken: int) -> Chunk:
        """
        Count what has been sent of the open chunks, and tell which cannot be read.
        """
        while taken >= len(self._opened[0].span):
            taken -= len(self._opened[0].span)
            self._sent_first(exchange)
        broken = self._opened[0]
        self._count(broken.tier, taken)
        self._position += taken
        return broken.chunk

    def _runs(self, exchange: Exchange, part: Interval) -> Generator[Run, None, None]:
        """
        Open chunks that are at hand, those of a run when the one before has been sent.
        """
        size, files = exchange.run_limits
        try:
            while True:
                self._open_run(part, size, files)
                if not self._opened:
                    return
                run = self._next_run()
                yield run
                for _ in range(len(run) if isinstance(run, tuple) else 1):
                    self._sent_first(exchange)
        finally:
            while self._opened:
                piece = self._opened.pop()
                self._left.insert(0, piece.chunk.index)
                piece.handle.close()

    def _open_run(self, part: Interval, size: int, files: int) -> None:
        """
        Open the chunks at hand that come next: one, and more up to a size, of which
        the last may be in memory: a client that is slow must not keep much of that.
        """
        opened = self._opened
        position = self._position + sum(len(piece.span) for piece in opened)
        end = self._position + max(size, 1)
        while position < min(end, part.stop) and len(opened) < files:
            if opened and not isinstance(opened[-1].span, FileSpan):
                return
            chunk = self._layout.chunk(position // self._layout.chunk_size)
            if chunk.index in self._ahead:
                return
            found = self._reader.open_at_once(chunk, self._origin)
            if found is None:
                return
            handle, tier = found
            stop = min(chunk.start + chunk.length, part.stop)
            span = handle.span(position - chunk.start, stop - position)
            opened.append(_Piece(chunk, tier, handle, span))
            self._left.remove(chunk.index)
            if not self._held:
                self._open_more()
            position = stop

    def _next_run(self) -> Run:
        """
        Take the open chunks that come next and are files, or one.
        """
        files = []
        for piece in self._opened:
            if not isinstance(piece.span, FileSpan):
                break
            files.append(piece.span)
        return tuple(files) if len(files) > 1 else self._opened[0].span

    def _sent_first(self, exchange: Exchange) -> None:
        """
        Let go of the first open chunk: all that is wanted of it has been sent.
        """
        piece = self._opened.popleft()
        piece.handle.close()
        size = len(piece.span)
        self._count(piece.tier, size)
        self._position += size
        self._note(exchange, piece.chunk, size, piece.tier)
        self._done(piece.chunk)

    # --- all others

    async def _send_next(
        self, exchange: Exchange, part: Interval, begin: Callable[[], None]
    ) -> None:
        self._held = False
        chunk = self._chunk_here()
        self._open_ahead(chunk.index)
        ahead = self._ahead[chunk.index]
        await self._send_chunk(exchange, ahead, part, begin)
        del self._ahead[chunk.index]
        ahead.close()
        self._origin.passed_over(chunk)
        self._done(chunk)

    def _chunk_here(self) -> Chunk:
        return self._layout.chunk(self._position // self._layout.chunk_size)

    def _done(self, chunk: Chunk) -> None:
        self._sent(chunk)
        self._adapt()

    def _adapt(self) -> None:
        if self._waited:
            self._window = min(2 * self._window, AHEAD)
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
        self._ahead[index] = OpenedAhead(chunk, self._reader, self._origin, self._came)

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
        ahead: OpenedAhead,
        part: Interval,
        begin: Callable[[], None],
    ) -> None:
        began = exchange.seconds()
        reading = await self._starving(ahead.reading())
        waited = exchange.seconds() - began
        chunk = ahead.chunk
        wanted = chunk.interval.intersect(part)
        assert wanted is not None
        while (left := wanted.stop - self._position) > 0:
            came = reading.read(self._position - chunk.start, min(left, MAX_SPAN))
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
            self._position += taken
        self._note(
            exchange,
            chunk,
            wanted.length,
            reading.source,
            joined=reading.joined,
            waited=waited,
            arrival=reading.arrival,
        )

    def _note(
        self,
        exchange: Exchange,
        chunk: Chunk,
        size: int,
        source: str,
        *,
        joined: bool = False,
        waited: float = 0.0,
        arrival: Arrival | None = None,
    ) -> None:
        """
        Note how a chunk was got.
        """
        if exchange.trail is not None:
            exchange.trail.add(
                ChunkTrail(
                    chunk.index,
                    size,
                    source,
                    joined=joined,
                    waited=waited,
                    arrival=arrival,
                    ended=exchange.seconds(),
                )
            )

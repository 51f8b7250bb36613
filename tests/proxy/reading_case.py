"""
Chunks that come when they are told to, and a client that takes when it is told to.
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable, SpanUnreadable
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodySender,
    IChunkHandle,
    IChunkOrigin,
    IChunkReader,
    IChunkReading,
    IChunkSink,
)
from eliop2p.model.chunk import (
    Chunk,
    ChunkId,
    Digest,
    Layout,
    ObjectKey,
    ObjectVersion,
)
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival
from eliop2p.net.copying_sender import one_by_one
from eliop2p.proxy.exchange import Exchange

SIZE = 10
DATA = bytes(range(250))
LAYOUT = Layout(
    ObjectKey(b"http://s", b"b", b"k"), ObjectVersion(b'"e"', len(DATA)), SIZE
)
HEAD = ResponseHead(200, b"OK")


@implementer(IChunkReading)
class Reading:
    """
    A chunk whose bytes come when the test says so.
    """

    source = "peer"
    arrival: Arrival | None = None
    joined = False
    digest: Digest | None = None

    def __init__(self, chunk: Chunk, *, filled: bool) -> None:
        self.chunk = chunk
        self.length = chunk.length
        self.filled = chunk.length if filled else 0
        self.closed = 0
        self._waiting: list[tuple[int, int, Deferred[Span]]] = []

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Give what has come, or wait.
        """
        assert not self.closed
        if offset < self.filled:
            return succeed(self._span(offset, limit))
        result: Deferred[Span] = Deferred()
        self._waiting.append((offset, limit, result))
        return result

    def fill(self) -> None:
        """
        Let all come.
        """
        self.filled = self.length
        waiting, self._waiting = self._waiting, []
        for offset, limit, result in waiting:
            if not result.called:
                result.callback(self._span(offset, limit))

    def close(self) -> None:
        """
        Count it.
        """
        self.closed += 1

    def _span(self, offset: int, limit: int) -> Span:
        start = self.chunk.start + offset
        return memoryview(DATA)[start : start + min(limit, self.length - offset)]


@implementer(IChunkHandle)
class Handle:
    """
    A chunk of a tier.
    """

    digest = Digest(bytes(32))

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.length = chunk.length
        self.closed = 0

    def span(self, offset: int, limit: int) -> Span:
        """
        Give bytes.
        """
        assert not self.closed
        assert limit <= self.length - offset
        start = self.chunk.start + offset
        return memoryview(DATA)[start : start + limit]

    def close(self) -> None:
        """
        Count it.
        """
        self.closed += 1


@implementer(IChunkReader, IChunkOrigin)
class Chunks:
    """
    Opens chunks, and gives the right to read them, which nobody uses here.

    Attributes:
        opened: Each chunk that was opened, in order.
        at_hand: Whether chunks are there when they are opened.
        held: The indexes of those that a tier has.
        failing: The index of one that cannot be opened.
        passed: The indexes of those that were passed over.
        dropped: The indexes of those that were to be dropped.
    """

    def __init__(self) -> None:
        self.opened: list[Reading | Handle] = []
        self.at_hand = False
        self.held: set[int] = set()
        self.failing = -1
        self.passed: list[int] = []
        self.dropped: list[int] = []
        self.pending: Deferred[IChunkReading] | None = None

    def open(self, chunk: Chunk, origin: IChunkOrigin) -> Deferred[IChunkReading]:
        """
        Open one.
        """
        if chunk.index == self.failing:
            return fail(ChunkUnavailable("none has it"))
        if self.pending is not None:
            return self.pending
        filled = self.at_hand or chunk.index in self.held
        reading = Reading(chunk, filled=filled)
        self.opened.append(reading)
        return succeed(reading)

    def open_at_once(
        self, chunk: Chunk, origin: IChunkOrigin
    ) -> tuple[IChunkHandle, str] | None:
        """
        Open one that a tier has.
        """
        if chunk.index not in self.held:
            return None
        handle = Handle(chunk)
        self.opened.append(handle)
        self.passed_over(chunk)
        return handle, "memory"

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Note it.
        """
        self.dropped += [n for n in range(25) if LAYOUT.chunk(n).id == chunk_id]
        self.held -= set(self.dropped)
        return succeed(None)

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell which tier has it.
        """
        held = any(LAYOUT.chunk(index).id == chunk_id for index in self.held)
        return "memory" if held else ""

    def can_read(self, chunk: Chunk) -> bool:
        """
        Allow it.
        """
        return True

    def read(self, sink: IChunkSink) -> Deferred[None]:
        """
        Fail; it is not this that is tested.
        """
        return fail(ChunkUnavailable("not from the store"))

    def passed_over(self, chunk: Chunk) -> None:
        """
        Note it.
        """
        self.passed.append(chunk.index)

    def fill(self, place: int) -> None:
        """
        Let all of a chunk come.

        Args:
            place: Which of those that were opened.
        """
        reading = self.opened[place]
        assert isinstance(reading, Reading)
        reading.fill()

    @property
    def indexes(self) -> list[int]:
        """
        Which were opened.
        """
        return [reading.chunk.index for reading in self.opened]


@implementer(IBodySender)
class Sender:
    """
    A client that takes spans when the test says so.
    """

    bytes_sent = 0

    def __init__(self) -> None:
        self.data = b""
        self.slow = False
        self.error: Exception | None = None
        self.unreadable: list[int] = []
        self.runs = 0
        self.waiting: Deferred[None] | None = None

    def send(self, span: Span, more: bool) -> Deferred[None]:
        """
        Take a span.
        """
        if self.error is not None:
            return fail(self.error)
        assert isinstance(span, memoryview)
        if self.unreadable and self.data.count(b"\r\n\r\n"):
            taken = self.unreadable.pop(0)
            self.data += span[:taken]
            return fail(SpanUnreadable("no", taken))
        self.data += span
        if not self.slow:
            return succeed(None)
        self.waiting = Deferred()
        return self.waiting

    def send_all(self, spans: Iterator[Span]) -> Deferred[None]:
        """
        Take spans one after another.
        """
        self.runs += 1
        return Deferred.fromCoroutine(one_by_one(self.send, spans))

    def take(self) -> None:
        """
        Have taken the last span.
        """
        waiting, self.waiting = self.waiting, None
        assert waiting is not None
        waiting.callback(None)

    def offer(self, head: bytes, body: Span) -> int:
        """
        Take nothing at once.
        """
        return 0

    def close(self) -> None:
        """
        Do nothing.
        """


def exchange_to(sender: Sender) -> Exchange:
    """
    Begin to answer a client.
    """
    return Exchange(
        RequestHead(b"GET", b"/b/k"),
        None,
        "id",
        sender=sender,
        keep_alive=True,
        seconds=lambda: 0.0,
    )

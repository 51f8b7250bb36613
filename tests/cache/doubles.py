"""
What stands in for threads, sources and stores in the tests of the cache.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkSink,
    IChunkSource,
    IWorker,
)
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.testing.conformance import made_up

_T = TypeVar("_T")


def chunk_of(number: int, length: int) -> Chunk:
    """
    Name a chunk whose content is that of ``made_up(number, length)``.
    """
    return Chunk(made_up(number)[0], number, 0, length)


@implementer(IWorker)
class InlineWorker:
    """
    Calls at once.
    """

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        Call the function.
        """
        return execute(function, *args)


@implementer(IWorker)
class SteppedWorker:
    """
    Calls when told to, in the order of asking.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[[], Deferred[Any]]]] = []

    def run(self, function: Callable[..., _T], *args: object) -> Deferred[_T]:
        """
        Put the function in the queue.
        """
        result: Deferred[_T] = Deferred()
        self.waiting.append((result, lambda: execute(function, *args)))
        return result

    def step(self, index: int = 0) -> None:
        """
        Call one of those that wait.
        """
        result, call = self.waiting.pop(index)
        call().chainDeferred(result)

    def finish(self) -> None:
        """
        Call until nothing waits.
        """
        while self.waiting:
            self.step()


class Fetch:
    """
    One call of :meth:`FakeSource.fetch`.
    """

    def __init__(self, sink: IChunkSink, origin: IChunkOrigin) -> None:
        self.sink = sink
        self.origin = origin
        self.cancelled = False
        self.done: Deferred[Fetched] = Deferred(self._cancel)

    def send(self, data: memoryview | bytes, offset: int | None = None) -> None:
        """
        Write bytes where the chunk goes on, or elsewhere.
        """
        self.sink.write(self.sink.filled if offset is None else offset, data)

    def complete(self, digest: Digest, source: str = "peer") -> None:
        """
        Say that all is there.
        """
        self.done.callback(Fetched(digest, source))

    def _cancel(self, _: Deferred[Fetched]) -> None:
        self.cancelled = True


@implementer(IChunkSource)
class FakeSource:
    """
    Leaves it to the test what comes of a fetch.
    """

    def __init__(self) -> None:
        self.fetches: list[Fetch] = []
        self.told: list[tuple[str, ChunkId]] = []
        self.opens: list[ChunkId] = []

    def fetch(self, sink: IChunkSink, origin: IChunkOrigin) -> Deferred[Fetched]:
        """
        Note the call.
        """
        fetch = Fetch(sink, origin)
        self.fetches.append(fetch)
        return fetch.done

    def announce(self, chunk_id: ChunkId, digest: Digest) -> None:
        """
        Note it.
        """
        self.told.append(("announce", chunk_id))

    def withdraw(self, chunk_id: ChunkId) -> None:
        """
        Note it.
        """
        self.told.append(("withdraw", chunk_id))

    def opened(self, chunk_id: ChunkId) -> None:
        """
        Note it.
        """
        self.opens.append(chunk_id)

    def serve(self, number: int, length: int, index: int = -1) -> None:
        """
        Give a fetch all of a chunk.
        """
        _, data, digest = made_up(number, length)
        fetch = self.fetches[index]
        fetch.send(data[fetch.sink.filled :])
        fetch.complete(digest)


@implementer(IChunkOrigin)
class FakeOrigin:
    """
    A client's right, which the test takes away at will.
    """

    def __init__(self) -> None:
        self.readable = True
        self.passed: list[Chunk] = []
        self.reads: list[Deferred[None]] = []

    def can_read(self, chunk: Chunk) -> bool:
        """
        Tell what the test says.
        """
        return self.readable

    def read(self, sink: IChunkSink) -> Deferred[None]:
        """
        Note it.
        """
        self.reads.append(Deferred())
        return self.reads[-1]

    def passed_over(self, chunk: Chunk) -> None:
        """
        Note it.
        """
        self.passed.append(chunk)

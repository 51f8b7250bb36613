"""
Many small chunks in the disk tiers: the directory, and LMDB.

    python -m benchmarks.small_objects [--chunks 100000] [--length 4096] [--path DIR]

Each tier is written to, read from in random order, stopped and started again, with
threads and in turns of the reactor as in a node. The files stay in the page cache if
memory allows: what is compared is the work of each tier, not the disk.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
from blake3 import blake3
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import cooperate, react

from eliop2p.cache.registry import find_backend
from eliop2p.interfaces import BackendSettings, ICacheBackend
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.net.worker import ThreadWorker
from eliop2p.testing.conformance import read_handle

_T = TypeVar("_T")

_THREADS = 4
_AT_ONCE = 64
_TIERS = ("directory", "lmdb")


@attrs.frozen
class Load:
    """
    What is put.

    Attributes:
        chunks: How many chunks.
        length: Of each, in bytes.
        path: Where the tiers are.
    """

    chunks: int
    length: int
    path: Path

    def chunk(self, number: int) -> tuple[ChunkId, memoryview, Digest]:
        """
        Make up a chunk.
        """
        data = random.Random(number).randbytes(self.length)
        name = blake3(b"%d" % number).digest()
        return ChunkId(name), memoryview(data), Digest(blake3(data).digest())


def _run(
    function: Callable[[_T], Coroutine[Any, Any, None]], argument: _T
) -> "Deferred[None]":
    return Deferred.fromCoroutine(function(argument))


async def _all(calls: Iterable[Callable[[], "Deferred[None]"]]) -> None:
    """
    Make calls, some at once.
    """
    waiting: Iterator[Deferred[None]] = (call() for call in calls)
    await gatherResults([cooperate(waiting).whenDone() for _ in range(_AT_ONCE)])


class _Tier:
    """
    One tier under load.
    """

    def __init__(self, name: str, load: Load, reactor: Any) -> None:
        self._name = name
        self._load = load
        self._reactor = reactor
        self._path = load.path / name
        self._made = [load.chunk(number) for number in range(load.chunks)]

    async def measure(self) -> None:
        """
        Do everything and print a line.
        """
        worker = ThreadWorker(self._reactor, "bench", _THREADS)
        worker.start()
        backend = self._backend(worker)
        await backend.start()
        puts = await self._timed(_all(self._puts(backend)))
        reads = await self._timed(_all(self._reads(backend)))
        await backend.stop()
        size = sum(
            each.stat().st_blocks * 512
            for each in self._path.rglob("*")
            if each.is_file()
        )
        backend = self._backend(worker)
        starting = await self._timed(self._start(backend))
        assert backend.usage().chunks == self._load.chunks
        await backend.stop()
        await worker.stop()
        count = self._load.chunks
        print(
            f"{self._name:10} {count / puts:10.0f} {count / reads:10.0f} "
            f"{starting:10.2f} {size / count:12.0f}",
            flush=True,
        )

    def _backend(self, worker: ThreadWorker) -> ICacheBackend:
        capacity = 2 * self._load.chunks * (self._load.length + 8192)
        settings = BackendSettings(capacity, str(self._path), 0.9, 0.8, "s3fifo")
        factory = find_backend(self._name, "disk_backend")
        return factory.make(settings, worker, self._reactor, lambda _: None)

    async def _timed(self, work: Any) -> float:
        begun = time.perf_counter()
        await work
        return time.perf_counter() - begun

    async def _start(self, backend: ICacheBackend) -> None:
        await backend.start()

    def _puts(self, backend: ICacheBackend) -> Iterator[Callable[[], "Deferred[None]"]]:
        async def put(chunk: tuple[ChunkId, memoryview, Digest]) -> None:
            assert await backend.put(*chunk)

        for chunk in self._made:
            yield partial(_run, put, chunk)

    def _reads(
        self, backend: ICacheBackend
    ) -> Iterator[Callable[[], "Deferred[None]"]]:
        async def read(chunk_id: ChunkId) -> None:
            handle = await backend.open(chunk_id)
            assert handle is not None
            assert len(read_handle(handle)) == self._load.length
            handle.close()

        names = [chunk_id for chunk_id, _, _ in self._made]
        random.Random(1).shuffle(names)
        for chunk_id in names:
            yield partial(_run, read, chunk_id)


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--path", default=None)
    given = parser.parse_args()

    async def run(reactor: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="eliop2p-", dir=given.path) as path:
            load = Load(given.chunks, given.length, Path(path))
            print(f"{given.chunks} chunks of {given.length} bytes, on {path}:")
            print(
                f"{'tier':10} {'puts/s':>10} {'reads/s':>10} {'start, s':>10} "
                f"{'bytes/chunk':>12}"
            )
            for name in _TIERS:
                await _Tier(name, load, reactor).measure()
                os.sync()

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


if __name__ == "__main__":
    main()

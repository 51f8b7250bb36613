"""
How late the reactor is while the disk tier is filled and evicts.

    python -m benchmarks.disk_fill [--mbps 200] [--seconds 60] [--directory DIR]
"""

import argparse
import mmap
import os
import tempfile
import time
from pathlib import Path

from blake3 import blake3
from twisted.internet import reactor  # noqa: TID251
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.internet.task import LoopingCall, deferLater

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.net.worker import ThreadWorker

_MIB = 1024 * 1024
_BEAT = 0.001
_WRITERS = 4
_SCHEDULER = Path("/proc/thread-self/schedstat")


def _queued() -> float:
    """
    Give how long this thread has been ready to run and was not, in milliseconds.
    """
    try:
        text = _SCHEDULER.read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    return int(text.split()[1]) / 1e6


def _quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    named = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = (
        f"{name} {ordered[int(len(ordered) * q)]:.1f}" for name, q in named.items()
    )
    return f"{', '.join(found)}, max {ordered[-1]:.1f} ms"


class Fill:
    """
    A tier that is filled at a steady rate, and a heart that beats beside it.
    """

    def __init__(
        self, directory: str, length: int, capacity: int, *, idle: bool
    ) -> None:
        assert IReactorFromThreads.providedBy(reactor)
        self._worker = ThreadWorker(reactor, "fill", 8)
        files = ChunkFiles(directory, min_free=1024 * _MIB)
        files.claim()
        settings = BackendSettings(
            capacity, directory, 0.9, 0.8, "lru", scrub_rate=10_000_000
        )
        self._backend = DirectoryBackend(
            files, settings, self._worker, reactor, self._dropped
        )
        memory = mmap.mmap(-1, length)
        memory.write(os.urandom(length))
        self._data = memoryview(memory)
        self._digest = Digest(blake3(self._data).digest())
        self._idle = idle
        self._evicted = 0
        self._refused = 0
        self._puts = 0
        self._late: list[float] = []
        self._ours: list[float] = []
        self._last = 0.0
        self._queued = 0.0

    async def run(self, rate: float, seconds: float) -> None:
        """
        Fill for so long, and print what was measured.
        """
        self._worker.start()
        await self._backend.start()
        began = self._last = time.perf_counter()
        beat = LoopingCall(self._measure)
        beating = beat.start(_BEAT, now=False)
        if self._idle:
            await deferLater(reactor, seconds)
        else:
            writers = [
                Deferred.fromCoroutine(self._write(began + seconds, rate / _WRITERS))
                for _ in range(_WRITERS)
            ]
            for writer in writers:
                await writer
        took = time.perf_counter() - began
        beat.stop()
        await beating
        self._print(took)
        await self._backend.stop()
        await self._worker.stop()

    async def _write(self, until: float, rate: float) -> None:
        due = time.perf_counter()
        while time.perf_counter() < until:
            self._puts += 1
            chunk_id = ChunkId(blake3(b"%d" % self._puts).digest())
            if not await self._backend.put(chunk_id, self._data, self._digest):
                self._refused += 1
            due = max(due + len(self._data) / rate, time.perf_counter() - 1)
            await deferLater(reactor, max(0.0, due - time.perf_counter()))

    def _dropped(self, _: ChunkId) -> None:
        self._evicted += 1

    def _measure(self) -> None:
        now, queued = time.perf_counter(), _queued()
        late = max(0.0, now - self._last - _BEAT) * 1e3
        self._late.append(late)
        self._ours.append(max(0.0, late - (queued - self._queued)))
        self._last, self._queued = now, queued

    def _print(self, took: float) -> None:
        rate = (self._puts - self._refused) * len(self._data) / took / 1e6
        print(
            f"{'idle' if self._idle else 'filling'}: {rate:.0f} MB/s, "
            f"{self._puts} chunks, {self._refused} refused, {self._evicted} evicted"
        )
        print(f"  reactor late, of {len(self._late)} beats: {_quantiles(self._late)}")
        print(
            f"  not counting waits for a processor: {_quantiles(self._ours)}",
            flush=True,
        )


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mbps", type=float, default=200, help="megabytes a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--chunk-mib", type=int, default=8)
    parser.add_argument("--capacity-mib", type=int, default=2048)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    assert IReactorCore.providedBy(reactor)

    async def run() -> None:
        for idle in (True, False):
            with tempfile.TemporaryDirectory(
                prefix="eliop2p-bench-", dir=given.directory
            ) as scratch:
                fill = Fill(
                    scratch,
                    given.chunk_mib * _MIB,
                    given.capacity_mib * _MIB,
                    idle=idle,
                )
                seconds = given.seconds / 4 if idle else given.seconds
                await fill.run(given.mbps * 1e6, seconds)

    def begin() -> None:
        running = Deferred.fromCoroutine(run())
        running.addErrback(lambda failure: failure.printTraceback())
        running.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()

"""
Starting with a full disk tier: time until every chunk is known, time to the first hit,
memory per chunk.

    python -m benchmarks.disk_start [--chunks 1000000] [--directory DIR]
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from blake3 import blake3
from twisted.internet import reactor  # noqa: TID251
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.internet.task import LoopingCall

from benchmarks.load import resident
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.net.worker import ThreadWorker

_CAPACITY = 1 << 40
_CONTENT = b"a chunk"


def fill(directory: Path, count: int) -> None:
    """
    Make chunks of seven bytes, as fast as the file system can.
    """
    files = ChunkFiles(str(directory))
    files.claim()
    files.release()
    digest = Digest(blake3(_CONTENT).digest())
    for number in range(count):
        chunk_id = ChunkId(blake3(b"%d" % number).digest())
        name = ChunkName(chunk_id, len(_CONTENT), digest)
        fd = os.open(directory / name.path, os.O_WRONLY | os.O_CREAT)
        os.write(fd, _CONTENT)
        os.close(fd)


class Start:
    """
    One start of a tier, measured from within its process.
    """

    def __init__(self, directory: Path, count: int, eviction: str) -> None:
        assert IReactorFromThreads.providedBy(reactor)
        self._worker = ThreadWorker(reactor, "bench", 8)
        self._files = ChunkFiles(str(directory))
        settings = BackendSettings(_CAPACITY, str(directory), 0.9, 0.8, eviction)
        self._backend = DirectoryBackend(
            self._files, settings, self._worker, reactor, lambda _: None
        )
        self._count = count
        self._late: list[float] = []
        self._beat = 0.0

    async def run(self) -> None:
        """
        Start, and print what was measured.
        """
        self._worker.start()
        try:
            await self._measured()
        finally:
            await self._worker.stop()

    async def _measured(self) -> None:
        beat = LoopingCall(self._measure)
        before = resident(os.getpid())
        cpu = time.process_time()
        self._beat = began = time.perf_counter()
        beat.start(0.001, now=False)
        self._files.claim()
        starting = self._backend.start()
        wanted = random.Random(1).randrange(self._count)
        chunk_id = ChunkId(blake3(b"%d" % wanted).digest())
        handle = await self._backend.open(chunk_id)
        assert handle is not None
        handle.close()
        hit = time.perf_counter() - began
        await starting
        known = time.perf_counter() - began
        cpu = time.process_time() - cpu
        used = resident(os.getpid()) - before
        assert self._backend.usage().chunks == self._count
        late = sorted(self._late)
        beat.stop()
        print(
            f"  first hit after {hit * 1e3:.0f} ms, all {self._count} known after "
            f"{known:.2f} s ({cpu:.2f} s of processor time), "
            f"{used / self._count:.0f} bytes a chunk"
        )
        print(
            f"  reactor late: p99 {late[int(len(late) * 0.99)] * 1e3:.1f} ms, "
            f"max {late[-1] * 1e3:.1f} ms"
        )
        await self._backend.stop()
        stopped = time.perf_counter() - began
        print(f"  stopped after {stopped:.2f} s")

    def _measure(self) -> None:
        now = time.perf_counter()
        self._late.append(max(0.0, now - self._beat - 0.001))
        self._beat = now


def start(directory: Path, count: int, eviction: str) -> None:
    """
    Start a tier in this process.
    """
    assert IReactorCore.providedBy(reactor)

    def run() -> None:
        running = Deferred.fromCoroutine(Start(directory, count, eviction).run())
        running.addErrback(lambda failure: failure.printTraceback())
        running.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(run)
    reactor.run()


def drop_page_cache() -> bool:
    """
    Let the next start read everything from the disk, if we may.
    """
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    except OSError:
        return False
    return True


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--eviction", default="lru")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.start is not None:
        start(given.start, given.chunks, given.eviction)
        return
    with tempfile.TemporaryDirectory(
        prefix="eliop2p-bench-", dir=given.directory
    ) as scratch:
        print(f"making {given.chunks} files ...", flush=True)
        fill(Path(scratch), given.chunks)
        command = [sys.executable, "-m", "benchmarks.disk_start", "--start", scratch]
        command += ["--chunks", str(given.chunks), "--eviction", given.eviction]
        cold = drop_page_cache()
        print("cold:" if cold else "first (page cache as it is):", flush=True)
        subprocess.run(command, check=True)
        print("warm:", flush=True)
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

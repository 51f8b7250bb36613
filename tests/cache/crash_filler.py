"""
Fills a disk tier as a node would, on a reactor with threads, until it is killed; run by
:mod:`tests.cache.crashes`.

Says on standard output what it has done, one line each: ``held N``, ``synced N``, and,
before it happens, ``gone N``.
"""

import os
import random
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure

from eliop2p.cache import sync
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId
from eliop2p.net.worker import ThreadWorker
from eliop2p.testing.conformance import made_up, read_handle

CAPACITY = 8 * 1024 * 1024
NUMBERS = 200
LENGTHS = (1, 5000, 70_000, 300_000)
WRITERS = 4


def length_of(number: int) -> int:
    """
    Say how long a chunk is.
    """
    return LENGTHS[number % len(LENGTHS)]


def say(what: str, number: int) -> None:
    """
    Tell whoever kills this process.
    """
    os.write(1, f"{what} {number}\n".encode())


class Filler:
    """
    Puts, reads and removes chunks, several at a time.
    """

    def __init__(self, path: str, seed: int) -> None:
        # The process's own reactor: this is a process of its own.
        from twisted.internet import reactor  # noqa: PLC0415, TID251

        assert IReactorCore.providedBy(reactor)
        assert IReactorTime.providedBy(reactor)
        assert IReactorFromThreads.providedBy(reactor)
        self.reactor = reactor
        self._rng = random.Random(seed)
        self._busy: set[int] = set()
        self._numbers = {made_up(number)[0]: number for number in range(NUMBERS)}
        self._worker = ThreadWorker(reactor, "filler", WRITERS)
        files = ChunkFiles(path)
        files.claim()
        settings = BackendSettings(
            CAPACITY, path, 1.0, 0.95, "lru", scrub_rate=10 * CAPACITY
        )
        self._backend = DirectoryBackend(
            files, settings, self._worker, reactor, self._dropped
        )
        self._tell_of_syncs()

    def run(self) -> None:
        """
        Go on until killed.
        """
        self.reactor.callWhenRunning(self._begin)
        self.reactor.run()

    def _begin(self) -> None:
        self._worker.start()
        self._backend.start()
        for _ in range(WRITERS):
            Deferred.fromCoroutine(self._work()).addErrback(self._fail)

    def _fail(self, failure: Failure) -> None:
        failure.printTraceback(file=sys.stderr)
        self.reactor.stop()

    def _tell_of_syncs(self) -> None:
        synced = self._backend._sync._synced

        def tell(names: tuple[ChunkName, ...]) -> None:
            synced(names)
            for name in names:
                if self._backend.is_synced(name.chunk_id):
                    say("synced", self._numbers[name.chunk_id])

        self._backend._sync._synced = tell

    def _dropped(self, chunk_id: ChunkId) -> None:
        say("gone", self._numbers[chunk_id])

    async def _work(self) -> None:
        while True:
            number = self._rng.randrange(NUMBERS)
            # Of a chunk that is put while it is removed nobody could say what is right.
            if number not in self._busy:
                self._busy.add(number)
                await self._use(number, self._rng.random())
                self._busy.discard(number)

    async def _use(self, number: int, kind: float) -> None:
        if kind < 0.05:
            await self._remove(number)
        elif kind < 0.15:
            await self._read(number)
        elif await self._backend.put(*made_up(number, length_of(number))):
            say("held", number)

    async def _remove(self, number: int) -> None:
        say("gone", number)
        await self._backend.remove(made_up(number)[0])

    async def _read(self, number: int) -> None:
        handle = await self._backend.open(made_up(number)[0])
        if handle is not None:
            assert read_handle(handle) == made_up(number, length_of(number))[1]
            handle.close()


if __name__ == "__main__":
    sync.GROUP_SECONDS = 0.005
    Path(sys.argv[1]).mkdir(exist_ok=True)
    Filler(sys.argv[1], int(sys.argv[2])).run()

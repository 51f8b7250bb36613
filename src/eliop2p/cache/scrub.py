"""
Reads every chunk again and again, slowly, to find those that the disk has damaged.
"""

from collections.abc import Callable, Iterable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.disk_claim import DirectoryGone
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import FOLDERS, ChunkName
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import IWorker

ROUND_SECONDS = 3600.0
"""
How long a round lasts at least: a small tier need not be read all the time.
"""

_BATCH_BYTES = 1024 * 1024
_BATCH = 256

Failed = Callable[[ChunkName, CorruptChunk | OSError], Deferred[None]]


def _batches(names: Iterable[ChunkName]) -> Iterator[tuple[ChunkName, ...]]:
    """
    Put small chunks together.
    """
    batch: list[ChunkName] = []
    size = 0
    for name in names:
        batch.append(name)
        size += name.length
        if size >= _BATCH_BYTES or len(batch) == _BATCH:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)


def _verify(
    files: ChunkFiles, names: tuple[ChunkName, ...]
) -> list[tuple[ChunkName, CorruptChunk | OSError]]:
    """
    Read chunks; those that have been removed meanwhile are as they should be.
    """
    failures: list[tuple[ChunkName, CorruptChunk | OSError]] = []
    for name in names:
        try:
            files.verify(name)
        except DirectoryGone as error:
            return [(name, error)]
        except FileNotFoundError:
            continue
        except (CorruptChunk, OSError) as error:
            failures.append((name, error))
    return failures


class Scrubber:
    """
    Verifies chunks at a steady rate. Keeps no record of where it was: it begins a round
    at a folder that depends on the time.

    Attributes:
        bytes: How much has been verified so far.

    Args:
        files: The directory.
        worker: Where chunks are read.
        clock: Paces it.
        rate: Bytes a second; 0 for none at all.
        wanted: Tells whether a chunk is to be verified.
        failed: Told what is wrong with a chunk: CorruptChunk or OSError.
    """

    def __init__(
        self,
        files: ChunkFiles,
        worker: IWorker,
        clock: IReactorTime,
        *,
        rate: int,
        wanted: Callable[[ChunkName], bool],
        failed: Failed,
    ) -> None:
        self.bytes = 0
        self._files = files
        self._worker = worker
        self._clock = clock
        self._rate = rate
        self._wanted = wanted
        self._failed = failed
        self._tasks = Tasks()
        self._pause: tuple[IDelayedCall, Deferred[None]] | None = None
        self._stopped = False

    def start(self) -> None:
        """
        Begin the first round, once.
        """
        if self._rate and not self._tasks.running:
            self._tasks.run(self._rounds())

    def stop(self) -> Deferred[None]:
        """
        Read no more.
        """
        self._stopped = True
        pause, self._pause = self._pause, None
        if pause is not None:
            pause[0].cancel()
            pause[1].callback(None)
        return self._tasks.idle()

    async def _rounds(self) -> None:
        while not self._stopped:
            began = self._clock.seconds()
            for number in range(len(FOLDERS)):
                await self._read((int(began) + number) % len(FOLDERS))
            left = began + ROUND_SECONDS - self._clock.seconds()
            await self._wait(max(1.0, left))

    async def _read(self, folder: int) -> None:
        if self._stopped:
            return
        try:
            found = await self._worker.run(self._files.scan, folder)
        except OSError:
            return  # Whoever wants a chunk of it will notice.
        for batch in _batches(found.names):
            names = tuple(filter(self._wanted, batch))
            if names and not self._stopped:
                await self._check(names)

    async def _check(self, names: tuple[ChunkName, ...]) -> None:
        length = sum(name.length for name in names)
        for name, error in await self._worker.run(_verify, self._files, names):
            await self._failed(name, error)
        self.bytes += length
        await self._wait(length / self._rate)

    async def _wait(self, seconds: float) -> None:
        if self._stopped:
            return
        waiter: Deferred[None] = Deferred()
        self._pause = (self._clock.callLater(seconds, self._resume), waiter)
        await waiter

    def _resume(self) -> None:
        assert self._pause is not None
        pause, self._pause = self._pause, None
        pause[1].callback(None)

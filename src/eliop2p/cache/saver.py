"""
Takes what has come of one chunk to the disk while the rest is still coming.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import IPartialChunks
from eliop2p.model.chunk import MIB, Chunk
from eliop2p.model.ranges import Extents, Interval

STEP = MIB
"""
The bytes that a crash may cost: so many that came are written down. More may wait while
the disk is busy with what came before.
"""

LEAST = 64 * 1024
"""
Of how many bytes it is worth to begin a file, when no more will come.
"""

Read = Callable[[Interval], list[tuple[int, memoryview]]]


class Saver:
    """
    Saves the bytes of a chunk, one step after the other.

    Args:
        partials: Where to.
        chunk: Which chunk.
        read: Gives bytes that have come, with their places in the chunk.
        least: What is not written down at the end if it is all there is.
    """

    def __init__(
        self, partials: IPartialChunks, chunk: Chunk, read: Read, *, least: int = LEAST
    ) -> None:
        self._partials = partials
        self._chunk = chunk
        self._read = read
        self._least = least
        self._waiting = Extents()
        self._from_store = True
        self._saved = 0
        self._closed = False
        self._tasks = Tasks()

    def came(self, start: int, stop: int, *, from_store: bool) -> None:
        """
        Take note of bytes that have come.
        """
        if self._closed or start >= stop:
            return
        self._waiting.add(start, stop)
        self._from_store = self._from_store and from_store
        if self._waiting.total >= STEP and not self._tasks.running:
            self._tasks.run(self._save(STEP))

    def flush(self) -> Deferred[None]:
        """
        Save what is left, if that is worth it: no more may come.
        """
        return Deferred.fromCoroutine(self._flush())

    def close(self) -> None:
        """
        Save nothing more: the chunk is whole, or wrong.
        """
        self._closed = True

    async def _flush(self) -> None:
        await self._tasks.idle()
        if not self._closed and self._saved + self._waiting.total >= self._least:
            await self._tasks.run(self._save(1))

    async def _save(self, step: int) -> None:
        while self._waiting.total >= step and not self._closed:
            waiting, self._waiting = self._waiting, Extents()
            from_store, self._from_store = self._from_store, True
            pieces = [piece for extent in waiting for piece in self._read(extent)]
            kept = await self._partials.checkpoint(self._chunk, pieces, from_store)
            self._saved += waiting.total if kept else 0

"""
Lets chunks survive a power failure, many at a time.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.tasks import Tasks
from eliop2p.interfaces import IWorker

GROUP_SECONDS = 1.0
"""
The longest that a chunk waits for its group to be synced.
"""

GROUP_BYTES = 64 * 1024 * 1024
"""
The bytes at which a group does not wait any longer.
"""

MOST_BYTES = 4 * GROUP_BYTES
"""
Bytes that may be written and not synced; whoever wants to write more waits. Without a
bound the kernel would in the end make every writer on the machine wait.
"""


class GroupSync:
    """
    Syncs what has been written since the last time: the files, then their folders.

    Args:
        files: Where it was written.
        worker: Where syncing is waited for.
        clock: Says when the next group is due.
        synced: Told of a group that would survive a power failure now.
        failed: Told why a group might not; its chunks are not tried again, because a
            second call would not tell that the first has failed.
    """

    def __init__(
        self,
        files: ChunkFiles,
        worker: IWorker,
        clock: IReactorTime,
        synced: Callable[[tuple[ChunkName, ...]], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._files = files
        self._worker = worker
        self._clock = clock
        self._synced = synced
        self._failed = failed
        self._names: list[ChunkName] = []
        self._bytes = 0
        self._syncing = 0
        self._due: IDelayedCall | None = None
        self._tasks = Tasks()
        self._waiting: list[Deferred[None]] = []

    def written(self, name: ChunkName) -> None:
        """
        Take note of a chunk that has appeared.
        """
        self._names.append(name)
        self._bytes += name.length
        self._arm()

    async def room(self) -> None:
        """
        Wait until more may be written.
        """
        while self._bytes + self._syncing > MOST_BYTES:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    async def flush(self) -> None:
        """
        Sync what is left.
        """
        await self._tasks.idle()
        if self._names:
            await self._sync()

    def _arm(self) -> None:
        if self._syncing or not self._names:
            return
        if self._bytes >= GROUP_BYTES:
            self._begin()
        elif self._due is None:
            self._due = self._clock.callLater(GROUP_SECONDS, self._begin)

    def _begin(self) -> None:
        self._tasks.run(self._sync())

    async def _sync(self) -> None:
        due, self._due = self._due, None
        if due is not None and due.active():
            due.cancel()
        names, self._names = tuple(self._names), []
        self._syncing, self._bytes = max(self._bytes, 1), 0
        try:
            await self._worker.run(self._files.sync, names)
        except OSError as error:
            self._failed(error)
        else:
            # One that was removed and written again meanwhile is of the next group.
            again = set(self._names)
            self._synced(tuple(name for name in names if name not in again))
        finally:
            self._syncing = 0
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                waiter.callback(None)
        self._arm()

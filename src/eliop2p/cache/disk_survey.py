"""
What an earlier process left: its chunks, and in what order they were used.
"""

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from eliop2p.cache.disk_ceiling import Ceiling
from eliop2p.cache.disk_inventory import Inventory
from eliop2p.cache.disk_partials import Partials
from eliop2p.cache.disk_recent import LogSizes, Recency
from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.holdings import LONG_AGO
from eliop2p.cache.layout import FOLDERS
from eliop2p.cache.partial_files import FoundPartials
from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import ChunkId

_RECORDS_A_TURN = 500
_MOST_USES = 3


@attrs.frozen
class _Outset:
    """
    What is known before any folder is listed.
    """

    strange: int
    ceiling: int | None
    log: LogSizes
    partials: FoundPartials


class Survey:
    """
    Takes stock of the directory, at the start and after it has been away.

    Attributes:
        inventory: What is listed so far.
        accepts: Whether it is known how much room there is.

    Args:
        files: The directory.
        shelf: Takes what is found.
        inventory: Lists the folders.
        ceiling: What there is at most.
        recency: The order of use.
        partials: Takes the chunks that are not whole.
        worker: Where the directory is read.
        clock: Spreads long work over turns of the reactor.
    """

    def __init__(
        self,
        files: ChunkFiles,
        *,
        shelf: Shelf,
        inventory: Inventory,
        ceiling: Ceiling,
        recency: Recency,
        partials: Partials,
        worker: IWorker,
        clock: IReactorTime,
    ) -> None:
        self.inventory = inventory
        self.accepts = False
        self._files = files
        self._shelf = shelf
        self._ceiling = ceiling
        self._recency = recency
        self._partials = partials
        self._worker = worker
        self._clock = clock
        self._begun = False
        self._recalled = False
        self._stopped = False

    async def run(self) -> None:
        """
        List what is not listed yet; chunks can be taken meanwhile.

        Raises:
            OSError: The directory cannot be read; call again.
        """
        if not self._begun:
            outset = await self._worker.run(self._look)
            self._shelf.holdings.reserve(self._ceiling.size)
            self._recency.moved(outset.log)
            self._ceiling.set(outset.ceiling)
            self._partials.found(outset.partials)
            self.inventory.begin(self._ceiling.bytes, outset.strange)
            self._begun = True
            self.accepts = self._ceiling.known
        await self._list()

    async def run_again(self) -> None:
        """
        List everything once more: the directory has been out of sight.

        Raises:
            OSError: The directory cannot be read; call again.
        """
        if not self._begun:
            await self.run()
            return
        self.accepts = False
        outset = await self._worker.run(self._look)
        self._recency.moved(outset.log)
        self._ceiling.set(outset.ceiling)
        self._partials.found(outset.partials)
        self.inventory.begin(0, outset.strange)
        await self._list()

    async def recall(self) -> None:
        """
        Put the chunks in the order in which an earlier process used them.
        """
        if self._recalled or not self.inventory.complete:
            return
        self._recalled = True
        for count, (chunk_id, uses) in enumerate(await self._recency.load(), 1):
            self._place(chunk_id, uses)
            if not count % _RECORDS_A_TURN:
                await self._turn()
            if self._stopped:
                return

    def stop(self) -> None:
        """
        Go no further.
        """
        self._stopped = True

    def _look(self) -> _Outset:
        self._files.check_there()
        if not self._begun:
            self._files.clear_temporary()
        partials = self._partials.files.scan()
        return _Outset(
            self._files.scan_root() + partials.unknown,
            self._ceiling.read(),
            self._recency.files.sizes(),
            partials,
        )

    async def _list(self) -> None:
        # One at a time: two threads that parse slow each other and the reactor down.
        for number in range(len(FOLDERS)):
            if self._stopped:
                return
            await self.inventory.list_folder(number)
        self.accepts = True
        await self._partials.settle()
        await self._shelf.settle()

    def _place(self, chunk_id: ChunkId, uses: int) -> None:
        """
        Let a chunk appear to have come, and to have been used, now.
        """
        holdings = self._shelf.holdings
        entry = holdings.get(chunk_id)
        if entry is None or entry.pins:
            return
        holdings.remove(entry)
        holdings.add(entry)
        entry.uses = uses
        for _ in range(min(uses, _MOST_USES)):
            entry.counted = LONG_AGO
            holdings.touch(entry)

    def _turn(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn

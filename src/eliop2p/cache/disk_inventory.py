"""
Finds out what is in the directory, folder by folder.
"""

import gc
from collections import defaultdict

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from eliop2p.cache.disk_handle import DiskEntry
from eliop2p.cache.disk_shelf import Shelf
from eliop2p.cache.files import ChunkFiles, Found
from eliop2p.cache.layout import FOLDERS, size_on_disk
from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import ChunkId

_MANY = 256
"""
From how many chunks in a folder there are enough of them to slow down the collector.
"""


class Inventory:
    """
    Lists the folders, each once, sooner when somebody asks for a chunk in it.

    Until everything is listed, what is not found yet counts as the difference between
    what has been found and the ceiling.

    Args:
        files: The directory.
        shelf: Takes what is found.
        worker: Where folders are listed.
        writing: Chunks that are being written.
    """

    def __init__(
        self,
        files: ChunkFiles,
        shelf: Shelf,
        worker: IWorker,
        writing: set[ChunkId],
    ) -> None:
        self._files = files
        self._shelf = shelf
        self._worker = worker
        self._writing = writing
        self._listed = bytearray(len(FOLDERS))
        self._left = len(FOLDERS)
        self._waiting: dict[int, list[Deferred[None]]] = {}
        self._unfound = 0
        self._strange = 0
        self._again = False
        self._expected: dict[int, set[ChunkId]] = {}

    @property
    def complete(self) -> bool:
        """
        Whether every folder is listed.
        """
        return not self._left

    def begin(self, ceiling: int, strange: int) -> None:
        """
        Begin a listing, after which every folder counts as not listed.

        Chunks that are known and not found again are dropped.

        Args:
            ceiling: What is in the directory, at most.
            strange: Bytes in files outside of the folders.
        """
        holdings = self._shelf.holdings
        # If it is there still it will be found, as a chunk or as something strange.
        stuck, self._shelf.stuck = self._shelf.stuck, 0
        holdings.release(self._strange + self._unfound + stuck)
        holdings.reserve(strange)
        self._strange = strange
        self._unfound = max(0, ceiling - holdings.used)
        holdings.reserve(self._unfound)
        self._listed = bytearray(len(FOLDERS))
        self._left = len(FOLDERS)
        self._again = len(holdings) > 0
        self._expected = defaultdict(set)
        for entry in holdings:
            self._expected[entry.chunk_id[0]].add(entry.chunk_id)

    def covers(self, chunk_id: ChunkId) -> bool:
        """
        Tell whether the folder of a chunk is listed.
        """
        return bool(self._listed[chunk_id[0]])

    async def list_folder(self, number: int) -> None:
        """
        List a folder unless it is, or wait until it is.

        Args:
            number: Which: the first byte of the chunk ids in it.

        Raises:
            OSError: It cannot be listed.
        """
        if self._listed[number]:
            return
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiter: Deferred[None] = Deferred()
            waiting.append(waiter)
            await waiter
            return
        self._waiting[number] = []
        try:
            await self._list(number)
        except OSError:
            for waiter in self._waiting.pop(number):
                waiter.errback(Failure())
            raise
        for waiter in self._waiting.pop(number):
            waiter.callback(None)

    async def _list(self, number: int) -> None:
        found = await self._worker.run(self._files.scan, number)
        double = self._take(number, found)
        if double:
            await self._remove(double)
        missing = self._expected.pop(number, None)
        if missing:
            await self._forget(missing)
        self._listed[number] = True
        self._left -= 1
        if self.complete:
            self._shelf.holdings.release(self._unfound)
            self._unfound = 0

    def _take(self, number: int, found: Found) -> list[DiskEntry]:
        """
        Include what was found.

        Returns:
            Second files of chunks, none of which is needed.
        """
        holdings = self._shelf.holdings
        before = holdings.used
        holdings.reserve(found.unknown)
        self._strange += found.unknown
        names = found.names
        # Numbers that many entries have in common take memory once.
        sizes = {length: size_on_disk(length) for length in set(names.lengths)}
        entries = [
            DiskEntry(chunk_id, digest, length, sizes[length])
            for chunk_id, length, digest in zip(
                names.chunk_ids, names.lengths, names.digests, strict=True
            )
        ]
        double: list[DiskEntry] = []
        if self._again or len(set(names.chunk_ids)) < len(entries):
            entries, double = self._compare(number, entries)
        holdings.found(entries)
        less = min(self._unfound, holdings.used - before)
        holdings.release(less)
        self._unfound -= less
        if len(entries) >= _MANY:
            # None of this is garbage, and looking for some in a million of them would
            # stop everything for a good part of a second, again and again.
            gc.freeze()
        return double

    def _compare(
        self, number: int, found: list[DiskEntry]
    ) -> tuple[list[DiskEntry], list[DiskEntry]]:
        """
        Tell chunks that are not known yet from second files of those that are, leaving
        out what is known, being written or being removed.
        """
        expected = self._expected.get(number, set())
        busy = self._writing | self._shelf.leaving
        new: dict[ChunkId, DiskEntry] = {}
        double = []
        for entry in found:
            chunk_id = entry.chunk_id
            known = self._shelf.holdings.get(chunk_id) or new.get(chunk_id)
            if chunk_id in busy:
                continue
            if known is None:
                new[chunk_id] = entry
            elif known.name == entry.name:
                expected.discard(chunk_id)
            else:
                self._shelf.holdings.reserve(entry.size)
                double.append(entry)
        return list(new.values()), double

    async def _remove(self, entries: list[DiskEntry]) -> None:
        names = tuple(entry.name for entry in entries)
        errors = await self._worker.run(self._files.remove, names)
        for entry, error in zip(entries, errors, strict=True):
            if error is None:
                self._shelf.holdings.release(entry.size)

    async def _forget(self, chunk_ids: set[ChunkId]) -> None:
        entries = map(self._shelf.holdings.get, chunk_ids)
        await self._shelf.drop(tuple(entry for entry in entries if entry is not None))

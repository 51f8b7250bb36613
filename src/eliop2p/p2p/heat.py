"""
How often chunks are asked for.
"""

from collections import OrderedDict

from eliop2p.model.chunk import ChunkId

HOUR = 3600.0
MAX_CHUNKS = 100_000
"""
Chunks whose questions are counted; those not asked for longest go first.
"""


class Heat:
    """
    Counts questions in two halves of an hour each, the running and the last one: what
    was asked for stops to be hot within two hours, without a timer for each.

    Args:
        limit: How many chunks are counted.
    """

    def __init__(self, limit: int = MAX_CHUNKS) -> None:
        self._limit = limit
        self._counts: OrderedDict[ChunkId, tuple[int, int, int]] = OrderedDict()

    def note(self, chunk_id: ChunkId, now: float, times: int = 1) -> None:
        """
        A chunk was asked for, once or so many times.
        """
        hour, last, count = self._rolled(chunk_id, now)
        self._counts[chunk_id] = (hour, last, count + times)
        self._counts.move_to_end(chunk_id)
        if len(self._counts) > self._limit:
            self._counts.popitem(last=False)

    def of(self, chunk_id: ChunkId, now: float) -> int:
        """
        Tell how often a chunk was asked for within the last hour: what came in the hour
        before counts in proportion to what is left of it.
        """
        _, last, count = self._rolled(chunk_id, now)
        return count + round(last * (1 - now % HOUR / HOUR))

    def _rolled(self, chunk_id: ChunkId, now: float) -> tuple[int, int, int]:
        hour = int(now // HOUR)
        known, last, count = self._counts.get(chunk_id, (hour, 0, 0))
        if known == hour:
            return hour, last, count
        return hour, count if known == hour - 1 else 0, 0

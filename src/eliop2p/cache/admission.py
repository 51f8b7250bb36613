"""
What may move from disk to memory.
"""

from collections import OrderedDict

from eliop2p.model.chunk import ChunkId

WINDOW = 600.0
"""
Seconds within which a second use counts as one.
"""

LIMIT = 65_536
"""
The most first uses that are remembered.
"""


class SecondUse:
    """
    Tells the chunks that are used again from those that are read once, as in a scan.
    """

    def __init__(self) -> None:
        self._first: OrderedDict[ChunkId, float] = OrderedDict()

    def seen(self, chunk_id: ChunkId, now: float, window: float = WINDOW) -> bool:
        """
        Note a use.

        Args:
            chunk_id: Of which chunk.
            now: When, in seconds.
            window: How long ago another use may have been, in seconds.

        Returns:
            Whether there was one.
        """
        earlier = self._first.pop(chunk_id, None)
        self._first[chunk_id] = now
        if len(self._first) > LIMIT:
            self._first.popitem(last=False)
        return earlier is not None and now - earlier <= window


class Residence:
    """
    How long a chunk that was moved to memory stays there.

    One that is used less often would be gone before its next use: moving it costs a
    copy and brings nothing. The time is that of the chunk that left last, or longer
    when none has left for longer.

    Source: the characteristic time of Che, Tung and Wang, Hierarchical Web Caching
    Systems, 2002.
    """

    def __init__(self) -> None:
        self._came: OrderedDict[ChunkId, float] = OrderedDict()
        self._left = float("-inf")
        self._stay = 0.0

    def came(self, chunk_id: ChunkId, now: float) -> None:
        """
        Note that a chunk is in memory now.
        """
        self._came[chunk_id] = now
        if len(self._came) > LIMIT:
            self._came.popitem(last=False)

    def left(self, chunk_id: ChunkId, now: float) -> None:
        """
        Note that a chunk is no longer in memory, if it ever was.
        """
        came = self._came.pop(chunk_id, None)
        if came is not None:
            self._left, self._stay = now, now - came

    def time(self, now: float) -> float:
        """
        Give the time in seconds; infinite while no chunk has left.
        """
        return max(self._stay, now - self._left)

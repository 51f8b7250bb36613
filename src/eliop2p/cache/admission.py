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

    def seen(self, chunk_id: ChunkId, now: float) -> bool:
        """
        Note a use.

        Returns:
            Whether there was another one not long ago.
        """
        earlier = self._first.pop(chunk_id, None)
        self._first[chunk_id] = now
        if len(self._first) > LIMIT:
            self._first.popitem(last=False)
        return earlier is not None and now - earlier <= WINDOW

"""
Who may take the bytes of a chunk from whom while it is still arriving.

The waits-for graph of the nodes that receive a chunk from each other must stay free of
cycles, or they would wait for each other for ever. One rule that every node can check
alone keeps it so, whatever homes propose.
"""

from collections.abc import Callable

import attrs

from eliop2p.model.chunk import ChunkId

EPOCH_SHIFT = 32
"""
A ticket is the epoch of the home that gave it, above these bits, and a number that this
home gives once: no two are equal, whoever gave them.
"""


def may_attach(offset: int, ticket: int, filled: int, own_ticket: int) -> bool:
    """
    Tell whether a node that is receiving a chunk may pass it on to another.

    Either it is strictly ahead; or neither has a byte and its ticket is the smaller.
    Who takes bytes is never ahead of who gives them, so nobody finds another source
    among those who take from it, directly or not. A node that holds the chunk, or reads
    it from the store until the end, waits for nobody and may serve all.

    Args:
        offset: The bytes that the other has.
        ticket: Its place among the receivers, 0 when it has none.
        filled: The bytes that this node has.
        own_ticket: The place of this node, 0 when it has none. It must stay the same
            as long as this node goes on receiving.
    """
    return filled > offset or (filled == offset == 0 and 0 < own_ticket < ticket)


@attrs.frozen
class Standing:
    """
    How far a node is in getting a chunk.

    Attributes:
        ticket: Its place among the receivers, 0 while it has none.
        reads_store: Whether it reads the chunk from the store, to the end.
    """

    ticket: int = 0
    reads_store: bool = False


class Standings:
    """
    How far this node is with each chunk that it is getting.
    """

    def __init__(self) -> None:
        self._by_chunk: dict[ChunkId, Standing] = {}
        self._watchers: dict[ChunkId, list[Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._by_chunk)

    @property
    def attached(self) -> int:
        """
        The number of those who get a chunk from this node that is arriving here.
        """
        return sum(map(len, self._watchers.values()))

    def of(self, chunk_id: ChunkId) -> Standing:
        """
        Give the standing; that of nobody when the chunk is not being got.
        """
        return self._by_chunk.get(chunk_id, _NOBODY)

    def join(self, chunk_id: ChunkId, ticket: int) -> int:
        """
        Take a ticket, unless there is one: it stays the same until the end.

        Returns:
            The ticket that stands.
        """
        return self._by_chunk.setdefault(chunk_id, Standing(ticket)).ticket

    def read_store(self, chunk_id: ChunkId) -> None:
        """
        Note that the chunk is read from the store from now on.
        """
        self._by_chunk[chunk_id] = Standing(self.of(chunk_id).ticket, True)

    def leave(self, chunk_id: ChunkId) -> None:
        """
        Forget the chunk: it is no longer being got.
        """
        self._by_chunk.pop(chunk_id, None)

    def watch(
        self, chunk_id: ChunkId, stalled: Callable[[], None]
    ) -> Callable[[], None]:
        """
        Be told when this node has nobody to get a chunk from.

        Returns:
            Ends that; to be called once.
        """
        watchers = self._watchers.setdefault(chunk_id, [])
        watchers.append(stalled)

        def end() -> None:
            watchers.remove(stalled)
            if not watchers:
                del self._watchers[chunk_id]

        return end

    def stall(self, chunk_id: ChunkId) -> None:
        """
        Tell those who get the chunk from this node that it has nobody to get it from.
        """
        for stalled in tuple(self._watchers.get(chunk_id, ())):
            stalled()


_NOBODY = Standing()

"""
Which nodes hold which chunks, as far as they have said.
"""

from collections.abc import Iterable

from eliop2p.model.chunk import ChunkId


class Locations:
    """
    A bounded table of pairs of chunk and holder. When it is full it learns nothing
    more until something goes.

    Args:
        limit: How many pairs it may hold.

    Attributes:
        pairs: How many pairs it holds.
    """

    def __init__(self, limit: int) -> None:
        self.pairs = 0
        self._limit = limit
        # A tuple for each chunk: most have one holder or two, and a set of one takes
        # four times the memory. Which node holds what is asked of the sets by node.
        self._holders: dict[ChunkId, tuple[str, ...]] = {}
        self._held: dict[str, set[ChunkId]] = {}

    @property
    def chunks(self) -> int:
        """
        How many chunks have a holder.
        """
        return len(self._holders)

    def count(self, node_id: str) -> int:
        """
        Tell how many chunks a node is known to hold.
        """
        return len(self._held.get(node_id, ()))

    def add(self, node_id: str, chunk_ids: Iterable[ChunkId]) -> int:
        """
        Learn what a node holds.

        Returns:
            How many pairs found no room.
        """
        held = self._held.setdefault(node_id, set())
        ignored = 0
        for chunk_id in chunk_ids:
            if chunk_id in held:
                continue
            if self.pairs >= self._limit:
                ignored += 1
                continue
            held.add(chunk_id)
            self._holders[chunk_id] = (*self._holders.get(chunk_id, ()), node_id)
            self.pairs += 1
        return ignored

    def discard(self, node_id: str, chunk_ids: Iterable[ChunkId]) -> None:
        """
        Learn what a node no longer holds.
        """
        held = self._held.get(node_id, set())
        for chunk_id in chunk_ids:
            if chunk_id in held:
                held.remove(chunk_id)
                self._forget(node_id, chunk_id)

    def drop(self, node_id: str) -> None:
        """
        Forget all that a node holds.
        """
        for chunk_id in self._held.pop(node_id, set()):
            self._forget(node_id, chunk_id)

    def holders(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the nodes that hold a chunk, in the order in which they said so.
        """
        return self._holders.get(chunk_id, ())

    def _forget(self, node_id: str, chunk_id: ChunkId) -> None:
        others = tuple(name for name in self._holders[chunk_id] if name != node_id)
        if others:
            self._holders[chunk_id] = others
        else:
            del self._holders[chunk_id]
        self.pairs -= 1

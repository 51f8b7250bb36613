"""
A few nodes whose parts fail.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.interfaces import (
    Fetched,
)
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import (
    chunks_of,
)


class FaultCase(SynchronousTestCase):
    """
    A cluster of a few nodes whose parts fail.
    """

    def setUp(self) -> None:
        """
        Make a cluster.
        """
        self.cluster = Cluster(6)
        (self.chunk,) = chunks_of(1)
        self.home = self.cluster.home_of(self.chunk)
        self.second = self.cluster.home_of(self.chunk, 1)
        self.others = self.cluster.others(self.home, self.second)

    def filled(self, node: Node) -> int:
        """
        Tell how far a node is.
        """
        return node.chunks.flights[self.chunk.id].filled

    def begin_reading(
        self, *, wrong: bool = False
    ) -> tuple[Node, list[Node], "list[Deferred[Fetched]]"]:
        """
        Let one node read the store, and others get the first bytes from it.

        Args:
            wrong: Whether it gives them others than the store's.

        Returns:
            The reader, the others, and what these wait for.
        """
        reader, *waiting = self.others
        if wrong:
            reader.lie = lambda data: bytes(len(data))
        self.reading = reader.fetch(self.chunk).addErrback(lambda _: None)
        self.cluster.run(0.01)
        fetching = [node.fetch(self.chunk) for node in waiting]
        self.cluster.run(0.05)
        return reader, waiting, fetching

    def kill(self, reader: Node) -> int:
        """
        Let the reader die.

        Returns:
            How many bytes have been read from the store.
        """
        self.cluster.kill(reader.node_id)
        self.reading.cancel()
        return self.cluster.store.bytes_read

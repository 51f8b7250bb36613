"""
Tests for :mod:`eliop2p.p2p.opened`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import Chunk
from eliop2p.p2p import opened
from eliop2p.p2p.opened import TOLD_EVERY
from tests.p2p.tiny_cluster import Cluster
from tests.p2p.tiny_parts import chunks_of


class OpenedTests(SynchronousTestCase):
    """
    What homes are told of reads.
    """

    def setUp(self) -> None:
        """
        Make a cluster in which one node has it all.
        """
        self.cluster = Cluster(3)
        self.holder = next(iter(self.cluster))

    def heat(self, chunk: Chunk) -> int:
        """
        Tell what the first home of a chunk believes.
        """
        return self.cluster.home_of(chunk, 0).swarm.requests._home.place(chunk.id).heat

    def test_told(self) -> None:
        """
        After a while the first home of each chunk knows of all reads, by a message or
        two for each home; then nothing more is told.
        """
        chunks = chunks_of(200)
        for chunk in chunks:
            for _ in range(3):
                self.holder.transfers.opened(chunk.id)
        self.cluster.run(TOLD_EVERY - 0.5)
        self.assertEqual(self.holder.links.told, 0)
        self.cluster.run(1)
        self.assertEqual([self.heat(chunk) for chunk in chunks], [3] * 200)
        self.assertLessEqual(self.holder.links.told, 2)
        told = self.holder.links.told
        self.cluster.run(2 * TOLD_EVERY)
        self.assertEqual(self.holder.links.told, told)

    def test_bounded(self) -> None:
        """
        No more chunks are counted than there is room for; those that are, in full.
        """
        self.patch(opened, "MAX_COUNTED", 2)
        one, other, third = chunks_of(3)
        for chunk in (one, other, third, one):
            self.holder.transfers.opened(chunk.id)
        self.cluster.run(TOLD_EVERY + 0.5)
        self.assertEqual([self.heat(each) for each in (one, other, third)], [2, 1, 0])

    def test_stopped(self) -> None:
        """
        A node that stops tells nothing more, and leaves no timer.
        """
        (chunk,) = chunks_of(1)
        self.holder.transfers.opened(chunk.id)
        self.holder.transfers.stop()
        self.holder.transfers.opened(chunk.id)
        self.cluster.run(TOLD_EVERY + 0.5)
        self.assertEqual(self.heat(chunk), 0)

"""
Tests for what becomes of chunks whose homes cannot be reached.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.home import STAND_IN_AFTER
from eliop2p.p2p.rendezvous import DEEPEST
from eliop2p.wire.events import Get, Locate, Verdict
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import chunks_of, content


class StandingInTests(SynchronousTestCase):
    """
    Eight nodes, of which all may lose the first homes of a chunk.
    """

    def setUp(self) -> None:
        """
        Choose a chunk with its homes.
        """
        self.cluster = Cluster(8)
        (self.chunk,) = chunks_of(1)
        self.homes = [self.cluster.home_of(self.chunk, place) for place in range(8)]

    def lose(self, count: int) -> None:
        """
        Cut the first homes off from all others.
        """
        for node in self.homes[count:]:
            for home in self.homes[:count]:
                node.links.cut.add(home.node_id)
                node.links.suspect(home.node_id)

    def ask(self, home: Node, *rejected: str) -> Verdict:
        """
        Ask a node as a home of the chunk.
        """
        request = Locate(7, self.chunk.id, 0, True, rejected)
        return home.swarm.requests.locate(self.homes[7].node_id, request).verdict

    def test_told(self) -> None:
        """
        Who stands in for lost homes is told of the chunks that nodes have got lately.
        """
        holder = self.homes[6]
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        self.assertEqual(self.homes[2].swarm.directory.holders(self.chunk.id), ())
        self.lose(2)
        self.cluster.run(0.2)
        holders = self.homes[2].swarm.directory.holders(self.chunk.id)
        self.assertEqual(holders, (holder.node_id,))

    def test_one_told(self) -> None:
        """
        The first of those who stand in is told, and the next one when that is lost.
        """
        self.homes[6].hold(self.chunk)
        self.cluster.run(0.1)
        for lost, told in ((2, 2), (3, 3)):
            self.lose(lost)
            self.cluster.run(0.2)
            for home in self.homes[told + 1 : 6]:
                self.assertEqual(home.swarm.directory.holders(self.chunk.id), ())
            holders = self.homes[told].swarm.directory.holders(self.chunk.id)
            self.assertEqual(holders, (self.homes[6].node_id,))

    def test_first_home_stays(self) -> None:
        """
        Where the first home is there, and was told, nobody is told in place of another.
        """
        holder = self.homes[6]
        holder.hold(self.chunk)
        self.cluster.run(0.1)
        holder.links.cut.add(self.homes[1].node_id)
        holder.links.suspect(self.homes[1].node_id)
        self.cluster.run(0.2)
        self.assertEqual(self.homes[2].swarm.directory.holders(self.chunk.id), ())

    def test_alone(self) -> None:
        """
        A node that has lost everybody who could be a home of a chunk tells nobody.
        """
        cluster = Cluster(DEEPEST + 1)
        *others, holder = [
            cluster.home_of(self.chunk, place) for place in range(DEEPEST + 1)
        ]
        holder.hold(self.chunk)
        cluster.run(0.1)
        for node in others:
            holder.links.cut.add(node.node_id)
            holder.links.suspect(node.node_id)
        cluster.run(0.2)
        told = [node for node in others if node.swarm.directory.holders(self.chunk.id)]
        self.assertEqual(told, others[:2])

    def test_gone(self) -> None:
        """
        It is told as well when the chunk is gone.
        """
        holder = self.homes[6]
        holder.hold(self.chunk)
        self.lose(2)
        self.cluster.run(0.2)
        holder.transfers.withdraw(self.chunk.id)
        self.cluster.run(0.2)
        self.assertEqual(self.homes[2].swarm.directory.holders(self.chunk.id), ())

    def test_one_read(self) -> None:
        """
        Nodes that have lost all homes of a chunk, and the node next in rank, agree on
        who stands in, and read the store once.
        """
        self.lose(4)
        fetching = [node.fetch(self.chunk) for node in self.homes[4:]]
        self.cluster.run(5)
        sources = [self.successResultOf(each).source for each in fetching]
        self.assertEqual(sorted(sources), ["origin", "peer", "peer", "peer"])
        self.assertEqual(len(self.cluster.store.reads), 1)

    def test_waits(self) -> None:
        """
        Who stands in lets nobody read the store before holders can have told it.
        """
        third, lost = self.homes[2], [home.node_id for home in self.homes[:2]]
        self.assertEqual(self.ask(third, *lost), Verdict.WAIT)
        self.cluster.run(STAND_IN_AFTER / 2)
        self.assertEqual(self.ask(third, *lost), Verdict.WAIT)
        self.cluster.run(STAND_IN_AFTER / 2)
        self.assertEqual(self.ask(third, *lost), Verdict.LEASE)

    def test_further_home(self) -> None:
        """
        A further home, which was told of leases and holders, need not wait when it was
        told of none.
        """
        verdict = self.ask(self.homes[1], self.homes[0].node_id)
        self.assertEqual(verdict, Verdict.LEASE)

    def test_uploads(self) -> None:
        """
        Uploads to a peer that cannot be reached take no slots from others.
        """
        node, gone = self.homes[6], self.homes[7].node_id
        node.hold(self.chunk)
        requests = node.swarm.requests
        request = Get(1, self.chunk.id, 0, 0)
        uploads = [self.successResultOf(requests.open(gone, request)) for _ in range(3)]
        self.assertEqual(requests.uploads, 3)
        node.links.suspect(gone)
        self.assertEqual(requests.uploads, 0)
        for upload in uploads:
            upload.close()
        self.assertEqual(requests.uploads, 0)
        other = self.successResultOf(requests.open("other", request))
        self.assertEqual(other.length, len(content(self.chunk)))
        self.assertEqual(requests.uploads, 1)

"""
Tests for :mod:`eliop2p.p2p.announcements`.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import Chunk
from tests.p2p.tiny_cluster import Cluster, Node
from tests.p2p.tiny_parts import chunks_of, membership_of


class AnnouncementsTests(SynchronousTestCase):
    """
    What homes are told.
    """

    def check_known(self, cluster: Cluster, holder: Node, chunks: list[Chunk]) -> None:
        """
        Check that both homes of each chunk list its holder.
        """
        for chunk in chunks:
            for place in (0, 1):
                directory = cluster.home_of(chunk, place).swarm.directory
                self.assertIn(holder.node_id, directory.holders(chunk.id))

    def test_batched(self) -> None:
        """
        Many chunks take few messages, and both homes of each know.
        """
        cluster = Cluster(3)
        holder = next(iter(cluster))
        chunks = chunks_of(2000)
        for chunk in chunks:
            holder.hold(chunk)
        cluster.run(0.1)
        self.check_known(cluster, holder, chunks)
        self.assertLessEqual(holder.links.told, 10)

    def test_last_word(self) -> None:
        """
        Of what is said in quick succession, the last stands.
        """
        cluster = Cluster(3)
        holder = next(iter(cluster))
        (chunk,) = chunks_of(1)
        holder.hold(chunk)
        holder.transfers.withdraw(chunk.id)
        holder.hold(chunk)
        cluster.run(0.1)
        self.check_known(cluster, holder, [chunk])
        holder.hold(chunk)
        holder.transfers.withdraw(chunk.id)
        cluster.run(0.1)
        for node in cluster:
            self.assertEqual(node.swarm.directory.holders(chunk.id), ())

    def test_new_member(self) -> None:
        """
        A newcomer learns of the chunks whose home it is now, and nobody is told what
        it knows.
        """
        cluster = Cluster(4)
        holder = next(iter(cluster))
        chunks = chunks_of(300)
        for chunk in chunks:
            holder.hold(chunk)
        cluster.run(2)
        told = holder.links.told
        cluster.nodes["newcomer"] = Node(cluster, "newcomer")
        cluster.agree()
        cluster.run(2)
        self.check_known(cluster, holder, chunks)
        self.assertLessEqual(holder.links.told, told + 2)

    def test_plenty(self) -> None:
        """
        Further homes are told of a few holders of a chunk only; one that replaces the
        first home is told of all.
        """
        cluster = Cluster(12)
        (chunk,) = chunks_of(1)
        first, second = cluster.home_of(chunk), cluster.home_of(chunk, 1)
        for node in (first, second, *cluster.others(first, second)):
            node.fetch(chunk)
            cluster.run(1)
        self.assertEqual(len(first.swarm.directory.holders(chunk.id)), 12)
        self.assertLess(len(second.swarm.directory.holders(chunk.id)), 8)
        cluster.kill(first.node_id)
        cluster.agree()
        cluster.run(2)
        self.assertEqual(len(second.swarm.directory.holders(chunk.id)), 11)

    def test_no_longer_alone(self) -> None:
        """
        What a node gathered alone is announced when others come, and again when they
        come back.
        """
        cluster = Cluster(1)
        (holder,) = cluster
        early, late = chunks_of(100)[:50], chunks_of(100)[50:]
        for chunk in early:
            holder.hold(chunk)
        for name in ("b", "c"):
            cluster.nodes[name] = Node(cluster, name)
        cluster.agree()
        cluster.run(2)
        self.check_known(cluster, holder, early)
        holder.membership.update(membership_of(holder.node_id))
        for chunk in late:
            holder.hold(chunk)
        cluster.run(2)
        cluster.agree()
        cluster.run(2)
        self.check_known(cluster, holder, early + late)

    def test_restarted_home(self) -> None:
        """
        A home that was away and came back, empty, is told again, even when the holder
        saw both changes at once.
        """
        cluster = Cluster(3)
        holder = next(iter(cluster))
        chunks = chunks_of(50)
        for chunk in chunks:
            holder.hold(chunk)
        cluster.run(2)
        everybody = list(cluster.nodes)
        away = everybody[-1]
        cluster.nodes[away] = Node(cluster, away)
        holder.membership.update(membership_of(*everybody[:-1]))
        cluster.agree()
        cluster.run(2)
        self.check_known(cluster, holder, chunks)

    def test_changes_meanwhile(self) -> None:
        """
        Members that change while homes are being told, and chunks that come and go
        meanwhile, are all told right.
        """
        cluster = Cluster(3)
        holder = next(iter(cluster))
        chunks = chunks_of(3000)
        for chunk in chunks[:2900]:
            holder.hold(chunk)
        cluster.run(1)
        for number in range(3):
            cluster.nodes[f"new-{number}"] = Node(cluster, f"new-{number}")
            cluster.agree()
            cluster.run(0.53)
        gone = chunks[2800:2900]
        for chunk in gone:
            del holder.chunks.flights[chunk.id]
            holder.transfers.withdraw(chunk.id)
        for chunk in chunks[2900:]:
            holder.hold(chunk)
        cluster.run(5)
        self.check_known(cluster, holder, chunks[:2800] + chunks[2900:])
        for chunk in gone:
            for place in (0, 1):
                directory = cluster.home_of(chunk, place).swarm.directory
                self.assertEqual(directory.holders(chunk.id), ())

    def test_stop(self) -> None:
        """
        Stopping says what waits; nothing is said after it, and no timer is left.
        """
        cluster = Cluster(3)
        holder = next(iter(cluster))
        cluster.run(1)
        (chunk,) = chunks_of(1)
        holder.hold(chunk)
        cluster.agree()
        for node in cluster:
            node.swarm.stop()
        told = holder.links.told
        holder.transfers.withdraw(chunk.id)
        cluster.run(0.01)
        self.assertEqual(holder.links.told, told)
        self.check_known(cluster, holder, [chunk])
        self.assertEqual(cluster.clock.getDelayedCalls(), [])

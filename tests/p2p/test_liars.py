"""
Members that lie about chunks, and what that costs the others.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.interfaces import Fetched
from eliop2p.model.chunk import Digest
from eliop2p.p2p.patience import LAST_RESORT_AFTER
from eliop2p.wire.events import Gone, Holder, Leased, Locate, Located, Verdict
from tests.p2p.tiny_cluster import Cluster
from tests.p2p.tiny_parts import chunks_of, content, digest_of

FALSE = Digest(b"f" * 32)


class LiarCase(SynchronousTestCase):
    """
    Six nodes, of which one lies: neither a home of the chunk nor an asker.
    """

    def setUp(self) -> None:
        """
        Make the nodes.
        """
        self.cluster = Cluster(6)
        (self.chunk,) = chunks_of(1)
        self.home = self.cluster.home_of(self.chunk)
        self.second = self.cluster.home_of(self.chunk, 1)
        self.liar, *self.askers = self.cluster.others(self.home, self.second)

    def fetch_all(self, seconds: float) -> "list[Deferred[Fetched]]":
        """
        Let every honest node that is no home get the chunk; all must have it in time.
        """
        fetching = [asker.fetch(self.chunk) for asker in self.askers]
        self.cluster.run(seconds)
        for asker, fetched in zip(self.askers, fetching, strict=True):
            self.successResultOf(fetched)
            self.assertTrue(asker.has(self.chunk))
        return fetching

    def reads(self) -> int:
        """
        Count the reads of the store.
        """
        return len(self.cluster.store.reads)


class AnnouncedTests(LiarCase):
    """
    A node that says it holds what it does not.
    """

    def announce(self, digest: Digest | None = None) -> None:
        """
        Say it to the homes.
        """
        truth = digest_of(content(self.chunk))
        self.liar.transfers.announce(self.chunk.id, digest or truth)
        self.cluster.run(0.05)

    def test_nothing_there(self) -> None:
        """
        Those that are sent to it ask it once each, and get the chunk from elsewhere;
        the store is read once.
        """
        self.announce()
        self.fetch_all(2.0)
        self.assertEqual(self.reads(), 1)
        for asker in self.askers:
            self.assertLessEqual(asker.transfers.counters.peer_failures, 1)

    def test_again_and_again(self) -> None:
        """
        However often it says so, nobody waits longer and the store is read once.
        """
        for number in range(40):
            self.cluster.clock.callLater(0.05 * number, self.announce_later)
        self.fetch_all(2.5)
        self.assertEqual(self.reads(), 1)

    def announce_later(self) -> None:
        """
        Say it once more.
        """
        truth = digest_of(content(self.chunk))
        self.liar.transfers.announce(self.chunk.id, truth)

    def test_a_digest_of_its_own(self) -> None:
        """
        A false digest is forgotten as soon as somebody has read the store.
        """
        self.announce(FALSE)
        self.fetch_all(2.0)
        late = self.second.fetch(self.chunk)
        self.cluster.run(1.0)
        self.successResultOf(late)
        self.assertEqual(self.reads(), 1)
        holders = self.home.swarm.directory.holders(self.chunk.id)
        self.assertNotIn(self.liar.node_id, holders)

    def test_a_lease_of_its_own(self) -> None:
        """
        Who says that a node has the lease which reads nothing delays the others for a
        moment only.
        """
        for victim in (self.liar, self.askers[0]):
            said = Leased(self.chunk.id, victim.node_id)
            for home in (self.home, self.second):
                home.swarm.requests.told(self.liar.node_id, said)
        self.fetch_all(3.0)
        self.assertLessEqual(self.reads(), 2)

    def test_gone_for_others(self) -> None:
        """
        Who says that a chunk is gone speaks for itself alone.
        """
        honest = self.askers[0]
        honest.hold(self.chunk)
        self.cluster.run(0.05)
        for home in (self.home, self.second):
            home.swarm.requests.told(self.liar.node_id, Gone((self.chunk.id,)))
        holders = self.home.swarm.directory.holders(self.chunk.id)
        self.assertEqual(holders, (honest.node_id,))


class TrickleTests(LiarCase):
    """
    A node that holds a chunk and sends it a byte at a time.
    """

    def test_the_only_holder(self) -> None:
        """
        It is given up for the store, though there is always a next byte; those who have
        turned to each other in vain meanwhile read it twice at most.
        """
        self.liar.hold(self.chunk)
        self.liar.piece, self.liar.piece_seconds = 1, 0.3
        self.cluster.run(0.05)
        self.fetch_all(LAST_RESORT_AFTER)
        self.assertLessEqual(self.reads(), 2)

    def test_one_of_two(self) -> None:
        """
        The other holder is asked before long.
        """
        self.liar.hold(self.chunk)
        self.liar.piece, self.liar.piece_seconds = 1, 0.3
        self.askers.pop().hold(self.chunk)
        self.cluster.run(0.05)
        self.fetch_all(3.0)
        self.assertEqual(self.reads(), 0)


class HomeTests(LiarCase):
    """
    A home that gives useless answers.
    """

    def answer(self, *holders: Holder, verdict: Verdict = Verdict.HOLDERS) -> None:
        """
        Let the first home answer always the same.
        """
        self.asked = 0

        def locate(_asker: str, request: Locate) -> Located:
            self.asked += 1
            return Located(request.request_id, verdict, 1, b"", holders)

        self.patch(self.home.swarm.requests, "locate", locate)

    def test_nobody_there(self) -> None:
        """
        A home that names nobody but those that failed is left for the next one.
        """
        self.answer(*[Holder(f"nobody-{n}", True, "10.9.9.9", 9) for n in range(3)])
        self.fetch_all(4.0)
        self.assertEqual(self.reads(), 1)
        self.assertLess(self.asked, 10 * len(self.askers))

    def test_itself(self) -> None:
        """
        So is one that sends everybody to itself and has nothing.
        """
        self.answer(Holder(self.home.node_id, True))
        self.fetch_all(4.0)
        self.assertEqual(self.reads(), 1)

    def test_in_circles(self) -> None:
        """
        One that says it is no home, but another is, is asked a bounded number of times.
        """
        names = [Holder(node.node_id, False) for node in self.cluster]
        self.answer(*names, verdict=Verdict.NOT_HOME)
        self.fetch_all(4.0)
        self.assertLessEqual(self.reads(), len(self.askers))
        self.assertLess(self.asked, 10 * len(self.askers))

    def test_wait(self) -> None:
        """
        One that always tells to wait costs those who can read the store a bounded time;
        they are asked for patience no more often than twice a second.
        """
        self.answer(verdict=Verdict.WAIT)
        self.fetch_all(LAST_RESORT_AFTER + 2.0)
        self.assertLess(self.asked, 4 * LAST_RESORT_AFTER * len(self.askers))

    def test_lease_for_all(self) -> None:
        """
        One that gives everybody the lease has no more than everybody read.
        """
        self.answer(verdict=Verdict.LEASE)
        self.fetch_all(2.0)
        self.assertLessEqual(self.reads(), len(self.askers))

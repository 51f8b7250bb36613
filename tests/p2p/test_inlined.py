"""
Small chunks that come with the answer of their home.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import CorruptChunk
from eliop2p.wire.cluster_events import MAX_INLINED, Inlined
from eliop2p.wire.codec import encode
from eliop2p.wire.events import MAJOR, Get, Hello, Locate, Located, Verdict
from eliop2p.wire.rules import Event
from tests.p2p.chunk_requests import DIGEST, Taker, chunk_id
from tests.p2p.protocol_case import ConnectionCase
from tests.p2p.tiny_cluster import Cluster
from tests.p2p.tiny_parts import CHUNK, chunks_of, content


class AnswerTests(ConnectionCase):
    """
    What a home says to whom.
    """

    def ask(self) -> list[Event]:
        """
        Ask for a chunk that is small.
        """
        self.requests.inlines[chunk_id(1)] = b"small"
        self.say(Locate(1, chunk_id(1), 0, True, ()))
        return self.heard()

    def test_small(self) -> None:
        """
        A small chunk comes with the answer, in one round trip.
        """
        self.establish()
        self.assertEqual(self.ask(), [Inlined(1, DIGEST, b"small")])

    def test_older_peer(self) -> None:
        """
        A peer that speaks 1.0 is told where the chunk is.
        """
        self.peer._hello = Hello(MAJOR, 0, "peer", b"p" * 32)
        self.peer._output = [encode(self.peer._hello)]
        self.establish()
        self.assertEqual(self.ask(), [Located(1, Verdict.LEASE, 7, b"", ())])

    def test_full(self) -> None:
        """
        So is one that does not read what it is sent: chunks must not pile up.
        """
        self.establish()
        self.connection.pauseProducing()
        self.assertEqual(self.ask(), [Located(1, Verdict.LEASE, 7, b"", ())])

    def test_asked(self) -> None:
        """
        The asker gets the answer, and nothing more is under way.
        """
        self.establish()
        asked = self.connection.calls.ask(Locate(0, chunk_id(1), 0, True, ()))
        (request,) = self.heard()
        assert isinstance(request, Locate)
        self.say(Inlined(request.request_id, DIGEST, bytes(MAX_INLINED)))
        answer = self.successResultOf(asked)
        assert isinstance(answer, Inlined)
        self.assertEqual(len(answer.data), MAX_INLINED)

    def test_not_asked(self) -> None:
        """
        A chunk that answers a request for bytes, or none, ends the connection.
        """
        for request in (Get(0, chunk_id(1), 0, 0), None):
            self.setUp()
            self.establish()
            number = 9
            if request is not None:
                got = self.connection.calls.get(request, Taker())
                got.addErrback(lambda _: None)
                (asked,) = self.heard()
                assert isinstance(asked, Get)
                number = asked.request_id
            self.receive(encode(Inlined(number, DIGEST, b"x")))
            self.assertTrue(self.transport.disconnected)


class PursuitTests(SynchronousTestCase):
    """
    Getting a chunk that its home holds.
    """

    def setUp(self) -> None:
        """
        Let the home hold a chunk.
        """
        self.cluster = Cluster(4)
        (self.chunk,) = chunks_of(1)
        self.home = self.cluster.home_of(self.chunk)
        self.home.chunks.inlines = True
        self.home.hold(self.chunk)
        self.asker, self.other, *_ = self.cluster.others(self.home)
        self.cluster.run(0.05)

    def test_one_round_trip(self) -> None:
        """
        One question, one answer: the chunk is there after two milliseconds, checked and
        accounted for.
        """
        asked = self.asker.links.asked
        fetching = self.asker.fetch(self.chunk)
        self.cluster.run(0.0021)
        self.assertEqual(self.successResultOf(fetching).source, "peer")
        self.assertTrue(self.asker.has(self.chunk))
        self.assertEqual(self.asker.links.asked, asked + 1)
        self.assertEqual(self.asker.transfers.counters.bytes_from_peers, CHUNK)
        steps = self.asker.chunks.flights[self.chunk.id].arrival.steps
        self.assertEqual([step.what for step in steps], ["home", "peer"])
        self.assertEqual(steps[-1].bytes, CHUNK)
        self.assertEqual(self.cluster.store.reads, [])

    def test_wrong_bytes(self) -> None:
        """
        A home that gives wrong bytes is banned, and the next attempt goes elsewhere.
        """
        flight = self.home.chunks.flights[self.chunk.id]
        flight.data[:] = bytes(CHUNK)
        failing = self.asker.fetch(self.chunk)
        self.cluster.run(0.1)
        self.failureResultOf(failing, CorruptChunk)
        now = self.cluster.clock.seconds()
        banned = self.asker.transfers.scores.banned(now)
        self.assertEqual(banned, (self.home.node_id,))
        self.other.hold(self.chunk)
        self.cluster.run(0.1)
        fetching = self.asker.fetch(self.chunk)
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertTrue(self.asker.has(self.chunk))

    def test_wrong_length(self) -> None:
        """
        A chunk of another length is no chunk; the home is not believed again.
        """
        self.patch(
            self.home.swarm.requests,
            "inlined",
            lambda request: Inlined(request.request_id, DIGEST, b"short"),
        )
        fetching = self.asker.fetch(self.chunk)
        self.cluster.run(3)
        self.successResultOf(fetching)
        self.assertTrue(self.asker.has(self.chunk))

    def test_begun(self) -> None:
        """
        Who has some bytes already, or was failed by the home, is not given the chunk.
        """
        requests = self.home.swarm.requests
        for filled, rejected in ((1, ()), (0, (self.home.node_id,))):
            asked = Locate(1, self.chunk.id, filled, True, rejected)
            self.assertIsNone(requests.inlined(asked))
        plain = requests.inlined(Locate(1, self.chunk.id, 0, True, ()))
        assert plain is not None
        self.assertEqual(plain.data, content(self.chunk))

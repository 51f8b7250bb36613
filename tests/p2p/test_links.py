"""
Links between nodes on a network in memory, from the first connection to the last.
"""

import random

from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from eliop2p.base.errors import (
    PeerBehind,
    PeerBusy,
    PeerError,
    PeerMissing,
    PeerUnreachable,
    WrongAnswer,
)
from eliop2p.interfaces import INetwork, IPeerLinks
from eliop2p.model.chunk import Digest
from eliop2p.p2p.dialing import MAX_TOLD
from eliop2p.wire.cluster_events import (
    FindObject,
    FoundObject,
    PublishObject,
)
from eliop2p.wire.events import Have, Locate, Verdict
from tests.p2p.chunk_requests import (
    DIGEST,
    Taker,
    chunk_id,
)
from tests.p2p.links_case import MIB, OBJECT, LinksCase, RefusingTaker


class AskTests(LinksCase):
    """
    Requests with one answer, and messages with none.
    """

    def test_interfaces(self) -> None:
        """
        Links provide their interface, and the network of the tests its own.
        """
        verifyObject(IPeerLinks, self.left.links)
        verifyObject(INetwork, self.network)

    def test_ask(self) -> None:
        """
        A request makes a connection and gets its answer.
        """
        answer = self.ask()
        self.assertNoResult(answer)
        self.run_for(0.05)
        located = self.successResultOf(answer)
        self.assertEqual((located.verdict, located.ticket), (Verdict.LEASE, 7))

    def test_one_connection_both_ways(self) -> None:
        """
        Requests of both sides share one connection, whoever made it.
        """
        answers = [self.ask() for _ in range(5)]
        self.run_for(0.05)
        back = self.right.links.ask(
            self.left.info, Locate(0, chunk_id(1), 0, False, ())
        )
        self.run_for(0.05)
        for answer in [*answers, back]:
            self.successResultOf(answer)
        self.assertEqual(self.network.attempts, 1)

    def test_find_object(self) -> None:
        """
        A find may wait longer than other requests for its answer.
        """
        request = FindObject(0, OBJECT)
        answer = self.left.links.ask(self.right.info, request)
        self.run_for(12, step=0.1)
        ((asked, answering),) = self.right.requests.finding
        answering.callback(FoundObject(asked.request_id, b"record"))
        self.run_for(0.05)
        self.assertEqual(self.successResultOf(answer).record, b"record")

    def test_a_find_that_is_cancelled(self) -> None:
        """
        When the asker no longer wants it, the home stops waiting.
        """
        answer = self.left.links.ask(self.right.info, FindObject(0, OBJECT))
        self.run_for(0.05)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.run_for(0.05)
        self.assertEqual(len(self.right.requests.given_up), 1)

    def test_a_find_whose_asker_is_gone(self) -> None:
        """
        When the connection breaks, the home stops waiting.
        """
        answer = self.left.links.ask(self.right.info, FindObject(0, OBJECT))
        self.run_for(0.05)
        self.network.break_all()
        self.failureResultOf(answer, PeerUnreachable)
        self.assertEqual(len(self.right.requests.given_up), 1)

    def test_tell(self) -> None:
        """
        One-way messages arrive in order, those from before the connection first.
        """
        messages = [Have(((chunk_id(n), Digest(b"d" * 32)),)) for n in range(3)]
        for message in messages[:2]:
            self.left.links.tell(self.right.info, message)
        self.run_for(0.05)
        self.left.links.tell(self.right.info, messages[2])
        self.run_for(0.05)
        self.assertEqual(
            self.right.requests.messages, [("left", message) for message in messages]
        )

    def test_too_much_told(self) -> None:
        """
        While there is no connection, no more than 256 KiB of messages wait.
        """
        message = PublishObject(OBJECT, bytes(60_000))
        for _ in range(20):
            self.left.links.tell(self.right.info, message)
        self.run_for(0.1)
        arrived = len(self.right.requests.messages)
        self.assertEqual(arrived, MAX_TOLD // 60_044)

    def test_tell_a_peer_that_does_not_read(self) -> None:
        """
        Messages for a peer that does not read are dropped before they pile up.
        """
        self.connect()
        self.network.freeze()
        for _ in range(100):
            self.left.links.tell(self.right.info, PublishObject(OBJECT, bytes(60_000)))
        self.assertLess(self.network.pairs[0][0].peak, 2 * MAX_TOLD)


class GetTests(LinksCase):
    """
    Chunks from one node to another.
    """

    def test_a_large_chunk(self) -> None:
        """
        8 MiB arrive whole and in order, and little of it is ever held on the way.
        """
        content = random.Random(1).randbytes(8 * MIB)
        reading = self.add(content)
        sink = Taker()
        done = self.get(sink)
        self.until(lambda: done.called)
        self.assertEqual(self.successResultOf(done).digest, DIGEST)
        self.assertEqual(bytes(sink.content), content)
        self.assertTrue(reading.closed)
        self.assertLess(self.network.pairs[0][1].peak, MIB // 2)
        self.assertEqual(self.right.links.uploads, 0)
        self.assertGreater(self.right.links.bytes_sent, 8 * MIB)
        self.assertEqual(self.right.links.bytes_sent, self.left.links.bytes_received)
        self.assertEqual(self.right.links.bytes_received, self.left.links.bytes_sent)

    def test_from_an_offset(self) -> None:
        """
        A transfer goes on where an earlier one ended.
        """
        content = random.Random(2).randbytes(MIB)
        self.add(content)
        sink = Taker(offset=1000)
        done = self.get(sink, offset=1000)
        self.until(lambda: done.called)
        self.assertEqual(bytes(sink.content), content[1000:])

    def test_a_slow_reader(self) -> None:
        """
        While bytes do not leave, the uploader reads no more of the chunk.
        """
        self.connect()
        self.add(bytes(8 * MIB))
        sink = Taker()
        done = self.get(sink)
        self.run_for(0.01)
        uploading = self.network.pairs[0][1]
        uploading.frozen = True
        self.run_for(1, step=0.1)
        self.assertLess(uploading.peak, MIB // 2)
        uploading.frozen = False
        uploading.schedule()
        self.until(lambda: done.called)
        self.assertEqual(len(sink.content), 8 * MIB)

    def test_several_at_once(self) -> None:
        """
        Chunks on one connection arrive side by side, and requests in between.
        """
        sinks = [Taker() for _ in range(4)]
        for number in range(4):
            self.add(bytes([number]) * MIB, number)
        answers = [self.get(sink, number) for number, sink in enumerate(sinks)]
        self.run_for(0.03)
        self.assertTrue(all(0 < len(sink.content) < MIB for sink in sinks))
        self.until(lambda: all(answer.called for answer in answers))
        for number, sink in enumerate(sinks):
            self.assertEqual(bytes(sink.content), bytes([number]) * MIB)

    def test_refusals(self) -> None:
        """
        The reasons of the other node arrive as errors of their own.
        """
        for error, kind in (
            (PeerMissing("no"), PeerMissing),
            (PeerBehind("no"), PeerBehind),
            (PeerBusy("no"), PeerBusy),
            (OSError("no"), PeerError),
        ):
            self.right.requests.readings[chunk_id(1)] = error
            done = self.get(Taker())
            self.run_for(0.05)
            failure = self.failureResultOf(done, PeerError)
            self.assertIs(failure.type, kind)
        self.assertTrue(self.left.links.reachable("right"))

    def test_cancel(self) -> None:
        """
        A cancelled transfer stops at the other node too, what was on its way is
        counted, every byte of it, and the connection lives on.
        """
        reading = self.add(bytes(8 * MIB))
        sink = Taker()
        done = self.get(sink)
        self.run_for(0.02)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        received = len(sink.content)
        self.assertGreater(received, 0)
        self.run_for(0.1)
        self.assertTrue(reading.closed)
        self.assertEqual(len(sink.content), received)
        sent = self.right.links.bytes_sent
        self.assertGreater(sink.discarded, 0)
        self.assertLessEqual(received + sink.discarded, sent)
        self.assertLess(sent, received + sink.discarded + 1024)
        self.connect()
        self.assertEqual(self.network.attempts, 1)

    def test_a_sink_that_refuses(self) -> None:
        """
        What write raises ends the transfer and is its failure.
        """
        reading = self.add(bytes(8 * MIB))
        done = self.get(RefusingTaker())
        self.run_for(0.1)
        self.failureResultOf(done, WrongAnswer)
        self.assertTrue(reading.closed)
        self.connect()

    def test_a_sink_that_refuses_the_last_bytes(self) -> None:
        """
        The same when the bytes and the end of the transfer arrive together.
        """
        self.add(b"short")
        done = self.get(RefusingTaker())
        self.run_for(0.1)
        self.failureResultOf(done, WrongAnswer)
        self.assertEqual(self.left.links.protocol_errors, 0)

    def test_a_chunk_that_does_not_go_on(self) -> None:
        """
        A transfer without a byte for a minute fails though the peer gives signs of
        life; one that creeps does not.
        """
        reading = self.add(bytes(100), filled=10)
        done = self.get(Taker())
        for filled in (20, 30, 40):
            self.run_for(8, step=0.1)
            reading.grow(filled)
        self.run_for(59, step=0.1)
        self.assertNoResult(done)
        self.run_for(1.5, step=0.1)
        self.failureResultOf(done, PeerError)
        self.assertTrue(reading.closed)
        self.assertTrue(self.left.links.reachable("right"))

    def test_loss_midway(self) -> None:
        """
        When the connection breaks the transfer fails and the reading is closed.
        """
        reading = self.add(bytes(8 * MIB))
        sink = Taker()
        done = self.get(sink)
        self.run_for(0.02)
        self.network.break_all()
        self.failureResultOf(done, PeerUnreachable)
        self.assertTrue(reading.closed)
        self.assertEqual(self.right.links.uploads, 0)
        self.assertGreater(len(sink.content), 0)

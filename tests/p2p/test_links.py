"""
Links between nodes on a network in memory, from the first connection to the last.
"""

import random
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
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
from eliop2p.model.chunk import Digest, ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.net.copying_stream import CopyingStream
from eliop2p.p2p.connections import SUSPICION
from eliop2p.p2p.dialing import MAX_TOLD
from eliop2p.p2p.links import CONNECT_TIMEOUT, MAX_UNPROVED, PeerLinks
from eliop2p.p2p.reachability import LOOK_AGAIN
from eliop2p.wire.cluster_events import (
    FindObject,
    ForgetObject,
    FoundObject,
    PublishObject,
)
from eliop2p.wire.events import Done, Get, Goodbye, Have, Locate, Located, Verdict
from tests.p2p.chunk_requests import (
    DIGEST,
    ChunkRequests,
    MemoryReading,
    Taker,
    chunk_id,
)
from tests.p2p.memory_network import ImmediateWorker, MemoryNetwork

SECRET = b"the secret of the cluster"
OBJECT = ObjectId(b"o" * 32)
MIB = 1024 * 1024


class Node:
    """
    One node: its links and what it answers.
    """

    def __init__(
        self, name: str, network: MemoryNetwork, clock: Clock, secret: bytes, peers: int
    ) -> None:
        source = random.Random(name)
        self.requests = ChunkRequests()
        self.links = PeerLinks(
            node_id=name,
            secret=secret,
            network=network,
            clock=clock,
            requests=self.requests,
            worker=ImmediateWorker(),
            rng=source,
            nonce=lambda: source.randbytes(32),
            max_peers=peers,
        )
        self.info = PeerInfo(name, name, 9000)

    def start(self) -> None:
        """
        Accept connections.
        """
        self.links.start(self.info.host, self.info.port)


class RefusingTaker(Taker):
    """
    Wants none of it.
    """

    def write(self, offset: int, data: memoryview) -> None:
        """
        Refuse a piece.
        """
        raise WrongAnswer("too long")


class LinksCase(SynchronousTestCase):
    """
    Nodes on one network.
    """

    def setUp(self) -> None:
        """
        Make two nodes that know the same secret.
        """
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.left = self.node("left")
        self.right = self.node("right")

    def node(self, name: str, secret: bytes = SECRET, peers: int = 200) -> Node:
        """
        Make a node that accepts connections.
        """
        node = Node(name, self.network, self.clock, secret, peers)
        node.start()
        return node

    def run_for(self, seconds: float, step: float = 0.001) -> None:
        """
        Let time pass.
        """
        self.clock.pump([step] * round(seconds / step))

    def until(self, done: Callable[[], bool], seconds: float = 5.0) -> None:
        """
        Let time pass until something is so.
        """
        for _ in range(round(seconds / 0.001)):
            if done():
                return
            self.clock.advance(0.001)
        self.fail("it does not happen")

    def ask(self) -> "Deferred[Located]":
        """
        Let left ask right.
        """
        request = Locate(0, chunk_id(1), 0, True, ())
        return self.left.links.ask(self.right.info, request)

    def get(self, sink: Taker, number: int = 1, offset: int = 0) -> "Deferred[Done]":
        """
        Let left get a chunk of right.
        """
        request = Get(0, chunk_id(number), offset, 0)
        return self.left.links.get(self.right.info, request, sink)

    def add(
        self, content: bytes, number: int = 1, filled: int | None = None
    ) -> MemoryReading:
        """
        Let right have a chunk.
        """
        reading = MemoryReading(content, filled)
        self.right.requests.readings[chunk_id(number)] = reading
        return reading

    def connect(self) -> None:
        """
        Let left connect with right.
        """
        answer = self.ask()
        self.run_for(0.05)
        self.successResultOf(answer)


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
        A transfer without a byte for 10 seconds fails; one that creeps does not.
        """
        reading = self.add(bytes(100), filled=10)
        done = self.get(Taker())
        for filled in (20, 30, 40):
            self.run_for(8, step=0.1)
            reading.grow(filled)
        self.assertNoResult(done)
        self.run_for(10.5, step=0.1)
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


class LossTests(LinksCase):
    """
    Peers that go away.
    """

    def test_lost_peers_are_told(self) -> None:
        """
        The loss of the last connection is told to both sides, once.
        """
        self.connect()
        self.network.break_all()
        self.assertEqual(self.left.requests.lost_peers, ["right"])
        self.assertEqual(self.right.requests.lost_peers, ["left"])

    def test_suspicion(self) -> None:
        """
        For 5 seconds a lost peer is not tried; then it is.
        """
        self.connect()
        self.network.break_all()
        self.assertFalse(self.left.links.reachable("right"))
        self.failureResultOf(self.ask(), PeerUnreachable)
        self.left.links.tell(self.right.info, ForgetObject(OBJECT))
        self.assertEqual(self.network.attempts, 1)
        self.clock.advance(SUSPICION)
        self.assertTrue(self.left.links.reachable("right"))
        self.connect()
        self.assertEqual(self.right.requests.messages, [])

    def test_a_peer_that_refuses(self) -> None:
        """
        All that waits fails when there is nobody, and at once while suspected.
        """
        nobody = PeerInfo("nobody", "nobody", 9000)
        request = Locate(0, chunk_id(1), 0, True, ())
        asked = [self.left.links.ask(nobody, request) for _ in range(3)]
        self.run_for(0.01)
        for answer in asked:
            self.failureResultOf(answer, PeerUnreachable)
        self.failureResultOf(self.left.links.ask(nobody, request), PeerUnreachable)
        self.assertEqual(self.network.attempts, 1)

    def test_a_peer_that_cannot_be_reached(self) -> None:
        """
        An attempt to connect ends after 3 seconds.
        """
        self.network.deaf = True
        answer = self.ask()
        self.clock.advance(CONNECT_TIMEOUT - 0.1)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.failureResultOf(answer, PeerUnreachable)

    def test_a_waiting_request_is_cancelled(self) -> None:
        """
        A request can be cancelled while the connection is being made.
        """
        first, second = self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.run_for(0.05)
        self.successResultOf(second)

    def test_a_peer_that_comes_back(self) -> None:
        """
        A suspected peer that connects by itself is trusted again.
        """
        self.network.deaf = True
        answer = self.ask()
        self.clock.advance(CONNECT_TIMEOUT)
        self.failureResultOf(answer, PeerUnreachable)
        self.assertFalse(self.left.links.reachable("right"))
        self.network.deaf = False
        self.right.links.tell(self.left.info, ForgetObject(OBJECT))
        self.run_for(0.05)
        self.assertTrue(self.left.links.reachable("right"))

    def test_a_silent_peer_that_is_heard_again(self) -> None:
        """
        A peer that was doubted is tried again as soon as it says something.
        """
        self.connect()
        self.left.links.doubt("right")
        self.assertFalse(self.left.links.reachable("right"))
        self.right.links.tell(self.left.info, ForgetObject(OBJECT))
        self.run_for(0.05)
        self.assertTrue(self.left.links.reachable("right"))

    def test_a_starved_peer(self) -> None:
        """
        A peer that says nothing, but whose kernel takes what it is sent, waits for a
        processor; one that is not connected does not.
        """
        starved = self.left.links.starved
        self.assertFalse(starved("right"))
        self.connect()
        self.run_for(1.0)
        self.assertFalse(starved("right"))
        self.patch(CopyingStream, "unacknowledged", lambda _: 0.04)
        self.assertTrue(starved("right"))
        self.right.links.tell(self.left.info, ForgetObject(OBJECT))
        self.run_for(0.05)
        self.assertFalse(starved("right"))

    def test_a_peer_that_is_a_member_anew(self) -> None:
        """
        A suspected peer is tried again at once, and an attempt under way is made anew,
        for what was sent may be lost: who waits for it waits no longer.
        """
        self.network.deaf = True
        failed = self.ask()
        self.clock.advance(CONNECT_TIMEOUT)
        self.failureResultOf(failed, PeerUnreachable)
        self.left.links.welcome("right")
        waiting = self.ask()
        self.left.links.tell(self.right.info, ForgetObject(OBJECT))
        self.network.deaf = False
        self.left.links.welcome("right")
        self.run_for(0.05)
        self.successResultOf(waiting)
        told = [("left", ForgetObject(OBJECT))]
        self.assertEqual(self.right.requests.messages, told)
        self.assertEqual(self.network.attempts, 3)
        self.left.links.welcome("right")
        self.assertEqual(self.network.attempts, 3)

    def test_a_silent_peer_fails_requests(self) -> None:
        """
        A request to a peer that says nothing fails after 5 seconds, and the peer is
        suspected.
        """
        self.connect()
        self.network.freeze()
        answer = self.ask()
        self.clock.advance(4.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.failureResultOf(answer, PeerUnreachable)
        self.assertFalse(self.left.links.reachable("right"))

    def test_a_silent_peer_is_dropped(self) -> None:
        """
        An idle connection on which nothing comes is dropped by its pings.
        """
        self.connect()
        self.network.freeze()
        self.run_for(21, step=0.5)
        self.assertEqual(self.left.requests.lost_peers, ["right"])
        self.assertEqual(self.right.requests.lost_peers, ["left"])

    def test_an_idle_connection_lives(self) -> None:
        """
        A connection that nobody uses stays, kept up by pings.
        """
        self.connect()
        self.run_for(200, step=0.05)
        self.assertEqual(self.left.requests.lost_peers, [])
        self.connect()
        self.assertEqual(self.network.attempts, 1)

    def test_a_silent_peer_that_has_started_again(self) -> None:
        """
        When a peer has come back on a second connection, the dead one is passed over.
        """
        self.connect()
        self.network.freeze()
        lost = self.ask()
        again = self.node("right")
        again.links.tell(self.left.info, ForgetObject(OBJECT))
        self.run_for(6, step=0.01)
        self.failureResultOf(lost, PeerUnreachable)
        self.assertTrue(self.left.links.reachable("right"))
        self.connect()
        self.assertEqual(self.left.requests.lost_peers, [])

    def test_both_connect_at_once(self) -> None:
        """
        Two connections made at the same moment both live; one lost is no loss.
        """
        there = self.ask()
        back = self.right.links.ask(self.left.info, Locate(0, chunk_id(1), 0, True, ()))
        self.run_for(0.05)
        self.successResultOf(there)
        self.successResultOf(back)
        self.assertEqual(len(self.network.pairs), 2)
        self.network.pairs[0][0].abortConnection()
        self.run_for(0.05)
        self.assertEqual(self.left.requests.lost_peers, [])
        self.connect()
        self.assertEqual(self.network.attempts, 2)
        self.network.pairs[1][0].abortConnection()
        self.run_for(0.05)
        self.assertEqual(self.left.requests.lost_peers, ["right"])


class TrustTests(LinksCase):
    """
    Who may connect.
    """

    def test_a_wrong_secret(self) -> None:
        """
        A node with another secret is refused and counted, and nothing says the secret.
        """
        stranger = self.node("stranger", secret=b"wrong")
        answer = stranger.links.ask(
            self.right.info, Locate(0, chunk_id(1), 0, True, ())
        )
        self.run_for(0.05)
        self.failureResultOf(answer, PeerUnreachable)
        self.assertEqual(self.right.links.refused, 1)
        self.assertEqual(self.right.links.protocol_errors, 0)
        self.assertEqual(self.right.requests.lost_peers, [])

    def test_another_node_at_the_address(self) -> None:
        """
        A node that is not the one that was meant is not used.
        """
        wrong = PeerInfo("another", "right", 9000)
        answer = self.left.links.ask(wrong, Locate(0, chunk_id(1), 0, True, ()))
        self.run_for(0.05)
        self.failureResultOf(answer, PeerUnreachable)
        self.assertEqual(self.left.links.protocol_errors, 1)

    def test_strangers_do_not_crowd_out_members(self) -> None:
        """
        Only so many connections wait for a proof: a newcomer takes the place of the
        oldest, so that members get in at once, whoever else is there.
        """
        crowd = [self.node(f"n{number}") for number in range(MAX_UNPROVED + 1)]
        for member in crowd:
            member.links.tell(self.right.info, ForgetObject(OBJECT))
        self.clock.advance(0.001)
        self.network.freeze()
        self.assertEqual(len(self.network.pairs), MAX_UNPROVED + 1)
        self.run_for(0.01)
        waiting = [pair for pair in self.network.pairs if not pair[1].disconnecting]
        self.assertEqual(len(waiting), MAX_UNPROVED)
        self.connect()

    def test_accepted_connections_are_bounded(self) -> None:
        """
        A node accepts four times as many connections as it wants peers.
        """
        small = self.node("small", peers=1)
        answers = []
        for number in range(6):
            member = self.node(f"n{number}")
            request = Locate(0, chunk_id(1), 0, True, ())
            answers.append(member.links.ask(small.info, request))
            self.run_for(0.05)
        for answer in answers[:4]:
            self.successResultOf(answer)
        for answer in answers[4:]:
            self.failureResultOf(answer, PeerUnreachable)


class CloseTests(LinksCase):
    """
    Going away in good order.
    """

    def test_goodbye(self) -> None:
        """
        A node that leaves says so: it is not lost, and told what it was told.
        """
        self.connect()
        self.left.links.tell(self.right.info, ForgetObject(OBJECT))
        closed = self.left.links.close()
        self.assertNoResult(closed)
        self.run_for(0.05)
        self.successResultOf(closed)
        self.assertEqual(
            self.right.requests.messages,
            [("left", ForgetObject(OBJECT)), ("left", Goodbye())],
        )
        self.assertEqual(self.right.requests.lost_peers, [])
        self.assertEqual(self.left.requests.lost_peers, [])
        self.run_for(SUSPICION + LOOK_AGAIN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_open_fails(self) -> None:
        """
        On both sides requests fail when one of them leaves, and readings are closed.
        """
        reading = self.add(bytes(8 * MIB))
        getting = self.get(Taker())
        self.run_for(0.02)
        asking = self.right.links.ask(self.left.info, FindObject(0, OBJECT))
        self.run_for(0.02)
        closed = self.right.links.close()
        self.failureResultOf(asking, PeerUnreachable)
        self.run_for(0.1)
        self.successResultOf(closed)
        self.failureResultOf(getting, PeerUnreachable)
        self.assertTrue(reading.closed)

    def test_after_the_end(self) -> None:
        """
        Links that are closed neither make nor accept connections.
        """
        self.successResultOf(self.left.links.close())
        self.assertFalse(self.left.links.reachable("right"))
        self.failureResultOf(self.ask(), PeerUnreachable)
        self.left.links.tell(self.right.info, ForgetObject(OBJECT))
        answer = self.right.links.ask(self.left.info, FindObject(0, OBJECT))
        self.run_for(0.05)
        self.failureResultOf(answer, PeerUnreachable)
        self.successResultOf(self.left.links.close())

    def test_close_while_connecting(self) -> None:
        """
        Attempts to connect end with the links.
        """
        answer = self.ask()
        self.successResultOf(self.left.links.close())
        self.failureResultOf(answer, PeerUnreachable)
        self.run_for(0.05)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_does_not_read(self) -> None:
        """
        Closing does not wait for a peer that takes nothing.
        """
        self.connect()
        self.network.freeze()
        closed = self.left.links.close()
        self.run_for(2.1, step=0.1)
        self.successResultOf(closed)

    def test_telling_one_peer_goodbye(self) -> None:
        """
        Telling one peer goodbye closes the connection with it.
        """
        self.connect()
        self.left.links.tell(self.right.info, Goodbye())
        self.run_for(0.05)
        self.assertEqual(self.right.requests.messages, [("left", Goodbye())])
        self.assertEqual(self.right.requests.lost_peers, [])

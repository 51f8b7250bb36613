"""
Tests for how a connection between nodes lives, ends, and holds back.
"""

from eliop2p.base.errors import PeerBusy, PeerUnreachable, RemoteProtocolError
from eliop2p.p2p.calls import MOST_WAITS, PROGRESS_TIMEOUT
from eliop2p.p2p.pulse import (
    MAX_BACKLOG,
    MAX_QUESTIONS,
    PART_TIMEOUT,
    PING_AFTER,
    PONG_TIMEOUT,
    STALL_TIMEOUT,
)
from eliop2p.p2p.uploads import PIECE
from eliop2p.wire.cluster_events import FindObject, ForgetObject, FoundObject
from eliop2p.wire.codec import encode
from eliop2p.wire.events import (
    MINOR,
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Goodbye,
    Locate,
    Located,
    Ping,
    Pong,
)
from eliop2p.wire.session import MAX_INBOUND
from tests.p2p.chunk_requests import (
    DIGEST,
    MemoryReading,
    Taker,
    chunk_id,
)
from tests.p2p.protocol_case import OBJECT, ConnectionCase


class LifeTests(ConnectionCase):
    """
    Signs of life.
    """

    def setUp(self) -> None:
        """
        Establish the connection.
        """
        super().setUp()
        self.establish()

    def test_ping(self) -> None:
        """
        A peer is pinged after 60 idle seconds, and dropped after 10 more.
        """
        for seconds in (*[PING_AFTER] * 5, PING_AFTER - 0.1):
            self.clock.advance(seconds)
            self.assertEqual(self.transport.value(), b"")
        self.clock.advance(0.1)
        self.assertNotEqual(self.transport.value(), b"")
        self.clock.advance(PONG_TIMEOUT)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.dropped(), ["it is silent"])

    def test_ping_of_one_who_owes(self) -> None:
        """
        A peer that has not answered a question is pinged after 10 seconds.
        """
        self.connection.calls.ask(FindObject(0, OBJECT))
        self.heard()
        self.clock.advance(PING_AFTER - 0.1)
        self.assertEqual(self.transport.value(), b"")
        self.clock.advance(0.1)
        self.assertNotEqual(self.transport.value(), b"")

    def test_probes(self) -> None:
        """
        A peer is asked for a sign of life once, until it says something.
        """
        for _ in range(2):
            for _ in range(3):
                self.connection.probe()
                self.clock.advance(1)
            self.assertEqual(self.owner.messages_sent, 1)
            self.owner.messages_sent = 0
            self.say(ForgetObject(OBJECT))
        self.assertFalse(self.transport.disconnected)

    def test_pong(self) -> None:
        """
        A peer that answers its pings is kept.
        """
        for _ in range(10):
            self.clock.advance(PING_AFTER)
            self.heard()
            self.receive(self.peer.data_to_send())
            self.clock.advance(PONG_TIMEOUT / 2)
        self.assertFalse(self.transport.disconnected)

    def test_no_ping_while_busy(self) -> None:
        """
        A peer that says anything else need not be pinged.
        """
        for _ in range(10):
            self.clock.advance(PING_AFTER * 0.9)
            self.say(ForgetObject(OBJECT))
        self.assertEqual(self.transport.value(), b"")

    def test_a_ping_of_the_peer(self) -> None:
        """
        A ping is answered, with a message that counts.
        """
        before = self.owner.messages_sent
        self.say(Ping(5))
        self.assertEqual(self.heard(), [Pong(5)])
        self.assertEqual(self.owner.messages_sent - before, 1)

    def test_a_peer_that_takes_nothing(self) -> None:
        """
        A peer that talks but takes nothing for 30 seconds is dropped.
        """
        self.connection.pauseProducing()
        for _ in range(int(STALL_TIMEOUT // 5) + 3):
            self.clock.advance(5)
            if not self.transport.disconnected:
                self.say(ForgetObject(OBJECT))
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.dropped(), ["it does not read what it is sent"])

    def test_leave(self) -> None:
        """
        Leaving says goodbye, waits until it has gone out, and not for ever.
        """
        self.connection.leave()
        self.assertEqual(self.heard(), [Goodbye()])
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.assertIsNone(self.transport.producer)
        self.clock.advance(PART_TIMEOUT)
        self.assertTrue(self.transport.disconnected)
        self.lose()
        self.assertEqual(self.owner.told, ["established", "closed", "gone"])

    def test_goodbye(self) -> None:
        """
        What the peer said before its goodbye is still acted upon, and nothing answered.
        """
        asked = self.connection.calls.ask(FindObject(0, OBJECT))
        ((find,),) = [self.heard()]
        assert isinstance(find, FindObject)
        data = self.peer.send(FoundObject(find.request_id, b"record"))
        data += self.peer.send(Locate(1, chunk_id(1), 0, True, ()))
        data += self.peer.send(Goodbye())
        self.receive(data)
        self.assertEqual(self.successResultOf(asked), FoundObject(1, b"record"))
        self.assertEqual(self.requests.messages, [("peer", Goodbye())])
        self.assertTrue(self.connection.parted)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"")

    def test_breaking_the_rules(self) -> None:
        """
        A peer that breaks the rules is dropped with one line, and everything fails.
        """
        asked = self.connection.calls.ask(FindObject(0, OBJECT))
        self.receive(encode(Done(77, DIGEST)))
        self.failureResultOf(asked, PeerUnreachable)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(len(self.dropped()), 1)
        self.assertEqual(self.owner.told, ["established", "closed"])

    def test_a_message_that_makes_no_sense(self) -> None:
        """
        A peer whose message is refused by the node is dropped like any other offender.
        """

        def told(node_id: str, message: object) -> None:
            raise RemoteProtocolError("not a record")

        self.patch(self.requests, "told", told)
        self.say(ForgetObject(OBJECT))
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.owner.errors, ["not a record"])

    def test_a_mistake_of_ours(self) -> None:
        """
        A request that fails by mistake is answered, and the mistake is logged.
        """

        def locate(node_id: str, request: Locate) -> Located:
            raise ZeroDivisionError

        self.patch(self.requests, "locate", locate)
        self.say(Locate(1, chunk_id(1), 0, True, ()))
        self.assertEqual(self.heard(), [Fail(1, Fault.FAILED)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class PressureTests(ConnectionCase):
    """
    Peers that ask too much or take too little.
    """

    def setUp(self) -> None:
        """
        Establish the connection.
        """
        super().setUp()
        self.establish()

    def test_too_many_requests(self) -> None:
        """
        Requests over the limit are refused at once and the others stay open.
        """
        for number in range(1, MAX_INBOUND + 11):
            self.say(FindObject(number, OBJECT))
        refused = self.heard()
        first = MAX_INBOUND + 1
        expected = [Fail(number, Fault.BUSY) for number in range(first, first + 10)]
        self.assertEqual(refused, expected)
        self.assertEqual(len(self.requests.finding), MAX_INBOUND)
        self.lose()
        self.assertEqual(len(self.requests.given_up), MAX_INBOUND)

    def test_cancelled_finds(self) -> None:
        """
        A cancelled request is given up, and ended towards the peer.
        """
        self.say(FindObject(1, OBJECT))
        self.say(Cancel(1))
        self.assertEqual(self.heard(), [Fail(1, Fault.FAILED)])
        self.assertEqual(len(self.requests.given_up), 1)

    def test_uploads_wait_for_the_transport(self) -> None:
        """
        Bytes of chunks are written only while the transport takes them.
        """
        self.requests.readings[chunk_id(1)] = MemoryReading(bytes(4 * PIECE))
        self.connection.pauseProducing()
        self.say(Get(1, chunk_id(1), 0, 0))
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.connection.uploads, 1)
        self.connection.resumeProducing()
        self.assertEqual(len(self.heard()), 5)
        self.assertEqual(self.connection.uploads, 0)

    def test_the_end_of_an_upload(self) -> None:
        """
        The last bytes of a chunk say its digest, without a message of its own; to a
        peer that speaks 1.1 it is said after them.
        """
        for minor, messages in ((MINOR, 0), (1, 1)):
            self.connection._session._decoder.peer_minor = minor
            self.requests.readings[chunk_id(1)] = MemoryReading(bytes(100))
            before = self.owner.messages_sent
            self.say(Get(1, chunk_id(1), 0, 0))
            self.assertEqual(self.heard(), [Data(1, bytes(100)), Done(1, DIGEST)])
            self.assertEqual(self.owner.messages_sent - before, messages)

    def test_a_peer_that_does_not_read_its_answers(self) -> None:
        """
        A peer that asks and never reads is dropped before its answers pile up.
        """
        self.connection.pauseProducing()
        record = bytes(90_000)
        for number in range(1, MAX_INBOUND):
            if self.transport.disconnected:
                break
            self.say(FindObject(number, OBJECT))
            self.requests.finding[-1][1].callback(FoundObject(number, record))
        self.assertTrue(self.transport.disconnected)
        self.assertLess(len(self.transport.value()), MAX_BACKLOG + 100_000)

    def test_nothing_is_asked_of_a_full_connection(self) -> None:
        """
        While too much waits for the transport, requests fail instead of waiting too.
        """
        self.connection.pauseProducing()
        message = FindObject(0, OBJECT)
        self.connection.backlog = MAX_QUESTIONS + 1
        self.failureResultOf(self.connection.calls.ask(message), PeerBusy)
        self.connection.resumeProducing()
        self.assertNoResult(self.connection.calls.ask(message))

    def test_silence_ends_another(self) -> None:
        """
        Whoever hears that its request has failed may give up another one of the same
        silent peer.
        """
        one, other = (
            self.connection.calls.get(Get(0, chunk_id(n), 0, 0), Taker())
            for n in (1, 2)
        )
        ended: list[object] = []

        def give_up(failure: object) -> None:
            ended.append(failure)
            one.cancel()

        one.addErrback(ended.append)
        other.addErrback(give_up)
        self.clock.advance(PROGRESS_TIMEOUT)
        self.assertEqual(len(ended), 2)
        self.assertTrue(self.connection.calls.in_doubt)

    def test_silence_is_told_from_slowness(self) -> None:
        """
        A peer is doubted when it says nothing at all, not when one answer is late; that
        is waited for longer.
        """
        for turns, doubts in ((1 + MOST_WAITS, 0), (1, 1)):
            got = self.connection.calls.get(Get(0, chunk_id(1), 0, 0), Taker())
            for _ in range(turns):
                self.assertNoResult(got)
                self.clock.advance(PROGRESS_TIMEOUT / 2)
                if turns > 1:
                    self.say(ForgetObject(OBJECT))
                self.clock.advance(PROGRESS_TIMEOUT / 2)
            self.failureResultOf(got)
            self.assertEqual(self.owner.told.count("doubted"), doubts)
            self.assertEqual(self.connection.calls.in_doubt, bool(doubts))
        self.say(ForgetObject(OBJECT))
        self.assertFalse(self.connection.calls.in_doubt)

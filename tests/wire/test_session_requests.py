"""
Tests for requests and their answers between two sessions.
"""

import hashlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.model.chunk import ObjectId
from eliop2p.wire.cluster_events import FindObject, ForgetObject, FoundObject
from eliop2p.wire.codec import encode, encode_data_header
from eliop2p.wire.events import (
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Goodbye,
    Locate,
    Located,
    Message,
    Ping,
    Pong,
    Verdict,
)
from eliop2p.wire.rules import ANSWERS
from eliop2p.wire.session import MAX_INBOUND, MAX_OUTBOUND
from tests.wire.session_case import CHUNK, DIGEST, OBJECT, accepting, open_pair
from tests.wire.strategies import ANY_MESSAGE
from tests.wire.test_codec import to_bytes


class RequestTests(SynchronousTestCase):
    """
    Requests and their answers.
    """

    def test_each_request_and_its_answers(self) -> None:
        """
        Each request takes its own answers, and ends with them.
        """
        pair = open_pair()
        conversations: list[tuple[Message, Message]] = [
            (
                Locate(1, CHUNK, 0, True, ("third",)),
                Located(1, Verdict.LEASE, 4, b"", ()),
            ),
            (FindObject(2, OBJECT), FoundObject(2, b"record")),
            (Get(3, CHUNK, 0, 0), Done(3, DIGEST)),
            (Get(4, CHUNK, 0, 0), Fail(4, Fault.BUSY)),
        ]
        for request, answer in conversations:
            self.assertEqual(pair.ask(request), [request])
            self.assertEqual(pair.answer(answer), [answer])
            self.assertRaises(LocalProtocolError, pair.right.send, answer)
        again = pair.ask(conversations[0][0])
        self.assertEqual(again, [conversations[0][0]])

    def test_data(self) -> None:
        """
        Bytes of a chunk pass while its request is open.
        """
        pair = open_pair()
        pair.ask(Get(3, CHUNK, 0, 0))
        for _ in range(2):
            data = pair.right.send_data(3, 5) + b"bytes"
            self.assertEqual(pair.left.receive(data), [Data(3, b"bytes")])
        pair.answer(Done(3, DIGEST))
        self.assertRaises(LocalProtocolError, pair.right.send_data, 3, 5)
        late = encode_data_header(3, 5) + b"bytes"
        self.assertRaises(RemoteProtocolError, pair.left.receive, late)

    def test_last(self) -> None:
        """
        The last bytes of a chunk may say that they are, and then end the request.
        """
        pair = open_pair()
        for put_elsewhere in (False, True):
            pair.ask(Get(3, CHUNK, 0, 0))
            head = pair.right.send_data(3, 5, DIGEST)
            if put_elsewhere:
                self.assertEqual(pair.left.receive(head), [])
                self.assertEqual(pair.left.awaited, (3, 5))
                self.assertIsNone(pair.left.passed(4))
                self.assertEqual(pair.left.passed(1), Done(3, DIGEST))
            else:
                events = [Data(3, b"bytes"), Done(3, DIGEST)]
                self.assertEqual(pair.left.receive(head + b"bytes"), events)
            self.assertEqual(pair.left.asked, 0)
            self.assertRaises(LocalProtocolError, pair.right.send_data, 3, 5)
        self.assertRaises(RemoteProtocolError, pair.left.receive, head + b"bytes")

    def test_last_for_older(self) -> None:
        """
        A peer that speaks 1.1 is not sent what it does not know.
        """
        pair = open_pair()
        pair.right._decoder.peer_minor = 1
        pair.ask(Get(3, CHUNK, 0, 0))
        self.assertRaises(LocalProtocolError, pair.right.send_data, 3, 5, DIGEST)

    def test_pings_are_answered(self) -> None:
        """
        A ping is answered by the session itself.
        """
        pair = open_pair()
        self.assertEqual(pair.ask(Ping(9)), [])
        self.assertEqual(pair.left_events[-1], Pong(9))

    def test_wrong_answers(self) -> None:
        """
        An answer to nothing, or of another kind than its request, breaks the rules.
        """
        answers: list[Message] = [
            Located(1, Verdict.WAIT, 0, b"", ()),
            FoundObject(1, b""),
            Data(1, b"x"),
            Done(1, DIGEST),
            Fail(1, Fault.BAD),
            Pong(1),
        ]
        requests: list[Message] = [
            Locate(1, CHUNK, 0, False, ()),
            FindObject(1, OBJECT),
            Get(1, CHUNK, 0, 0),
            Ping(1),
        ]
        for answer in answers:
            pair = open_pair()
            self.assertRaises(RemoteProtocolError, pair.left.receive, to_bytes(answer))
            for request in requests:
                pair = open_pair()
                pair.left.send(request)
                if type(answer) in ANSWERS[type(request)]:
                    self.assertEqual(pair.left.receive(to_bytes(answer)), [answer])
                else:
                    self.assertRaises(
                        RemoteProtocolError, pair.left.receive, to_bytes(answer)
                    )

    def test_a_request_twice(self) -> None:
        """
        The id of an open request cannot be used again, by either side.
        """
        pair = open_pair()
        pair.ask(Get(3, CHUNK, 0, 0))
        self.assertRaises(LocalProtocolError, pair.left.send, FindObject(3, OBJECT))
        twice = encode(Locate(3, CHUNK, 0, False, ()))
        self.assertRaises(RemoteProtocolError, pair.right.receive, twice)

    def test_cancel(self) -> None:
        """
        A cancelled request stays open until it is ended; a late cancel is nothing.
        """
        pair = open_pair()
        pair.ask(Get(3, CHUNK, 0, 0))
        self.assertEqual(pair.ask(Cancel(3)), [Cancel(3)])
        self.assertEqual(
            pair.left.receive(pair.right.send_data(3, 1) + b"x"), [Data(3, b"x")]
        )
        crossing = pair.left.send(Cancel(3))
        pair.answer(Fail(3, Fault.FAILED))
        self.assertEqual(pair.right.receive(crossing), [])
        self.assertEqual(pair.left.send(Cancel(3)), b"")

    def test_too_many_inbound(self) -> None:
        """
        Requests over the limit are answered with BUSY, and pings still pass.
        """
        pair = open_pair()
        for number in range(1, MAX_INBOUND + 1):
            self.assertEqual(len(pair.ask(FindObject(number, OBJECT))), 1)
        over = MAX_INBOUND + 1
        self.assertEqual(pair.ask(Get(over, CHUNK, 0, 0)), [])
        self.assertEqual(pair.left_events[-1], Fail(over, Fault.BUSY))
        self.assertEqual(pair.ask(Ping(over)), [])
        self.assertEqual(pair.left_events[-1], Pong(over))
        pair.answer(FoundObject(1, b""))
        self.assertEqual(len(pair.ask(Get(over, CHUNK, 0, 0))), 1)

    def test_too_many_outbound(self) -> None:
        """
        No more than the limit of our own requests are ever open, pings apart.
        """
        pair = open_pair()
        for _ in range(MAX_OUTBOUND):
            self.assertFalse(pair.left.full)
            pair.left.send(FindObject(pair.left.next_request_id(), OBJECT))
        self.assertTrue(pair.left.full)
        request_id = pair.left.next_request_id()
        request = FindObject(request_id, OBJECT)
        self.assertRaises(LocalProtocolError, pair.left.send, request)
        pair.left.send(Ping(request_id))

    def test_request_ids_begin_again(self) -> None:
        """
        After the last number come the first ones that are free.
        """
        pair = open_pair()
        pair.left._last_id = 2**32 - 2
        pair.left.send(Ping(1))
        self.assertEqual(pair.left.next_request_id(), 2**32 - 1)
        self.assertEqual(pair.left.next_request_id(), 2)

    def test_goodbye(self) -> None:
        """
        Nothing follows a goodbye, in either role.
        """
        pair = open_pair()
        self.assertEqual(pair.ask(Goodbye()), [Goodbye()])
        self.assertFalse(pair.left.established)
        self.assertFalse(pair.right.established)
        self.assertRaises(LocalProtocolError, pair.left.send, Ping(1))
        self.assertRaises(RemoteProtocolError, pair.right.receive, encode(Ping(1)))

    @settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.one_of(ANY_MESSAGE.map(to_bytes), st.binary(max_size=40))))
    def test_any_bytes_after_the_handshake(self, parts: list[bytes]) -> None:
        """
        Whatever a member sends, it is an event or a RemoteProtocolError.
        """
        pair = open_pair()
        pair.left.send(Get(1, CHUNK, 0, 0))
        pair.left.send(FindObject(2, OBJECT))
        try:
            for part in parts:
                pair.left.receive(part)
        except RemoteProtocolError:
            self.assertFalse(pair.left.established)

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.binary(max_size=100)))
    def test_any_bytes_before_the_handshake(self, parts: list[bytes]) -> None:
        """
        Nobody is established by any bytes that do not come from the secret.
        """
        session = accepting()
        try:
            for part in parts:
                session.receive(part)
        except RemoteProtocolError:
            pass
        self.assertFalse(session.established)

    def test_one_way(self) -> None:
        """
        One-way messages pass as they are.
        """
        message = ForgetObject(ObjectId(hashlib.sha256(b"name").digest()))
        self.assertEqual(open_pair().ask(message), [message])

"""
Two sessions back to back, and one against somebody who cheats.
"""

import hashlib
import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.model.chunk import ChunkId, Digest, ObjectId
from eliop2p.wire.cluster_events import FindObject, ForgetObject, FoundObject
from eliop2p.wire.codec import encode, encode_data_header
from eliop2p.wire.events import (
    MAJOR,
    MINOR,
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Goodbye,
    Hello,
    Locate,
    Located,
    Message,
    Ping,
    Pong,
    Proof,
    Verdict,
)
from eliop2p.wire.rules import ANSWERS, Established, Event, Role
from eliop2p.wire.session import MAX_INBOUND, MAX_OUTBOUND, ProofRefused, Session, prove
from tests.wire.strategies import ANY_MESSAGE
from tests.wire.test_codec import to_bytes

SECRET = b"the secret of the cluster"
CHUNK = ChunkId(b"c" * 32)
DIGEST = Digest(b"d" * 32)
OBJECT = ObjectId(b"o" * 32)


def nonces(seed: int) -> Callable[[], bytes]:
    """
    Give a source of nonces that differ.
    """
    source = random.Random(seed)
    return lambda: source.randbytes(32)


def connecting(
    secret: bytes = SECRET, name: str = "left", expected: str = ""
) -> Session:
    """
    Make the side that connected.
    """
    return Session(Role.CONNECTING, name, secret, nonces(1), expected)


def accepting(secret: bytes = SECRET, name: str = "right") -> Session:
    """
    Make the side that accepted.
    """
    return Session(Role.ACCEPTING, name, secret, nonces(2))


class SessionPair:
    """
    Two sessions whose bytes reach each other.
    """

    def __init__(self, left: Session | None = None, right: Session | None = None):
        self.left = left or connecting()
        self.right = right or accepting()
        self.left_events: list[Event] = []
        self.right_events: list[Event] = []

    def settle(self) -> None:
        """
        Carry what the sessions have to say of themselves until they are quiet.
        """
        while True:
            to_right, to_left = self.left.data_to_send(), self.right.data_to_send()
            if not to_right and not to_left:
                return
            self.right_events += self.right.receive(to_right)
            self.left_events += self.left.receive(to_left)

    def ask(self, request: Message) -> list[Event]:
        """
        Send from left to right, and settle.
        """
        events = self.right.receive(self.left.send(request))
        self.settle()
        return events

    def answer(self, message: Message) -> list[Event]:
        """
        Send from right to left, and settle.
        """
        events = self.left.receive(self.right.send(message))
        self.settle()
        return events


def open_pair() -> SessionPair:
    """
    Make an established pair.
    """
    pair = SessionPair()
    pair.settle()
    return pair


class HandshakeTests(SynchronousTestCase):
    """
    Who gets in.
    """

    def test_both_sides_get_to_know_each_other(self) -> None:
        """
        With the same secret both sides are established and know the other's id.
        """
        pair = SessionPair(connecting(expected="right"))
        self.assertFalse(pair.left.established)
        pair.settle()
        self.assertEqual(pair.left_events, [Established("right")])
        self.assertEqual(pair.right_events, [Established("left")])
        self.assertTrue(pair.left.established)
        self.assertTrue(pair.right.established)
        self.assertEqual((pair.left.peer_id, pair.right.peer_id), ("right", "left"))

    def test_an_empty_secret(self) -> None:
        """
        Two nodes without a secret understand each other.
        """
        pair = SessionPair(connecting(b""), accepting(b""))
        pair.settle()
        self.assertTrue(pair.left.established)

    def test_wrong_secret(self) -> None:
        """
        The side that accepts refuses first, and says nothing that depends on its
        secret.
        """
        pair = SessionPair(connecting(b"wrong"))
        self.assertRaises(ProofRefused, pair.settle)
        self.assertFalse(pair.right.established)
        self.assertEqual(pair.right.data_to_send(), b"")

    def test_wrong_secret_of_the_accepting_side(self) -> None:
        """
        The side that connected refuses a proof made with another secret.
        """
        left = connecting()
        left.data_to_send()
        hello = Hello(MAJOR, MINOR, "right", bytes(32))
        left.receive(encode(hello))
        self.assertRaises(ProofRefused, left.receive, encode(Proof(bytes(32))))
        self.assertFalse(left.established)

    def test_a_recorded_conversation_does_not_work_twice(self) -> None:
        """
        Replaying all that a member once sent gets nobody in.
        """
        left, right = connecting(), accepting()
        recorded = left.data_to_send()
        left.receive(right.data_to_send())
        recorded += left.data_to_send()
        self.assertEqual(right.receive(recorded), [Established("left")])
        again = Session(Role.ACCEPTING, "right", SECRET, nonces(3))
        self.assertRaises(ProofRefused, again.receive, recorded)

    def test_a_mirror_is_refused(self) -> None:
        """
        Somebody who only sends back what he gets is refused, whatever name he uses.
        """
        left = connecting()
        hello = left.data_to_send()
        self.assertRaises(RemoteProtocolError, left.receive, hello)
        renamed = connecting()
        nonce = renamed.data_to_send()[-32:]
        mirrored = encode(Hello(MAJOR, MINOR, "mirror", nonce))
        self.assertRaises(RemoteProtocolError, renamed.receive, mirrored)

    def test_a_proof_sent_back_is_refused(self) -> None:
        """
        Our own proof does not prove the other side, since its role is part of it.
        """
        left = connecting()
        left.data_to_send()
        left.receive(encode(Hello(MAJOR, MINOR, "right", bytes(32))))
        self.assertRaises(ProofRefused, left.receive, left.data_to_send())

    def test_proofs_depend_on_everything(self) -> None:
        """
        Secret, role, ids, nonces and versions all change a proof.
        """
        one = Hello(MAJOR, MINOR, "ab", bytes(32))
        two = Hello(MAJOR, MINOR, "c", bytes(32))
        proofs = {
            prove(SECRET, Role.CONNECTING, one, two),
            prove(SECRET, Role.ACCEPTING, one, two),
            prove(b"other", Role.CONNECTING, one, two),
            prove(SECRET, Role.CONNECTING, two, one),
            prove(SECRET, Role.CONNECTING, Hello(MAJOR, MINOR, "a", bytes(32)), two),
            prove(SECRET, Role.CONNECTING, Hello(MAJOR, 9, "ab", bytes(32)), two),
            prove(SECRET, Role.CONNECTING, one, Hello(MAJOR, MINOR, "c", b"n" * 32)),
        }
        self.assertEqual(len(proofs), 7)

    def test_another_major_version(self) -> None:
        """
        A node of another major version is told apart in plain words.
        """
        hello = encode(Hello(MAJOR + 1, 3, "right", bytes(32)))
        error = self.assertRaises(RemoteProtocolError, connecting().receive, hello)
        self.assertIn(f"version {MAJOR + 1}.3", str(error))

    def test_a_newer_minor_version(self) -> None:
        """
        Frames that only a newer node knows are skipped.
        """
        left = connecting()
        left.data_to_send()
        hello = Hello(MAJOR, MINOR + 1, "right", bytes(32))
        ours = Hello(MAJOR, MINOR, "left", nonces(1)())
        proof = Proof(prove(SECRET, Role.ACCEPTING, ours, hello))
        unknown = b"\0\0\0\5\xee\0\0\0extra"
        events = left.receive(encode(hello) + encode(proof) + unknown)
        self.assertEqual(events, [Established("right")])

    def test_somebody_else(self) -> None:
        """
        Whoever answers at an address must be the node that was expected there.
        """
        pair = SessionPair(connecting(expected="another"))
        self.assertRaises(RemoteProtocolError, pair.settle)

    def test_our_own_name(self) -> None:
        """
        A node does not talk to one that has its own id.
        """
        pair = SessionPair(right=accepting(name="left"))
        self.assertRaises(RemoteProtocolError, pair.settle)

    def test_nothing_else_before_the_proof(self) -> None:
        """
        Before the proof only hello and proof are accepted, and only in that order.
        """
        hello = encode(Hello(MAJOR, MINOR, "right", bytes(32)))
        for early in (
            encode(Ping(1)),
            encode(Proof(bytes(32))),
            hello + hello,
            hello + encode(Goodbye()),
            hello + encode_data_header(1, 1000),
            hello + b"\0\1\0\0\x0e\0\0\0",  # The header of a long record.
        ):
            session = connecting()
            self.assertRaises(RemoteProtocolError, session.receive, early)
            self.assertFalse(session.established)
        self.assertRaises(LocalProtocolError, connecting().send, Ping(1))

    def test_only_once(self) -> None:
        """
        After the handshake neither hello nor proof is accepted or sent.
        """
        for message in (Hello(MAJOR, MINOR, "left", bytes(32)), Proof(bytes(32))):
            pair = open_pair()
            self.assertRaises(LocalProtocolError, pair.left.send, message)
            self.assertRaises(RemoteProtocolError, pair.right.receive, encode(message))


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

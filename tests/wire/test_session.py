"""
Two sessions back to back, and one against somebody who cheats.
"""

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.wire.codec import encode, encode_data_header
from eliop2p.wire.events import (
    MAJOR,
    MINOR,
    Goodbye,
    Hello,
    Ping,
    Proof,
)
from eliop2p.wire.rules import Established, Role
from eliop2p.wire.session import ProofRefused, Session, prove
from tests.wire.session_case import (
    SECRET,
    SessionPair,
    accepting,
    connecting,
    nonces,
    open_pair,
)


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

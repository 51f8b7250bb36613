"""
One connection against a peer whose every byte the test decides.
"""

import math

from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from eliop2p.base.errors import PeerUnreachable
from eliop2p.p2p.pulse import (
    HANDSHAKE_TIMEOUT,
    HUNG_AFTER,
)
from eliop2p.wire.cluster_events import FindObject, ForgetObject
from tests.p2p.protocol_case import OBJECT, ConnectionCase


class SilenceTests(ConnectionCase):
    """
    How a peer that says nothing is told from one that is gone.
    """

    def setUp(self) -> None:
        """
        Decide when the peer's kernel has acknowledged something.
        """
        super().setUp()
        self.establish()
        self.acknowledged = math.inf
        stream = self.connection._transport
        self.patch(stream, "unacknowledged", lambda: self.acknowledged)

    def silence_after(self, seconds: float) -> float:
        """
        Let time pass in which the peer says nothing.
        """
        self.clock.advance(seconds)
        return self.connection.silence(self.clock.seconds())

    def test_unknown(self) -> None:
        """
        Where the kernel does not say, what the peer sent counts.
        """
        self.assertEqual(self.silence_after(0.2), 0.2)
        self.assertEqual(self.silence_after(2), 2.2)

    def test_there(self) -> None:
        """
        A peer whose kernel takes what it is sent is there, for 5 seconds.
        """
        self.acknowledged = 0.04
        self.assertEqual(self.silence_after(1), 0.04)
        self.assertEqual(self.silence_after(3.9), 0.04)
        self.assertEqual(self.silence_after(0.1), HUNG_AFTER)

    def test_gone(self) -> None:
        """
        One whose machine is gone is silent as long as that.
        """
        self.acknowledged = 3.0
        self.assertEqual(self.silence_after(2), 2)
        self.assertEqual(self.silence_after(2), 3)

    def test_heard_again(self) -> None:
        """
        The owner is told when a peer that was doubted says something, once.
        """
        self.connection.doubt()
        self.say(ForgetObject(OBJECT))
        self.say(ForgetObject(OBJECT))
        self.assertEqual(self.owner.told, ["established", "doubted", "trusted"])


class HandshakeTests(ConnectionCase):
    """
    The beginning of a connection.
    """

    def test_established(self) -> None:
        """
        After the proofs the owner is told, and messages go both ways.
        """
        verifyObject(IPushProducer, self.connection)
        self.assertFalse(self.connection.is_open)
        self.establish()
        self.assertEqual(self.owner.told, ["established"])
        self.assertTrue(self.connection.is_open)
        self.assertEqual(self.connection.peer_id, "peer")
        self.say(ForgetObject(OBJECT))
        self.assertEqual(self.requests.messages, [("peer", ForgetObject(OBJECT))])
        self.connection.send(ForgetObject(OBJECT))
        self.assertEqual(self.heard(), [ForgetObject(OBJECT)])

    def test_socket_options(self) -> None:
        """
        Small messages are not delayed, and dead connections are noticed by TCP too.
        """
        self.assertEqual(self.transport.options, {"no delay", "keep alive"})

    def test_nothing_is_sent_before(self) -> None:
        """
        Before the proofs nothing can be sent or asked.
        """
        self.heard()
        self.connection.send(ForgetObject(OBJECT))
        self.assertEqual(self.transport.value(), b"")
        asked = self.connection.calls.ask(FindObject(0, OBJECT))
        self.failureResultOf(asked, PeerUnreachable)

    def test_no_proof_in_time(self) -> None:
        """
        A side that does not prove itself within 5 seconds is dropped.
        """
        self.receive(self.peer.data_to_send())
        self.clock.advance(HANDSHAKE_TIMEOUT)
        self.assertTrue(self.transport.disconnected)
        self.lose()
        self.assertEqual(self.owner.told, ["closed", "gone"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """
        Garbage drops the connection at once, with one line in the log.
        """
        self.receive(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(len(self.owner.errors), 1)
        self.assertEqual(self.dropped(), self.owner.errors)
        self.receive(b"more of it")
        self.lose()
        self.assertEqual(len(self.owner.errors), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

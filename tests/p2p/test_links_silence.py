"""
Tests for links to peers that say nothing.
"""

import math

from eliop2p.base.errors import PeerUnreachable
from eliop2p.net.copying_stream import CopyingStream
from eliop2p.wire.cluster_events import ForgetObject
from tests.p2p.links_case import OBJECT, LinksCase


class SilenceTests(LinksCase):
    """
    Peers that are silent, or seem so.
    """

    def test_a_peer_doubted_while_it_is_called(self) -> None:
        """
        Requests do not wait for a connection with a peer that is doubted; what it was
        told comes through when it is there after all.
        """
        answer = self.ask()
        self.left.links.tell(self.right.info, ForgetObject(OBJECT))
        self.left.links.doubt("right")
        self.failureResultOf(answer, PeerUnreachable)
        self.failureResultOf(self.ask(), PeerUnreachable)
        self.run_for(0.05)
        self.assertTrue(self.left.links.reachable("right"))
        self.assertEqual(self.right.requests.messages, [("left", ForgetObject(OBJECT))])

    def test_asked_for_a_sign_of_life(self) -> None:
        """
        A peer that is asked for a sign of life without a connection gets one.
        """
        self.left.links.probe(self.right.info)
        self.assertEqual(self.left.links.silence("right"), math.inf)
        self.run_for(0.05)
        self.assertLess(self.left.links.silence("right"), 0.05)

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
        self.run_for(71, step=0.5)
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

    def test_a_silent_peer_with_two_connections(self) -> None:
        """
        A peer that is silent on one connection is not tried on the other in turn.
        """
        self.connect_both()
        self.network.freeze()
        self.left.links.doubt("right")
        self.assertFalse(self.left.links.reachable("right"))
        self.run_for(1.0)
        self.assertFalse(self.left.links.reachable("right"))

    def test_one_of_two_connections_is_new(self) -> None:
        """
        A peer that is silent on one connection, and has made another one since, is
        there: it has started again.
        """
        self.connect()
        self.network.freeze()
        again = self.node("right")
        again.links.tell(self.left.info, ForgetObject(OBJECT))
        self.run_for(1.0)
        self.left.links.doubt("right")
        self.assertTrue(self.left.links.reachable("right"))

    def test_one_of_two_connections_is_lost(self) -> None:
        """
        When one of two connections in doubt is lost, the other one tells whether the
        peer is there.
        """
        self.connect_both()
        self.left.links.doubt("right")
        self.assertFalse(self.left.links.reachable("right"))
        self.network.pairs[0][0].abortConnection()
        self.run_for(0.05)
        self.assertTrue(self.left.links.reachable("right"))

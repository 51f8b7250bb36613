"""
Tests for links that are lost, not trusted, and closed.
"""

from twisted.internet.defer import CancelledError

from eliop2p.base.errors import (
    PeerUnreachable,
)
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.connections import SUSPICION
from eliop2p.p2p.links import CONNECT_TIMEOUT, MAX_UNPROVED
from eliop2p.p2p.reachability import LOOK_AGAIN
from eliop2p.wire.cluster_events import (
    FindObject,
    ForgetObject,
)
from eliop2p.wire.events import Goodbye, Locate
from tests.p2p.chunk_requests import (
    Taker,
    chunk_id,
)
from tests.p2p.links_case import MIB, OBJECT, LinksCase


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

    def test_both_connect_at_once(self) -> None:
        """
        Two connections made at the same moment both live; one lost is no loss.
        """
        self.connect_both()
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

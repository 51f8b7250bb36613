"""
Tests for :mod:`eliop2p.control.client`.
"""

import attrs
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import Body
from eliop2p.control.client import (
    NullControlPlane,
)
from eliop2p.control.messages import MAX_REPORTED
from eliop2p.control.orders import ChunkRef, Kind, Order, Outcome, State
from eliop2p.control.policy import Policy, Rule
from eliop2p.control.steering import ISteering
from eliop2p.control.waiting import SETTLE
from eliop2p.interfaces import IControlPlane, Registration
from eliop2p.model.peer import Membership
from tests.control.client_case import LOAD, plane
from tests.control.support import Server, chunk_id, node
from tests.control.test_messages import node_ids


class ClientTests(SynchronousTestCase):
    """
    What the client promises, in front of the real server.
    """

    def setUp(self) -> None:
        """
        Connect a client to a server.
        """
        self.server = Server(token="s3cret")
        self.plane = plane(self.server.agent, self.server.clock, b"s3cret")

    def test_interfaces(self) -> None:
        """
        Both control planes provide their interface.
        """
        verifyObject(IControlPlane, self.plane)
        verifyObject(IControlPlane, NullControlPlane())
        verifyObject(IBodyProducer, Body(b""))

    def test_register(self) -> None:
        """
        A registration gives the membership with the node in it.
        """
        answer = self.successResultOf(self.plane.register(node()))
        membership = Membership(2, {"node-1": node()})
        self.assertEqual(answer, Registration(membership, 2, adjusts=True))

    def test_rules_of_operators(self) -> None:
        """
        Where only operators may make rules, a node says so, and what to do.
        """
        server = Server(token="s3cret", admin="boss")
        asking = plane(server.agent, server.clock, b"s3cret").set_policy(Policy())
        server.agent.flush()
        said = self.failureResultOf(asking, ControlPlaneError).getErrorMessage()
        self.assertIn("admin_token", said)
        self.assertIn("http://control:8081/api/v1/replication", said)

    def test_heartbeat(self) -> None:
        """
        A heartbeat gives no membership when the node has the current one, and None when
        the node is not known.
        """
        self.assertIsNone(self.successResultOf(self.plane.heartbeat("a", LOAD, 0)))
        self.plane.register(node("a"))
        same = self.successResultOf(self.plane.heartbeat("a", LOAD, 2))
        self.assertEqual(same, Registration(None, 2, adjusts=True))
        other = self.successResultOf(self.plane.heartbeat("a", LOAD, 1))
        members = Membership(2, {"a": node("a")})
        self.assertEqual(other, Registration(members, 2, adjusts=True))
        member = self.server.registry.find("a")
        assert member is not None
        assert member.load is not None
        self.assertEqual(
            (member.load.memory_used, member.load.disk_used), (1, 2), member.load
        )

    def test_watch(self) -> None:
        """
        A question for a newer membership waits for it, and what has changed is put
        together with what was known.
        """
        self.successResultOf(self.plane.register(node("a")))
        waiting = self.plane.watch(2)
        self.server.agent.flush()
        self.assertNoResult(waiting)
        self.server.registry.register(node("b"), 0.0)
        self.server.resource.changed()
        self.assertNoResult(waiting)
        self.server.clock.advance(SETTLE)
        self.server.agent.flush()
        answer = self.successResultOf(waiting)
        assert answer.membership is not None
        self.assertEqual(answer.version, 3)
        self.assertEqual(set(answer.membership.peers), {"a", "b"})

    def test_steering(self) -> None:
        """
        The policy and commands travel as they do through the API.
        """
        verifyObject(ISteering, self.plane)
        self.successResultOf(self.plane.register(node("a")))
        wanted = Policy(2, 3, (Rule("s3://b/", 3, pinned=True),))
        kept = self.successResultOf(self.plane.set_policy(wanted))
        self.assertEqual(kept, attrs.evolve(wanted, version=1))
        self.assertEqual(self.successResultOf(self.plane.policy()), kept)
        order = Order("c", Kind.REPLICATE, (ChunkRef(chunk_id(1), 5),))
        self.successResultOf(self.plane.order("a", order))
        beat = self.successResultOf(self.plane.heartbeat("a", LOAD, 2))
        assert beat is not None
        self.assertEqual(beat.commands, 1)
        self.assertEqual(self.successResultOf(self.plane.orders("a")), (order,))
        outcome = Outcome(State.FAILED, 0, "no room")
        self.successResultOf(self.plane.acknowledge("a", "c", outcome))
        self.assertEqual(self.successResultOf(self.plane.orders("a")), ())
        self.failureResultOf(self.plane.order("ghost", order), ControlPlaneError)

    def test_delta_of_something_else(self) -> None:
        """
        What has changed since a version that is not known here leads to the whole.
        """
        self.successResultOf(self.plane.register(node("a")))
        self.server.registry.register(node("b"), 0.0)
        stranger = plane(self.server.agent, self.server.clock, b"s3cret")
        answer = self.successResultOf(stranger.watch(2))
        self.assertEqual(answer, Registration(None, 0))
        whole = self.successResultOf(stranger.heartbeat("a", LOAD, 0))
        assert whole is not None
        assert whole.membership is not None
        self.assertEqual(set(whole.membership.peers), {"a", "b"})

    def test_leave(self) -> None:
        """
        Leaving removes the node; leaving twice is no error.
        """
        self.plane.register(node("a"))
        self.successResultOf(self.plane.leave("a"))
        self.assertEqual(len(self.server.registry), 0)
        self.successResultOf(self.plane.leave("a"))

    def test_report(self) -> None:
        """
        A report of more chunks than fit a request arrives in parts.
        """
        self.plane.register(node("a"))
        held = tuple(chunk_id(number) for number in range(2 * MAX_REPORTED + 1))
        self.successResultOf(self.plane.report("a", held, ()))
        self.assertEqual(self.server.registry.locations.count("a"), len(held))
        self.successResultOf(self.plane.report("a", (), held[1:]))
        self.assertEqual(self.server.registry.locations.count("a"), 1)
        self.successResultOf(self.plane.report("a", (), ()))

    def test_report_of_a_stranger(self) -> None:
        """
        A report of a node that is not known fails with the remedy.
        """
        failure = self.failureResultOf(
            self.plane.report("a", (chunk_id(1),), ()), ControlPlaneError
        )
        self.assertIn("404", failure.getErrorMessage())
        self.assertIn("register", failure.getErrorMessage())

    @given(node_id=node_ids)
    @settings(deadline=None)
    def test_odd_names(self, node_id: str) -> None:
        """
        Whatever the node is called, it is the same to client and server.
        """
        server = Server()
        client = plane(server.agent, server.clock)
        answer = self.successResultOf(client.register(node(node_id)))
        expected = Membership(2, {node_id: node(node_id)})
        self.assertEqual(answer.membership, expected)
        self.assertIsNotNone(
            self.successResultOf(client.heartbeat(node_id, LOAD, 0)), node_id
        )
        self.successResultOf(client.report(node_id, (chunk_id(1),), ()))
        self.assertEqual(server.registry.locations.count(node_id), 1)
        self.successResultOf(client.leave(node_id))
        self.assertEqual(len(server.registry), 0)

    def test_wrong_token(self) -> None:
        """
        A refused token is an error that says what to set and shows no token.
        """
        for token, status in ((b"", "401"), (b"guess", "403")):
            client = plane(self.server.agent, self.server.clock, token)
            failure = self.failureResultOf(client.register(node()), ControlPlaneError)
            self.assertIn(status, failure.getErrorMessage())
            self.assertIn("[control_plane] token", failure.getErrorMessage())
            self.assertNotIn("guess", failure.getErrorMessage())

    def test_no_timer_left(self) -> None:
        """
        An exchange leaves no timer behind.
        """
        self.successResultOf(self.plane.register(node()))
        self.assertEqual(self.server.clock.getDelayedCalls(), [])


class NullTests(SynchronousTestCase):
    """
    What the control plane of a node without one promises.
    """

    def test_takes_everything(self) -> None:
        """
        Everything succeeds and no membership is given.
        """
        null = NullControlPlane()
        self.assertIsNone(self.successResultOf(null.register(node())).membership)
        beat = self.successResultOf(null.heartbeat("a", LOAD, 3))
        self.assertEqual(beat, Registration(None, 3))
        self.successResultOf(null.report("a", (chunk_id(1),), ()))
        self.successResultOf(null.leave("a"))

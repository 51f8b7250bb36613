"""
Tests for :mod:`eliop2p.control.client`.
"""

import gzip
from collections.abc import Callable

import attrs
from hypothesis import given, settings
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import MAX_ANSWER, Body
from eliop2p.control.client import (
    TIMEOUT,
    HttpControlPlane,
    NullControlPlane,
)
from eliop2p.control.messages import MAX_REPORTED
from eliop2p.control.orders import ChunkRef, Kind, Order, Outcome, State
from eliop2p.control.policy import Policy, Rule
from eliop2p.control.steering import ISteering
from eliop2p.control.waiting import SETTLE
from eliop2p.interfaces import IControlPlane, NodeLoad, Registration
from eliop2p.model.peer import Membership
from tests.control.support import Server, chunk_id, node
from tests.control.test_messages import node_ids

LOAD = NodeLoad(1, 2, 3, 4)


class _Fixed(Resource):
    """
    Answers everything alike.
    """

    isLeaf = True

    def __init__(self, render: Callable[[Request], bytes | int]) -> None:
        super().__init__()
        self._render = render

    def render(self, request: Request) -> bytes | int:
        """
        Answer.
        """
        return self._render(request)


def plane(agent: IAgent, clock: IReactorTime, token: bytes = b"") -> HttpControlPlane:
    """
    Make a client.
    """
    return HttpControlPlane("http://control:8081", agent, token, clock)


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


class HostileTests(SynchronousTestCase):
    """
    What the client promises, in front of anything else.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def refusal(self, render: Callable[[Request], bytes | int]) -> str:
        """
        Register with a server of our making, which fails.
        """
        agent = RequestTraversalAgent(_Fixed(render))
        deferred = plane(agent, self.clock, b"s3cret").register(node())
        agent.flush()
        failure = self.failureResultOf(deferred, ControlPlaneError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNotIn("s3cret", failure.getErrorMessage())
        return str(failure.value)

    def test_unreachable(self) -> None:
        """
        No connection is a ControlPlaneError.
        """
        agent = _Agent(lambda: fail(Refused("connection refused")))
        deferred = plane(agent, self.clock).register(node())
        self.failureResultOf(deferred, ControlPlaneError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """
        A server that never answers is given five seconds, and the attempt is ended.
        """
        cancelled: list[object] = []
        agent = _Agent(lambda: Deferred(cancelled.append))
        deferred = plane(agent, self.clock).heartbeat("a", LOAD, 0)
        self.clock.advance(TIMEOUT - 0.1)
        self.assertNoResult(deferred)
        self.clock.advance(0.1)
        failure = self.failureResultOf(deferred, ControlPlaneError)
        self.assertIn("within 5 s", failure.getErrorMessage())
        self.assertEqual(len(cancelled), 1)

    def test_silence_in_the_middle(self) -> None:
        """
        The five seconds are for the whole answer, and its connection is closed.
        """
        ended: list[object] = []

        def render(request: Request) -> int:
            request.notifyFinish().addBoth(ended.append)
            request.write(b'{"version":')
            return NOT_DONE_YET

        agent = RequestTraversalAgent(_Fixed(render))
        deferred = plane(agent, self.clock).register(node())
        agent.flush()
        self.assertNoResult(deferred)
        self.clock.advance(TIMEOUT)
        self.failureResultOf(deferred, ControlPlaneError)
        agent.flush()
        self.assertEqual(len(ended), 1)

    def test_cancelled(self) -> None:
        """
        Cancelling a call ends its attempt and leaves no timer.
        """
        cancelled: list[object] = []
        agent = _Agent(lambda: Deferred(cancelled.append))
        deferred = plane(agent, self.clock).leave("a")
        deferred.cancel()
        self.failureResultOf(deferred)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endless_answer(self) -> None:
        """
        An answer of more than 16 MiB is refused, packed or not.
        """
        long = bytes(MAX_ANSWER + 1)
        self.assertIn("longer than", self.refusal(lambda _: long))
        packed = gzip.compress(long)

        def render(request: Request) -> bytes:
            request.setHeader(b"Content-Encoding", b"gzip")
            return packed

        self.assertIn("longer than", self.refusal(render))

    def test_nonsense(self) -> None:
        """
        An answer that is not what it should be is refused, whatever it is.
        """
        for body in (
            b"",
            b"<html>",
            b"{}",
            b'{"version":-1}',
            b'{"version":1,"nodes":[{"node_id":"a","host":"h","port":0}]}',
            b'{"version":1,"nodes":{}}',
        ):
            self.assertIn(
                "cannot be used",
                self.refusal(lambda _, body=body: body),  # type: ignore[misc]
            )

    def test_something_else(self) -> None:
        """
        A server that is no control plane is told by its status.
        """

        def render(request: Request) -> bytes:
            request.setResponseCode(502)
            return b"<html>bad gateway</html>"

        self.assertIn("502", self.refusal(render))

    def test_redirect(self) -> None:
        """
        A redirection is not followed: the token is not for others.
        """
        asked: list[bytes] = []

        def render(request: Request) -> bytes:
            asked.append(request.path)
            request.redirect(b"http://elsewhere/")
            return b""

        self.assertIn("302", self.refusal(render))
        self.assertEqual(len(asked), 1)


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


@implementer(IAgent)
class _Agent:
    """
    An agent whose requests end as a test wants.
    """

    def __init__(self, answer: Callable[[], Deferred[IResponse]]) -> None:
        self._answer = answer

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """
        Make a request.
        """
        return self._answer()

"""
Tests for :mod:`eliop2p.control.service`.
"""

import random
from collections.abc import Callable, Iterable
from itertools import pairwise

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.client import HttpControlPlane
from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.service import (
    LAST_RETRY,
    LEAVE_TIMEOUT,
    MAX_NOTED,
    REPORTED_AT_ONCE,
    WATCH_PAUSE,
    ControlService,
)
from eliop2p.interfaces import IControlPlane, IMembership, NodeLoad, Registration
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo
from tests.control.support import Server, chunk_id, node

INTERVAL = 3.0


@implementer(IMembership)
class Members:
    """
    Remembers what it is given.
    """

    def __init__(self) -> None:
        self.given: list[Membership] = []

    def current(self) -> Membership:
        """
        Give the latest.
        """
        return self.given[-1]

    def watch(self, changed: Callable[[Membership], None]) -> None:
        """
        Nobody watches.
        """

    def update(self, membership: Membership) -> None:
        """
        Take a membership.
        """
        self.given.append(membership)


@attrs.define
@implementer(IControlPlane)
class Plane:
    """
    A control plane that can be lost, be slow, and forget.

    Attributes:
        clock: Tells when calls come.
        down: Whether calls fail.
        hanging: Whether calls wait for ever.
        fail_reports: How many reports fail from now on.
        known: Whether it knows the node.
        version: The version that it has.
        calls: Time and name of each call.
        held: Chunks that it has been told of.
        versions: The version that each heartbeat brought.
        cancelled: How many waiting calls were cancelled.
        watched: The question for a newer membership that waits.
    """

    clock: Clock
    down: bool = False
    hanging: bool = False
    fail_reports: int = 0
    known: bool = False
    version: int = 10
    calls: list[tuple[float, str]] = attrs.Factory(list)
    held: set[ChunkId] = attrs.Factory(set)
    versions: list[int] = attrs.Factory(list)
    cancelled: int = 0
    watched: "Deferred[Registration]" = attrs.Factory(Deferred)

    def _call(self, name: str) -> "Deferred[None]":
        self.calls.append((self.clock.seconds(), name))
        if self.hanging:
            return Deferred(self._cancel)
        if self.down:
            return fail(ControlPlaneError("connection refused"))
        return succeed(None)

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def names(self) -> list[str]:
        """
        Name the calls so far.
        """
        return [name for _, name in self.calls]

    def register(self, info: PeerInfo) -> "Deferred[Registration]":
        """
        Take the node in.
        """

        def done(_: None) -> Registration:
            self.known = True
            self.held.clear()
            membership = Membership(self.version, {info.node_id: info})
            return Registration(membership, self.version)

        return self._call("register").addCallback(done)

    def heartbeat(
        self, node_id: str, load: NodeLoad, version: int
    ) -> "Deferred[Registration | None]":
        """
        Take a heartbeat.
        """

        def done(_: None) -> Registration | None:
            if not self.known:
                return None
            self.versions.append(version)
            if version == self.version:
                return Registration(None, version)
            return Registration(Membership(self.version, {}), self.version)

        return self._call("heartbeat").addCallback(done)

    def watch(self, version: int) -> "Deferred[Registration]":
        """
        Wait until :meth:`change`.
        """
        self.watched = Deferred()
        return self.watched

    def leave(self, node_id: str) -> "Deferred[None]":
        """
        Let the node go.
        """
        return self._call("leave")

    def report(
        self, node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> "Deferred[None]":
        """
        Take a report.
        """

        def done(_: None) -> None:
            assert len(held) + len(gone) <= REPORTED_AT_ONCE
            self.held |= set(held)
            self.held -= set(gone)

        if self.fail_reports:
            self.fail_reports -= 1
            return fail(ControlPlaneError("report lost"))
        return self._call("report").addCallback(done)


class ServiceTests(SynchronousTestCase):
    """
    What a node's registration promises.
    """

    def setUp(self) -> None:
        """
        Make a node beside a control plane.
        """
        self.clock = Clock()
        self.plane = Plane(self.clock)
        self.members = Members()
        self.chunks: set[ChunkId] = set()
        self.service = self.make(7)
        self.events = self.enterContext(capturedLogs())

    def make(self, seed: int, plane: IControlPlane | None = None) -> ControlService:
        """
        Make the service.
        """
        return ControlService(
            node(),
            plane or self.plane,
            self.members,
            load=self.load,
            holdings=self.holdings,
            clock=self.clock,
            rng=random.Random(seed),
            interval=INTERVAL,
        )

    def load(self) -> NodeLoad:
        """
        Tell the load.
        """
        return NodeLoad(1, 2, len(self.chunks), 0)

    def holdings(self) -> Iterable[ChunkId]:
        """
        Name the chunks.
        """
        return sorted(self.chunks)

    def hold(self, *numbers: int) -> None:
        """
        The node comes to hold chunks.
        """
        for number in numbers:
            self.chunks.add(chunk_id(number))
            self.service.note_held(chunk_id(number))

    def drop(self, *numbers: int) -> None:
        """
        The node lets go of chunks.
        """
        for number in numbers:
            self.chunks.remove(chunk_id(number))
            self.service.note_gone(chunk_id(number))

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass in small steps.
        """
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def said(self, text: str) -> int:
        """
        Count log events.
        """
        return sum(text in event["log_format"] for event in self.events)

    def test_watches(self) -> None:
        """
        A registered node hears of a change without waiting for its next heartbeat, asks
        on, and stops asking when it leaves.
        """
        self.service.startService()
        first = self.plane.watched
        first.callback(Registration(Membership(11, {}), 11))
        self.assertEqual(self.members.given[-1].version, 11)
        self.clock.advance(0)
        second = self.plane.watched
        self.assertIsNot(first, second)
        second.callback(Registration(None, 11))
        self.assertIs(self.plane.watched, second)
        self.clock.advance(WATCH_PAUSE)
        self.assertIsNot(self.plane.watched, second)
        last = self.plane.watched
        self.assertFalse(last.called)
        self.service.stopService()
        self.assertTrue(last.called)

    def test_watch_lost(self) -> None:
        """
        A question that fails is asked again after the next heartbeat.
        """
        self.service.startService()
        first = self.plane.watched
        first.errback(ControlPlaneError("connection lost"))
        self.assertIs(self.plane.watched, first)
        self.clock.advance(2 * INTERVAL)
        self.assertIsNot(self.plane.watched, first)
        self.assertEqual(self.service.state, PlaneState.REGISTERED)

    def test_registers(self) -> None:
        """
        A node registers as it starts and hands the membership on.
        """
        self.service.startService()
        self.assertEqual(self.plane.names(), ["register"])
        self.assertIs(self.service.state, PlaneState.REGISTERED)
        self.assertEqual(self.members.given, [Membership(10, {"node-1": node()})])

    def test_beats(self) -> None:
        """
        It beats every interval, give or take a tenth, and never in step with others.
        """
        self.service.startService()
        self.pass_time(300)
        times = [at for at, name in self.plane.calls]
        gaps = [later - at for at, later in pairwise(times)]
        self.assertGreater(len(gaps), 90)
        self.assertTrue(all(2.69 <= gap <= 3.41 for gap in gaps), gaps)
        self.assertGreater(len({round(gap, 1) for gap in gaps}), 4)

    def test_replays(self) -> None:
        """
        The same seed beats at the same times.
        """
        runs = []
        for _ in range(2):
            self.setUp()
            self.service.startService()
            self.pass_time(60)
            runs.append(self.plane.calls)
        self.assertEqual(runs[0], runs[1])

    def test_membership_changes(self) -> None:
        """
        A new membership is handed on once, an unchanged one not at all.
        """
        self.service.startService()
        self.pass_time(10)
        self.assertEqual(len(self.members.given), 1)
        self.plane.version = 11
        self.pass_time(10)
        self.assertEqual([one.version for one in self.members.given], [10, 11])
        self.assertEqual(set(self.plane.versions), {10, 11})

    def test_forgotten(self) -> None:
        """
        A control plane that has forgotten the node gets its registration at once, with
        all that it holds.
        """
        self.hold(1, 2)
        self.service.startService()
        self.assertEqual(self.plane.held, self.chunks)
        self.plane.known = False
        self.plane.held.clear()
        self.hold(3)
        self.pass_time(4)
        self.assertEqual(
            self.plane.names(),
            ["register", "report", "heartbeat", "register", "report"],
        )
        self.assertEqual(self.plane.held, self.chunks)
        self.assertIs(self.service.state, PlaneState.REGISTERED)

    def test_loss_and_return(self) -> None:
        """
        A lost control plane is said once, a returned one too; in between the node is
        degraded and tries less and less often, for ever.
        """
        self.service.startService()
        self.plane.down = True
        self.pass_time(1000)
        self.assertIs(self.service.state, PlaneState.DEGRADED)
        self.assertLess(self.service.since, 4)
        self.assertEqual(self.said("going on without it"), 1)
        times = [at for at, _ in self.plane.calls[1:]]
        gaps = [later - at for at, later in pairwise(times)]
        for number, gap in enumerate(gaps):
            most = min(0.5 * 2**number, LAST_RETRY)
            self.assertTrue(most / 2 - 0.1 <= gap <= most + 0.11, (number, gap))
        self.assertGreater(len(gaps), 30)
        self.plane.down = False
        self.pass_time(LAST_RETRY)
        self.assertIs(self.service.state, PlaneState.REGISTERED)
        self.assertEqual(self.said("answers again"), 1)
        self.assertEqual(len(self.members.given), 1)

    def test_never_there(self) -> None:
        """
        A node whose control plane is not there at the start stays unregistered until
        it is, and says so once.
        """
        self.plane.down = True
        self.service.startService()
        self.pass_time(100)
        self.assertIs(self.service.state, PlaneState.UNREGISTERED)
        self.assertEqual(set(self.plane.names()), {"register"})
        self.assertEqual(self.said("going on without it"), 1)
        self.plane.down = False
        self.pass_time(LAST_RETRY)
        self.assertIs(self.service.state, PlaneState.REGISTERED)

    def test_reports_changes(self) -> None:
        """
        What changes is reported with the next heartbeat, each chunk as it was last.
        """
        self.hold(1, 2, 3)
        self.service.startService()
        self.hold(4, 5)
        self.drop(1, 4)
        self.hold(1)
        self.assertEqual(self.plane.names(), ["register", "report"])
        self.pass_time(4)
        self.assertEqual(self.plane.held, self.chunks)
        self.assertEqual(self.plane.names()[2:], ["heartbeat", "report"])
        self.pass_time(3)
        self.assertEqual(self.plane.names()[4:], ["heartbeat"])

    def test_report_repeated(self) -> None:
        """
        Changes that could not be reported are reported later.
        """
        self.service.startService()
        self.hold(1, 2)
        self.plane.fail_reports = 3
        self.pass_time(4)
        self.assertEqual(self.plane.held, set())
        self.assertIs(self.service.state, PlaneState.DEGRADED)
        self.drop(1)
        self.pass_time(10)
        self.assertEqual(self.plane.held, self.chunks)
        self.assertEqual(self.said("going on without it"), 1)
        self.assertEqual(self.said("answers again"), 1)

    def test_change_during_report(self) -> None:
        """
        A chunk that goes while its arrival is being reported is reported gone next.
        """
        self.service.startService()
        self.hold(1)
        waiting: list[Callable[[], None]] = []
        told = self.plane.report

        def slow(
            _: Plane, node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
        ) -> "Deferred[None]":
            result = Deferred[None]()

            def arrive() -> None:
                told(node_id, held, gone).chainDeferred(result)

            waiting.append(arrive)
            return result

        self.patch(Plane, "report", slow)
        self.pass_time(4)
        self.drop(1)
        waiting.pop()()
        self.assertEqual(self.plane.held, {chunk_id(1)})
        waiting.pop()()
        self.assertEqual(self.plane.held, set())

    def test_broken_full_report(self) -> None:
        """
        A full report that breaks off is begun again from a fresh registration, so that
        nothing stale stays behind.
        """
        self.hold(*range(REPORTED_AT_ONCE + 5))
        self.plane.fail_reports = 1
        self.service.startService()
        self.drop(1)
        self.pass_time(1)
        self.assertEqual(
            self.plane.names(), ["register", "register", "report", "report"]
        )
        self.assertEqual(self.plane.held, self.chunks)

    def test_too_many_changes(self) -> None:
        """
        More changes than are kept lead to a fresh registration with all that is held.
        """
        self.service.startService()
        self.hold(*range(MAX_NOTED + 1))
        self.drop(*range(1000))
        self.assertLessEqual(len(self.service._noted), MAX_NOTED)
        self.pass_time(4)
        self.assertEqual(self.plane.names()[1], "register")
        self.assertEqual(self.plane.held, self.chunks)

    def test_stop(self) -> None:
        """
        A node that stops says so, beats no more and leaves no timer.
        """
        self.service.startService()
        stopping = self.service.stopService()
        assert stopping is not None
        self.successResultOf(stopping)
        self.assertEqual(self.plane.names(), ["register", "leave"])
        self.assertIs(self.service.state, PlaneState.LEAVING)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_within_two_seconds(self) -> None:
        """
        A control plane that does not answer holds a stopping node up for two seconds.
        """
        self.service.startService()
        self.plane.hanging = True
        self.pass_time(4)
        stopping = self.service.stopService()
        assert stopping is not None
        self.assertEqual(self.plane.cancelled, 1)
        self.assertNoResult(stopping)
        self.clock.advance(LEAVE_TIMEOUT)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.said("went wrong"), 0)

    def test_stop_without_control_plane(self) -> None:
        """
        A node that was never registered stops at once.
        """
        self.plane.down = True
        self.service.startService()
        self.assertIsNone(self.service.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start_again(self) -> None:
        """
        A service that has been stopped can be started.
        """
        self.service.startService()
        self.service.stopService()
        self.service.startService()
        self.assertIs(self.service.state, PlaneState.REGISTERED)

    def test_faults_of_the_node(self) -> None:
        """
        A fault in what the service asks of the node is logged, and the node goes on
        beating once it is over.
        """
        self.service.startService()
        self.service._load = _fault
        self.pass_time(10)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.service._load = self.load
        self.pass_time(LAST_RETRY)
        self.assertIs(self.service.state, PlaneState.REGISTERED)

    def test_levels(self) -> None:
        """
        A loss is a warning and a return is information.
        """
        self.service.startService()
        self.plane.down = True
        self.pass_time(5)
        self.plane.down = False
        self.pass_time(5)
        levels = [event["log_level"] for event in self.events]
        self.assertEqual(levels, [LogLevel.warn, LogLevel.info])

    def test_real_server(self) -> None:
        """
        With the real client and server a node registers, is declared dead while it is
        cut off, and comes back with what it holds.
        """
        server = Server()
        self.clock = server.clock
        client = HttpControlPlane("http://control", server.agent, b"", server.clock)
        self.service = self.make(7, client)
        self.hold(1, 2)
        self.service.startService()
        self.assertEqual(len(server.registry), 1)
        self.assertEqual(server.registry.locations.count("node-1"), 2)
        for _ in range(30):
            self.clock.advance(0.5)
            server.registry.expire(self.clock.seconds())
        self.assertEqual(len(server.registry), 1)
        server.registry.leave("node-1")
        self.pass_time(4)
        self.assertEqual(server.registry.locations.count("node-1"), 2)
        stopping = self.service.stopService()
        assert stopping is not None
        self.successResultOf(stopping)
        self.assertEqual(len(server.registry), 0)


def _fault() -> NodeLoad:
    raise ZeroDivisionError

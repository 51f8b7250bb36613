"""
Tests for :mod:`eliop2p.control.service`.
"""

from itertools import pairwise

from twisted.logger import LogLevel

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.client import HttpControlPlane
from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.service import (
    LAST_RETRY,
    WATCH_PAUSE,
)
from eliop2p.interfaces import NodeLoad, Registration
from eliop2p.model.peer import Membership
from tests.control.service_case import INTERVAL, ServiceCase
from tests.control.support import Server, node


class ServiceTests(ServiceCase):
    """
    What a node's registration promises.
    """

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

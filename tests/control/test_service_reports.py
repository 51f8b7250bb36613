"""
Tests for what :mod:`eliop2p.control.service` reports, and for how it stops.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from eliop2p.control.lifecycle import PlaneState
from eliop2p.control.service import (
    LEAVE_TIMEOUT,
    MAX_NOTED,
    REPORTED_AT_ONCE,
)
from eliop2p.model.chunk import ChunkId
from tests.control.service_case import Plane, ServiceCase
from tests.control.support import chunk_id


class ReportTests(ServiceCase):
    """
    Tests for what the service reports of the chunks that its node holds.
    """

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


class StopTests(ServiceCase):
    """
    Tests for how the service stops, and starts again.
    """

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

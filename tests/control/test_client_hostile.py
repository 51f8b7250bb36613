"""
Tests for :mod:`eliop2p.control.client` against a control plane that answers anything.
"""

import gzip
from collections.abc import Callable

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET, Request

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import MAX_ANSWER
from eliop2p.control.client import (
    TIMEOUT,
)
from tests.control.client_case import LOAD, _Agent, _Fixed, plane
from tests.control.support import node


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

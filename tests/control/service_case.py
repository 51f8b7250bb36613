"""
What tests of the node's control service share.
"""

import random
from collections.abc import Callable, Iterable

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.service import (
    REPORTED_AT_ONCE,
    ControlService,
)
from eliop2p.interfaces import IControlPlane, IMembership, NodeLoad, Registration
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo
from tests.control.support import chunk_id, node

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


class ServiceCase(SynchronousTestCase):
    """
    A service, the membership that it tells, and a control plane that obeys.
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

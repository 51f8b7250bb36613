"""
A node's side of the control plane: register, beat, degrade, leave.
"""

import random
from collections.abc import Callable, Iterable
from itertools import islice

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.lifecycle import PlaneState, make_lifecycle
from eliop2p.interfaces import IControlPlane, IMembership, NodeLoad, Registration
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo

MAX_NOTED = 100_000
"""
Changes of the cache that wait to be reported; one more, and the node registers and
reports afresh.
"""

REPORTED_AT_ONCE = 10_000
FIRST_RETRY = 0.5
LAST_RETRY = 10.0
LEAVE_TIMEOUT = 2.0
"""
Seconds that a stopping node gives to the control plane.
"""

WATCH_PAUSE = 1.0
"""
Seconds, at most, until the control plane is asked again for what has not changed.
"""

_JITTER = 0.1
_log = Logger()


class ControlService(Service):
    """
    Keeps a node registered. Whatever becomes of the control plane, the node hears of
    nothing but new memberships.

    Args:
        node: This node.
        plane: The control plane.
        membership: Takes new memberships.
        load: Tells how the node is doing.
        holdings: Names every chunk that the node holds, as of the call.
        clock: Times heartbeats and retries.
        rng: Spreads them, so that nodes do not beat in step.
        interval: Seconds between heartbeats.
        told: Given each answer to a registration or heartbeat.

    Attributes:
        state: How the node stands with the control plane.
        since: When it came to stand so, in seconds on the clock.
    """

    def __init__(
        self,
        node: PeerInfo,
        plane: IControlPlane,
        membership: IMembership,
        *,
        load: Callable[[], NodeLoad],
        holdings: Callable[[], Iterable[ChunkId]],
        clock: IReactorTime,
        rng: random.Random,
        interval: float,
        told: Callable[[Registration], None] = lambda _: None,
    ) -> None:
        self.state = PlaneState.UNREGISTERED
        self.since = clock.seconds()
        self._node = node
        self._plane = plane
        self._membership = membership
        self._load = load
        self._holdings = holdings
        self._clock = clock
        self._rng = rng
        self._interval = interval
        self._version = 0
        self._must_register = True
        self._retry = FIRST_RETRY
        self._failing = False
        self._told = told
        self._lifecycle = make_lifecycle(self._enter)
        self._noted: dict[ChunkId, bool] = {}
        self._watching: Deferred[None] | None = None
        self._watch_again: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        self._turn: Deferred[None] | None = None

    def note_held(self, chunk_id: ChunkId) -> None:
        """
        The node has come to hold a chunk.
        """
        self._note(chunk_id, held=True)

    def note_gone(self, chunk_id: ChunkId) -> None:
        """
        The node has let go of a chunk.
        """
        self._note(chunk_id, held=False)

    def startService(self) -> None:
        """
        Register, and go on from there.
        """
        super().startService()
        self._lifecycle.begin()
        self._must_register = True
        self._begin_turn()

    def stopService(self) -> Deferred[None] | None:
        """
        Tell the control plane that the node goes.

        Returns:
            Fires after :data:`LEAVE_TIMEOUT` at most; None when there is nothing to
            tell.
        """
        super().stopService()
        told = self.state is not PlaneState.UNREGISTERED or self._turn is not None
        self._lifecycle.leave()
        self._stop_watching()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._turn is not None:
            self._turn.cancel()
        self._noted.clear()
        if not told:
            return None
        leaving = self._plane.leave(self._node.node_id)
        leaving.addTimeout(LEAVE_TIMEOUT, self._clock)
        leaving.addErrback(self._left_unnoticed)
        return leaving

    # --- inside

    def _note(self, chunk_id: ChunkId, *, held: bool) -> None:
        if self._must_register:
            return  # The report that follows a registration will say so.
        # The latest change of a chunk is reported last.
        self._noted.pop(chunk_id, None)
        self._noted[chunk_id] = held
        if len(self._noted) > MAX_NOTED:
            self._noted.clear()
            self._must_register = True

    def _begin_turn(self) -> None:
        self._next = None
        self._turn = Deferred.fromCoroutine(self._take_turn())
        self._turn.addCallbacks(self._succeeded, self._failed)
        self._turn.addErrback(self._broken)
        self._turn.addBoth(self._end_turn)

    async def _take_turn(self) -> None:
        """
        Say once that the node is alive, and what has changed in it.

        Raises:
            ControlPlaneError: The control plane gave no usable answer.
        """
        if not self._must_register:
            answer = await self._plane.heartbeat(
                self._node.node_id, self._load(), self._version
            )
            if answer is not None:
                self._accept(answer)
                self._told(answer)
                await self._report_changes()
                return
            self._must_register = True
        registered = await self._plane.register(self._node)
        self._accept(registered)
        self._told(registered)
        await self._report_everything()

    def _accept(self, answer: Registration) -> None:
        if answer.membership is None:
            # Of 0 when what was told does not fit what is known: ask for all of it.
            self._version = answer.version and self._version
        elif answer.version != self._version:
            self._membership.update(answer.membership)
            self._version = answer.version

    # --- waiting for changes

    def _watch(self) -> None:
        """
        Wait for the next change of the membership, unless that is under way.
        """
        self._watch_again = None
        if self._watching is None and self.state is PlaneState.REGISTERED:
            self._watching = Deferred.fromCoroutine(self._wait_for_change())
            self._watching.addErrback(self._watch_failed)

    async def _wait_for_change(self) -> None:
        before = self._version
        try:
            self._accept(await self._plane.watch(before))
        finally:
            self._watching = None
        # An answer without news comes late, or from a control plane that is full.
        pause = 0.0 if self._version != before else WATCH_PAUSE
        spread = self._rng.uniform(0.5, 1.0)
        self._watch_again = self._clock.callLater(pause * spread, self._watch)

    def _watch_failed(self, failure: Failure) -> None:
        """
        Leave it to the heartbeats to find out what is wrong.
        """
        if not failure.check(ControlPlaneError, CancelledError):
            _log.failure("waiting for members went wrong", failure=failure)

    def _stop_watching(self) -> None:
        if self._watch_again is not None:
            self._watch_again.cancel()
            self._watch_again = None
        if self._watching is not None:
            self._watching.cancel()

    async def _report_everything(self) -> None:
        """
        Report all that the node holds, and from now on what changes.
        """
        self._noted.clear()
        holdings = iter(self._holdings())
        self._must_register = False
        try:
            while held := tuple(islice(holdings, REPORTED_AT_ONCE)):
                await self._plane.report(self._node.node_id, held, ())
        except BaseException:
            # What has been reported is not the whole: begin again from nothing.
            self._must_register = True
            raise

    async def _report_changes(self) -> None:
        while self._noted:
            part = dict(islice(self._noted.items(), REPORTED_AT_ONCE))
            held = tuple(name for name, is_held in part.items() if is_held)
            gone = tuple(name for name, is_held in part.items() if not is_held)
            await self._plane.report(self._node.node_id, held, gone)
            for chunk_id, is_held in part.items():
                if self._noted.get(chunk_id) is is_held:
                    del self._noted[chunk_id]

    def _enter(self, state: PlaneState) -> None:
        self.state = state
        self.since = self._clock.seconds()

    def _succeeded(self, _: None) -> None:
        if self._failing:
            _log.info("the control plane answers again")
        self._failing = False
        self._retry = FIRST_RETRY
        self._lifecycle.answered()
        if self._watch_again is None:
            self._watch()
        spread = self._rng.uniform(1 - _JITTER, 1 + _JITTER)
        self._schedule(self._interval * spread)

    def _failed(self, failure: Failure) -> None:
        if self.state is PlaneState.LEAVING:
            return
        if not self._failing:
            self._lost(failure)
        self._lifecycle.unanswered()
        self._schedule(self._retry * self._rng.uniform(0.5, 1.0))
        self._retry = min(2 * self._retry, LAST_RETRY)

    def _lost(self, failure: Failure) -> None:
        self._failing = True
        if failure.check(ControlPlaneError):
            _log.warn(
                "no answer from the control plane, going on without it: {reason}",
                reason=failure.getErrorMessage(),
            )
        else:
            _log.failure("keeping the node registered went wrong", failure=failure)

    def _broken(self, failure: Failure) -> None:
        _log.failure("keeping the node registered has ended", failure=failure)

    def _end_turn(self, _: object) -> None:
        self._turn = None

    def _schedule(self, delay: float) -> None:
        if self.state is not PlaneState.LEAVING:
            self._next = self._clock.callLater(delay, self._begin_turn)

    def _left_unnoticed(self, failure: Failure) -> None:
        _log.info(
            "the control plane was not told that the node goes: {reason}",
            reason=failure.getErrorMessage(),
        )

"""
What this node asks of one peer, from the request to its answer.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.base.errors import (
    PeerBehind,
    PeerBusy,
    PeerError,
    PeerMissing,
    PeerUnreachable,
    RemoteProtocolError,
)
from eliop2p.interfaces import IPieceTaker
from eliop2p.p2p.bandwidth import Bandwidth
from eliop2p.wire.cluster_events import FindObject
from eliop2p.wire.events import (
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Locate,
    Message,
)
from eliop2p.wire.rules import Question, Reply

LOCATE_TIMEOUT = 5.0
FIND_TIMEOUT = 15.0
"""
Seconds until an answer must have come; that of a find may wait at the home.
"""

PROGRESS_TIMEOUT = 10.0
"""
Seconds without a byte after which a download from a silent peer fails.
"""

MOST_WAITS = 5
"""
How many times longer one from a peer that is heard of is waited for: it may wait for
the store itself.
"""

FORSAKEN_AFTER = 0.5
"""
Seconds of silence after which nothing is waited for any more from a peer in doubt.
"""

MAX_LATE = 16 * 1024 * 1024
"""
Bytes of chunks that may come after they were said not to be wanted: more than the
buffers on the way hold.
"""

MOST_DELAYS = 12
"""
How many times longer an answer is waited for while this node itself is slow to read.
"""

Result = Reply | Done
_T = TypeVar("_T")

_ERRORS: dict[Fault, type[PeerError]] = {
    Fault.MISSING: PeerMissing,
    Fault.BEHIND: PeerBehind,
    Fault.BUSY: PeerBusy,
}


class CallOutput(Protocol):
    """
    The connection that requests go out on.
    """

    @property
    def heard(self) -> float:
        """
        When the peer last sent anything, in seconds of the clock.
        """

    def next_request_id(self) -> int:
        """
        Give a number for a new request.

        Raises:
            PeerBusy: There are too many open already.
            PeerUnreachable: The connection is closed.
        """

    def send(self, message: Message) -> None:
        """
        Send a message.
        """

    def doubt(self) -> None:
        """
        The peer owed an answer and said nothing at all.
        """


@attrs.define(eq=False)
class _Call:
    deferred: Deferred[Result]
    patience: float
    timer: IDelayedCall
    taker: IPieceTaker | None = None
    offset: int = 0
    delays: int = 0
    at_once: bool = False


class Calls:
    """
    The open requests to one peer.

    A request that was given up stays open for the session until the peer ends it; here
    it is forgotten at once, and what still comes for it is counted and dropped. A peer
    that goes on for more than :data:`MAX_LATE` does not listen.

    Attributes:
        in_doubt: Whether the peer owed an answer and has said nothing since.
    """

    def __init__(
        self, output: CallOutput, clock: IReactorTime, bandwidth: Bandwidth
    ) -> None:
        self._bandwidth = bandwidth
        self._output = output
        self._clock = clock
        self._calls: dict[int, _Call] = {}
        self._late: dict[int, IPieceTaker] = {}
        self.in_doubt = False
        self._unsaid: list[int] = []
        self._late_bytes: Counter[int] = Counter()

    def ask(self, request: Question) -> Deferred[Result]:
        """
        Send a request that one message answers.
        """
        finding = isinstance(request, FindObject)
        return self._open(request, FIND_TIMEOUT if finding else LOCATE_TIMEOUT)

    def get(self, request: Get, taker: IPieceTaker) -> Deferred[Result]:
        """
        Send a request that bytes answer.
        """
        return self._open(request, PROGRESS_TIMEOUT, taker)

    def _open(
        self,
        request: Question | Get,
        patience: float,
        taker: IPieceTaker | None = None,
    ) -> Deferred[Result]:
        try:
            request_id = self._output.next_request_id()
        except PeerError as error:
            return fail(error)
        timer = self._clock.callLater(patience, self._expired, request_id)
        deferred: Deferred[Result] = Deferred(lambda _: self._cancelled(request_id))
        offset = request.offset if isinstance(request, Get) else 0
        at_once = isinstance(request, Locate)
        call = _Call(deferred, patience, timer, taker, offset, at_once=at_once)
        self._calls[request_id] = call
        self._output.send(attrs.evolve(request, request_id=request_id))
        return deferred

    def room(self, request_id: int, limit: int) -> memoryview | None:
        """
        Give the place of bytes that come next for a request, if it is known.
        """
        call = self._calls.get(request_id)
        if call is None or call.taker is None:
            return None
        return call.taker.room(call.offset, limit)

    def filled(self, request_id: int, size: int) -> None:
        """
        Bytes of a request have come into the room that was given for them.
        """
        call = self._calls[request_id]
        assert call.taker is not None
        self._take(request_id, call, size, call.taker.wrote, size)

    def answered(self, message: Result | Data | Fail) -> None:
        """
        Take an answer, which the session has checked to fit its request.

        Raises:
            RemoteProtocolError: Too much came of what is no longer wanted.
        """
        call = self._calls.get(message.request_id)
        if call is None:
            self._came_late(message)
            return
        if isinstance(message, Data):
            assert call.taker is not None
            piece = memoryview(message.payload)
            self._take(message.request_id, call, len(piece), call.taker.write, piece)
            return
        self._forget(message.request_id)
        if isinstance(message, Fail):
            kind = _ERRORS.get(message.fault, PeerError)
            call.deferred.errback(kind(f"the peer says {message.fault.name}"))
        else:
            call.deferred.callback(message)

    def fail_all(self, error: PeerError) -> None:
        """
        Fail every open request: no answer can come any more.
        """
        self._late.clear()
        self._late_bytes.clear()
        self._unsaid.clear()
        for request_id in list(self._calls):
            call = self._forget(request_id)
            if call is not None:
                call.deferred.errback(error)

    def forsake(self) -> None:
        """
        Fail what is asked of a peer in doubt, unless it was heard a moment ago: others
        are to be asked instead.
        """
        silent = self._clock.seconds() - self._output.heard
        if silent < FORSAKEN_AFTER:
            return
        error = PeerUnreachable(f"the peer was silent for {silent:.3g} s")
        for request_id in list(self._calls):
            call = self._give_up(request_id)
            if call is not None:
                call.deferred.errback(error)

    def resume(self) -> None:
        """
        The peer is in doubt no longer: say what is not wanted any more of what it was
        asked for before, and may give now.
        """
        self.in_doubt = False
        unsaid, self._unsaid = self._unsaid, []
        for request_id in unsaid:
            self._output.send(Cancel(request_id))

    def _came_late(self, message: Result | Data | Fail) -> None:
        """
        Count what comes for a request that was given up.
        """
        request_id = message.request_id
        if not isinstance(message, Data):
            self._late.pop(request_id, None)
            self._late_bytes.pop(request_id, None)
            return
        if request_id in self._late:
            self._late[request_id].late(len(message.payload))
        self._late_bytes[request_id] += len(message.payload)
        if self._late_bytes[request_id] > MAX_LATE:
            raise RemoteProtocolError("it goes on sending what was cancelled")

    def _take(
        self,
        request_id: int,
        call: _Call,
        size: int,
        take: Callable[[int, _T], None],
        taken: _T,
    ) -> None:
        call.timer.reset(call.patience)
        call.delays = 0
        offset, call.offset = call.offset, call.offset + size
        try:
            take(offset, taken)
        except Exception as error:  # noqa: BLE001 - it goes back to whose it is.
            self._give_up(request_id)
            call.deferred.errback(error)

    def _expired(self, request_id: int) -> None:
        call = self._calls[request_id]
        silent = self._clock.seconds() - self._output.heard >= call.patience
        if self._bandwidth.held_back:
            # What the peer sent may wait to be read; whether it lives, pings tell.
            most = MOST_DELAYS
        else:
            most = 0 if silent or call.taker is None else MOST_WAITS
        if call.delays < most:
            call.delays += 1
            again = self._clock.callLater(call.patience, self._expired, request_id)
            call.timer = again
            return
        if silent:
            self._output.doubt()
        if self._give_up(request_id) is None:
            return  # Doubt has ended it, or those whose requests it ended did.
        kind = PeerUnreachable if silent else PeerError
        call.deferred.errback(kind(f"nothing came for {call.patience:g} s"))

    def _cancelled(self, request_id: int) -> None:
        self._give_up(request_id)

    def _give_up(self, request_id: int) -> _Call | None:
        """
        Forget a request, and tell the peer if that saves it anything: not what it
        answers at once, and not while it gives no sign of life.
        """
        call = self._forget(request_id)
        if call is None or call.at_once:
            return call
        if call.taker is not None:
            self._late[request_id] = call.taker
        if self.in_doubt:
            self._unsaid.append(request_id)
        else:
            self._output.send(Cancel(request_id))
        return call

    def _forget(self, request_id: int) -> _Call | None:
        call = self._calls.pop(request_id, None)
        if call is not None and call.timer.active():
            call.timer.cancel()
        return call

"""
``/api/v1/events``: how the node is, every second, as server-sent events.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

SECONDS = 1.0
"""
How often a frame is sent and a sample taken.
"""

HISTORY = 600
"""
How many samples are kept for those who come later.
"""

MAX_WATCHERS = 16
"""
How many may watch at one time.
"""

MAX_MISSED = 60
"""
After how many frames that a watcher could not take it is let go.
"""

_log = Logger()

Sample = tuple[float, ...]


def event(name: str, data: object) -> bytes:
    """
    Write an event as the WHATWG's HTML standard has it, section 9.2.
    """
    text = json.dumps(data, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


@implementer(IPushProducer)
class Watcher:
    """
    Somebody who watches. While the connection takes no more, frames are left out rather
    than queued: only the newest is of interest.

    Args:
        request: Answered until it ends.
        gone: Called when it has ended.
    """

    def __init__(self, request: Request, gone: Callable[["Watcher"], None]) -> None:
        self._request = request
        self._gone = gone
        self._paused = False
        self._missed = 0
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        request.notifyFinish().addBoth(lambda _: self._end())
        request.registerProducer(self, True)

    def send(self, data: bytes) -> None:
        """
        Send an event, unless the connection is full.
        """
        if not self._paused:
            self._missed = 0
            self._request.write(data)
            return
        self._missed += 1
        if self._missed > MAX_MISSED:
            self._request.loseConnection()

    def close(self) -> None:
        """
        Send nothing more.
        """
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """
        The connection is full.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        It takes more.
        """
        self._paused = False

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self._paused = True

    def _end(self) -> None:
        self._gone(self)


class Live(Service):
    """
    Takes a sample every second, and tells those who watch.

    Args:
        frame: Describes the node; only called while somebody watches.
        sample: Gives the numbers whose past is of interest.
        names: What the numbers are called.
        clock: Says when.
    """

    name = "live"

    def __init__(
        self,
        frame: Callable[[], Mapping[str, object]],
        sample: Callable[[], Sample],
        names: tuple[str, ...],
        clock: IReactorTime,
    ) -> None:
        self._frame = frame
        self._sample = sample
        self._names = names
        self._clock = clock
        self._past: deque[Sample] = deque(maxlen=HISTORY)
        self._watchers: dict[Watcher, None] = {}
        self._beat = LoopingCall(self._tick)
        self._beat.clock = clock

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        self._beat.start(SECONDS).addErrback(
            lambda failure: _log.failure("The dashboard stands still", failure)
        )

    def stopService(self) -> "Deferred[None] | None":
        """
        Let everybody go.
        """
        super().stopService()
        if self._beat.running:
            self._beat.stop()
        for watcher in list(self._watchers):
            watcher.close()
        return None

    @property
    def watchers(self) -> int:
        """
        How many watch.
        """
        return len(self._watchers)

    def watch(self, request: Request) -> bool:
        """
        Tell somebody from now on.

        Returns:
            Whether there was a place.
        """
        if len(self._watchers) >= MAX_WATCHERS or not self.running:
            return False
        watcher = Watcher(request, self._forget)
        self._watchers[watcher] = None
        past = {"names": self._names, "samples": list(self._past)}
        watcher.send(event("past", past))
        watcher.send(event("frame", self._frame()))
        return True

    def _forget(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)

    def _tick(self) -> None:
        self._past.append((round(self._clock.seconds(), 3), *self._sample()))
        if self._watchers:
            data = event("frame", {**self._frame(), "sample": self._past[-1]})
            for watcher in list(self._watchers):
                watcher.send(data)


class EventsPage(Resource):
    """
    Lets somebody watch.

    Args:
        live: What there is to see.
    """

    isLeaf = True

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live

    def render(self, request: Request) -> bytes | int:
        """
        Answer a GET for as long as it lasts.
        """
        if request.method != b"GET":
            request.setResponseCode(405)
            request.setHeader(b"Allow", b"GET")
            return b"only GET is allowed here\n"
        if self._live.watch(request):
            return NOT_DONE_YET
        request.setResponseCode(503)
        request.setHeader(b"Retry-After", b"10")
        return f"{MAX_WATCHERS} are watching already\n".encode()

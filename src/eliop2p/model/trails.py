"""
The requests that are under way, and those that were answered last.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from eliop2p.model.trail import RequestTrail

_LATER = 64
"""
So many may be noted in a row before the oldest are forgotten.
"""

_Brief = tuple[RequestTrail, bytes, float, float]
"""
What :meth:`RequestTrail.like` makes a trail from when somebody asks.
"""


class Trails:
    """
    The requests under way, and the last ones that have ended.

    Args:
        requests: How many are kept that have ended; none are noted at all when it is 0.
        size: How many bytes they may take; the oldest go when they take more.

    Attributes:
        used: Bytes that those kept take at most.
        watcher: Told of each request that has ended; None where nobody wants to know.
    """

    def __init__(self, requests: int, size: int) -> None:
        self.used = 0
        self.watcher: Callable[[RequestTrail], None] | None = None
        self._requests = requests
        self._size = size
        self._running: dict[str, RequestTrail] = {}
        self._ended: deque[RequestTrail | _Brief] = deque()
        self._most = _LATER

    @property
    def on(self) -> bool:
        """
        Whether anything is noted.
        """
        return self._requests > 0 or self.watcher is not None

    def __len__(self) -> int:
        return len(self._ended)

    def begin(self, trail: RequestTrail) -> None:
        """
        A request has come.
        """
        self._running[trail.request_id] = trail

    def end(self, trail: RequestTrail) -> None:
        """
        A request has been answered, or cannot be.
        """
        self._running.pop(trail.request_id, None)
        if self.watcher is not None:
            self.watcher(trail)
        self._ended.append(trail)
        trail.kept = trail.size
        self.used += trail.kept
        self._forget()

    def note(
        self, like: RequestTrail, request_id: bytes, started: float, seconds: float
    ) -> None:
        """
        A request has been answered as another was that has ended; see
        :meth:`RequestTrail.like`.
        """
        brief = (like, request_id, started, seconds)
        if self.watcher is not None:
            self.watcher(_at_length(brief))
        self._ended.append(brief)
        self.used += like.kept
        if len(self._ended) > self._most:
            self._forget()

    def get(self, request_id: str) -> RequestTrail | None:
        """
        Find a request.
        """
        found = self._running.get(request_id)
        if found is not None:
            return found
        name = request_id.encode("ascii", "replace")
        for ended in reversed(self._ended):
            if isinstance(ended, tuple):
                if ended[1] == name:
                    return _at_length(ended)
            elif ended.request_id == request_id:
                return ended
        return None

    def recent(self, limit: int) -> list[RequestTrail]:
        """
        Give the requests under way and those that ended last, newest first.
        """
        return list(islice(self._newest_first(), limit))

    def _newest_first(self) -> Iterator[RequestTrail]:
        yield from reversed(self._running.values())
        yield from map(_at_length, reversed(self._ended))

    def _forget(self) -> None:
        while len(self._ended) > self._requests or self.used > self._size:
            oldest = self._ended.popleft()
            self.used -= (oldest[0] if isinstance(oldest, tuple) else oldest).kept
        self._most = len(self._ended) + _LATER


def _at_length(ended: RequestTrail | _Brief) -> RequestTrail:
    if isinstance(ended, RequestTrail):
        return ended
    like, request_id, started, seconds = ended
    return like.like(request_id.decode(), started, seconds)

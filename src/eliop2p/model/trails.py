"""
The requests that are under way, and those that were answered last.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from eliop2p.model.trail import RequestTrail

# What RequestTrail.like makes a trail from when somebody asks.
Brief = tuple[RequestTrail, bytes, float, float]


class Trails:
    """
    The requests under way, and the last ones that have ended.

    Args:
        requests: How many are kept that have ended; none are noted at all when it is 0.
        size: How many bytes they may take; the oldest go when they take more.

    Attributes:
        used: Bytes that those kept take at most.
        note: Takes a request that has been answered as another was, as a tuple of that
            other's trail and of its own id, start and seconds.
        watcher: Told of each request that has ended; None where nobody wants to know.
    """

    def __init__(self, requests: int, size: int) -> None:
        self.used = 0
        self.watcher: Callable[[RequestTrail], None] | None = None
        self._requests = requests
        self._size = size
        self._running: dict[str, RequestTrail] = {}
        self._ended: deque[RequestTrail | Brief] = deque()
        self.note: Callable[[Brief], None] = self._ended.append

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

    def settle(self, size: int) -> None:
        """
        Count what has been put into :attr:`note`; to be called before long.

        Args:
            size: Bytes that it counts for: what those do that it is like.
        """
        self.used += size
        self._forget()

    def get(self, request_id: str) -> RequestTrail | None:
        """
        Find a request.
        """
        if request_id in self._running:
            return self._running[request_id]
        name = request_id.encode("ascii", "replace")
        for ended in reversed(self._ended):
            if _name_of(ended) == name:
                return _at_length(ended)
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


def _at_length(ended: RequestTrail | Brief) -> RequestTrail:
    if isinstance(ended, RequestTrail):
        return ended
    like, request_id, started, seconds = ended
    return like.like(request_id.decode(), started, seconds)


def _name_of(ended: RequestTrail | Brief) -> bytes:
    return ended[1] if isinstance(ended, tuple) else ended.request_id.encode()

"""
Decides when the other side of a connection counts as dead.
"""

import math
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

HANDSHAKE_TIMEOUT = 5.0
"""
Seconds in which the other side must have proved itself.
"""

QUIET = 0.25
"""
Seconds of silence in which it is not asked whether the peer's kernel is there.
"""

HUNG_AFTER = 5.0
"""
Seconds of silence after which a peer counts as gone although its kernel is there.
"""

PING_AFTER = 10.0
IDLE_TIMES = 6
"""
Seconds of silence after which a peer is asked for a sign of life; and how many times
longer that takes while neither side waits for anything.
"""

PONG_TIMEOUT = 10.0
"""
Seconds in which it must have given one.
"""

STALL_TIMEOUT = 30.0
"""
Seconds in which a peer must have taken some of what it is sent, and in which it must
have finished a message that it has begun.
"""

PART_TIMEOUT = 2.0
"""
Seconds until a connection that is being closed is cut.
"""

MAX_QUESTIONS = 1024 * 1024
MAX_BACKLOG = 4 * 1024 * 1024
"""
Bytes of messages in a full transport above which nothing is asked, and above which the
peer, which does not read, is dropped.
"""


class Pulse:
    """
    The time limits of one connection, of which one runs at a time.

    Args:
        clock: The time.
        ping: Asks the peer for a sign of life.
        drop: Closes the connection, for the reason given.
        ping_after: Seconds of silence until a ping.
        waiting: Tells for how many answers either side waits.

    Attributes:
        heard: When the peer last sent anything, in seconds of the clock.
    """

    def __init__(
        self,
        clock: IReactorTime,
        ping: Callable[[], None],
        drop: Callable[[str], None],
        ping_after: float,
        waiting: Callable[[], int],
    ) -> None:
        self.heard = clock.seconds()
        self._clock = clock
        self._ping = ping
        self._drop = drop
        self._ping_after = ping_after
        self._waiting = waiting
        self._pinged = False
        self._asked_at = -math.inf
        self._full_since: float | None = None
        self._midway_since: float | None = None
        self._timer: IDelayedCall | None = None

    @property
    def full(self) -> bool:
        """
        Whether the transport is full.
        """
        return self._full_since is not None

    def asks(self) -> bool:
        """
        Tell whether the peer is to be asked for a sign of life: not when it was, and
        has said nothing since. Note that it is.
        """
        if self._asked_at >= self.heard:
            return False
        self._asked_at = self._clock.seconds()
        return True

    def connected(self) -> None:
        """
        The peer is to prove itself.
        """
        self._wait(HANDSHAKE_TIMEOUT, self._drop, "it does not prove itself")

    def established(self) -> None:
        """
        The peer has proved itself.
        """
        self._wait(self._ping_after, self._check)

    def received(self) -> None:
        """
        The peer has sent something.
        """
        self.heard = self._clock.seconds()
        self._pinged = False

    def taken(self, *, midway: bool) -> None:
        """
        What the peer has sent was looked at.

        Args:
            midway: Whether it is the middle of a message, and no message ended in it.
        """
        if not midway:
            self._midway_since = None
        elif self._midway_since is None:
            self._midway_since = self.heard

    def filled(self) -> None:
        """
        The transport is full.
        """
        if self._full_since is None:
            self._full_since = self._clock.seconds()

    def drained(self) -> None:
        """
        The transport is empty.
        """
        self._full_since = None

    def parting(self, cut: Callable[[], None]) -> None:
        """
        The connection is being closed, and is to be cut if that takes too long.
        """
        self._wait(PART_TIMEOUT, cut)

    def stop(self) -> None:
        """
        Nothing is expected of the peer.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _wait(self, seconds: float, then: Callable[..., None], *args: object) -> None:
        self.stop()
        self._timer = self._clock.callLater(seconds, then, *args)

    def _check(self) -> None:
        now = self._clock.seconds()
        if _is_over(self._full_since, now):
            self._drop("it does not read what it is sent")
        elif _is_over(self._midway_since, now):
            self._drop("it does not finish its message")
        elif (due := self.heard + self._silence_allowed()) > now:
            # As a difference of times: one of durations may round to no time at all.
            self._wait(min(due - now, self._ping_after), self._check)
        else:
            self._pinged = True
            self._wait(PONG_TIMEOUT, self._check_pong)
            self._ping()

    def _silence_allowed(self) -> float:
        return self._ping_after * (1 if self._waiting() else IDLE_TIMES)

    def _check_pong(self) -> None:
        if self._pinged:
            self._drop("it is silent")
        else:
            self._check()


def _is_over(since: float | None, now: float) -> bool:
    return since is not None and now - since >= STALL_TIMEOUT

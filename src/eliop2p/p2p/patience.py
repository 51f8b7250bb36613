"""
How long a chunk is waited for, and how often its home is asked.
"""

import math
import random

from twisted.internet.interfaces import IReactorTime

from eliop2p.p2p.pace import MOST_PATIENCE
from eliop2p.wire.events import Verdict

FIRST_PAUSE = 0.05
WAIT_PAUSE = 0.15
LONGEST_PAUSE = 0.5
"""
How long to wait before a home is asked again, in seconds: at first, at first where it
says that nobody can give the chunk yet, and at most.
"""

PATIENCE = 120.0
"""
After how many seconds without a byte a chunk is given up.
"""

LAST_RESORT_AFTER = 20.0
"""
After how many seconds without a byte the store is read without a lease, at least.
"""

MAX_FAILURES = 32
MAX_BEHIND = 4
MAX_VAIN = 2
"""
After how many failed peers a chunk is given up, or read without a lease; how often a
peer may not be ahead, or not be found, before it counts as failed; and how often a home
may name only nodes of which it was told that they failed, before the next is asked.
"""

MOST_PUT_OFF = 600.0
"""
For how many seconds, at most, a wait for the store's budget does not count as one
without a byte.
"""


OTHER_HOME_AFTER = 1.0
"""
How long a home is waited for where there is another one, in seconds. It is asked again,
and waited for as long as for any answer, when it waits for a processor and no other
home knows who has the chunk: it may have let somebody read the store.
"""

LATE_HOME_AFTER = 0.25
"""
The same for a home that failed to answer in time a moment ago.
"""


def patience_with_home(delay: float, *, failed: bool) -> float:
    """
    Tell how many seconds a home is waited for where there is another one.

    Args:
        delay: Seconds that what is on its way to this node takes, which the answer may
            come behind; infinite while that is unknown.
        failed: Whether the home failed this node a moment ago.
    """
    seconds = LATE_HOME_AFTER if failed else OTHER_HOME_AFTER
    known = delay if delay < math.inf else OTHER_HOME_AFTER
    return max(seconds, min(known, MOST_PATIENCE))


def patience_with_all(first_byte: float, *, can_read: bool) -> float:
    """
    Tell after how many seconds without a byte a chunk is given up, or the store read
    without a lease.

    Args:
        first_byte: How long the store takes to begin an answer: when it keeps everybody
            waiting, more requests are no remedy.
        can_read: Whether it can be read.
    """
    if not can_read:
        return PATIENCE
    return min(max(LAST_RESORT_AFTER, 3 * first_byte), PATIENCE)


class Patience:
    """
    What is left of it with one chunk.

    Args:
        clock: The time.
        rng: Spreads pauses.
        filled: How many bytes of the chunk there are.
    """

    def __init__(self, clock: IReactorTime, rng: random.Random, filled: int) -> None:
        self._clock = clock
        self._rng = rng
        self._filled = filled
        self._since = clock.seconds()
        self._put_off = 0.0
        self._pause = FIRST_PAUSE

    @property
    def waited(self) -> float:
        """
        For how many seconds no byte has come, waits for the store's budget apart.
        """
        return self._clock.seconds() - self._since - self._put_off

    def note(self, filled: int) -> bool:
        """
        Look whether bytes have come.
        """
        if filled == self._filled:
            return False
        self._filled, self._since, self._put_off = filled, self._clock.seconds(), 0.0
        return True

    def renew(self) -> None:
        """
        Ask soon: something has happened.
        """
        self._pause = FIRST_PAUSE

    def pause(self, verdict: Verdict) -> float:
        """
        Tell for how many seconds to wait.

        Args:
            verdict: What the home said. That the store's budget has to be waited for is
                nobody's failure, and reading without a lease is no remedy.
        """
        if verdict is Verdict.WAIT:
            self._pause = max(self._pause, WAIT_PAUSE)
        seconds = self._pause * self._rng.uniform(0.5, 1.0)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if verdict is Verdict.LATER:
            self._put_off = min(self._put_off + seconds, MOST_PUT_OFF)
        return seconds

"""
Work that nobody waits for.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

Job = Callable[[], Coroutine[Deferred[Any], Any, None]]

_SHORTEST_PAUSE = 0.005
"""
Pauses are saved up to so many seconds.
"""

_AT_ONCE = 16
"""
Jobs that wait for nothing are done so many at a time.
"""

_log = Logger()


class Lane:
    """
    Does one job after the other, and no more of each second than it is allowed to.

    A job is not cancelled where it waits, because threads cannot be: it ends at its
    next :meth:`pace`.

    Args:
        name: What the jobs do, for the log.
        clock: Measures pauses.
        rate: How many bytes the jobs may go through in a second; 0 for any number.
        limit: The most jobs that wait.
    """

    def __init__(
        self, name: str, clock: IReactorTime, *, rate: int, limit: int
    ) -> None:
        self._name = name
        self._clock = clock
        self._rate = rate
        self._limit = limit
        self._jobs: deque[Job] = deque()
        self._busy = False
        self._owed = 0.0
        self._pause: Deferred[None] | None = None
        self._stopped = False
        self._idle: Deferred[None] | None = None

    def put(self, job: Job) -> bool:
        """
        Have a job done, now if nothing else is.

        Returns:
            Whether it will be done: not when too many wait.
        """
        if self._stopped or len(self._jobs) >= self._limit:
            return False
        self._jobs.append(job)
        if not self._busy:
            self._busy = True
            running = Deferred.fromCoroutine(self._run())
            running.addErrback(self._failed)
        return True

    async def pace(self, length: int) -> None:
        """
        Wait as long as going through so many bytes entitles to.

        Raises:
            CancelledError: The lane is stopping.
        """
        self._owed += length / self._rate if self._rate else 0.0
        if self._owed >= _SHORTEST_PAUSE:
            await self.rest()
        elif self._stopped:
            raise CancelledError

    async def rest(self) -> None:
        """
        Let others have the reactor.

        Raises:
            CancelledError: The lane is stopping.
        """
        if self._stopped:
            raise CancelledError
        self._pause, self._owed = deferLater(self._clock, self._owed), 0.0
        try:
            await self._pause
        finally:
            self._pause = None

    def stop(self) -> Deferred[None]:
        """
        Begin no more jobs.

        Returns:
            Fires when the one under way has ended.
        """
        self._stopped = True
        self._jobs.clear()
        if not self._busy:
            return succeed(None)
        self._idle = Deferred()
        if self._pause is not None:
            self._pause.cancel()
        return self._idle

    async def _run(self) -> None:
        done = 0
        while self._jobs:
            try:
                await self._jobs.popleft()()
                done += 1
                if done % _AT_ONCE == 0:
                    await self.rest()
            except CancelledError:
                pass
            except Exception:  # noqa: BLE001  # The next job is not to suffer from it.
                self._failed(Failure())
        self._busy = False
        if self._idle is not None:
            self._idle.callback(None)

    def _failed(self, failure: Failure) -> None:
        _log.failure("{name} failed", failure, name=self._name)

"""
Whether a disk may be written to.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.cache.disk_claim import DirectoryGone

_log = Logger()

RETRY_AFTER = 30.0
"""
Seconds for which a disk that failed is left alone.
"""

SAY_SHORT_AGAIN = 3600.0
"""
Seconds after which a lack of space is told of again: a tier that is configured larger
than its disk comes and goes all the time.
"""

Probe = Callable[[], Deferred[None]]


class Health:
    """
    Remembers that a disk failed, says so once, and when to try it again.

    Attributes:
        trouble: What is wrong with it, empty when nothing is known to be.
        gone: Whether the directory is out of sight, or was since it last worked.

    Args:
        path: The directory, for people.
        clock: Measures the time until the next try.
        probe: Tries the disk; fails with an OSError when it is not well. Without one,
            whoever writes next does.
    """

    def __init__(
        self, path: str, clock: IReactorTime, probe: Probe | None = None
    ) -> None:
        self.trouble = ""
        self.gone = False
        self._path = path
        self._clock = clock
        self._probe = probe
        self._try_at = 0.0
        self._short = False
        self._said = False
        self._said_short_at = -SAY_SHORT_AGAIN
        self._next: IDelayedCall | None = None
        self._stopped = False

    def allows(self) -> bool:
        """
        Tell whether to try to write.
        """
        return not self.trouble or self._short or self._clock.seconds() >= self._try_at

    def failed(self, error: OSError) -> None:
        """
        The disk did not do what it was asked.
        """
        self._try_at = self._clock.seconds() + RETRY_AFTER
        self.gone = self.gone or isinstance(error, DirectoryGone)
        reason = error.strerror or type(error).__name__
        if not self.trouble or self._short:
            self._said = True
            _log.error(
                "disk cache {path}: {reason}; going on without writing to it",
                path=self._path,
                reason=reason,
            )
        self.trouble = reason
        self._short = False
        self._schedule()

    def short(self, error: OSError) -> None:
        """
        There is less space than the disk tier was promised: it holds less, but may be
        written to.
        """
        reason = error.strerror or type(error).__name__
        if self.trouble:
            return
        self._short = True
        self.trouble = reason
        self._schedule()
        if self._clock.seconds() - self._said_short_at >= SAY_SHORT_AGAIN:
            self._said_short_at = self._clock.seconds()
            self._said = True
            _log.warn(
                "disk cache {path}: {reason}; holding less than it may",
                path=self._path,
                reason=reason,
            )

    def worked(self) -> None:
        """
        The disk did what it was asked. Where there is a probe only that says that it is
        well again: of many writes at one time some may work and others fail.
        """
        if self._probe is None:
            self._recovered()

    def stop(self) -> None:
        """
        Try no more.
        """
        self._stopped = True
        self._cancel()

    def _recovered(self) -> None:
        self._cancel()
        if self.trouble:
            self.trouble, self._short, self.gone = "", False, False
            if self._said:
                _log.info("disk cache {path}: works again", path=self._path)
            self._said = False

    def _schedule(self) -> None:
        if self._probe is not None and self._next is None and not self._stopped:
            self._next = self._clock.callLater(RETRY_AFTER, self._try)

    def _cancel(self) -> None:
        call, self._next = self._next, None
        if call is not None:
            call.cancel()

    def _try(self) -> None:
        self._next = None
        assert self._probe is not None
        self._probe().addCallbacks(lambda _: self._recovered(), self._still)

    def _still(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, OSError):
            _log.failure("cannot try the disk cache", failure)
            error = OSError(str(error))
        if self._short:
            self._schedule()
        else:
            self.failed(error)

"""
Whether a disk may be written to.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

_log = Logger()

RETRY_AFTER = 30.0
"""
Seconds for which a disk that failed is left alone.
"""


class Health:
    """
    Remembers that a disk failed, says so once, and when to try it again.

    Attributes:
        trouble: What is wrong with it, empty when nothing is known to be.

    Args:
        path: The directory, for people.
        clock: Measures the time until the next try.
    """

    def __init__(self, path: str, clock: IReactorTime) -> None:
        self.trouble = ""
        self._path = path
        self._clock = clock
        self._try_at = 0.0

    def allows(self) -> bool:
        """
        Tell whether to try to write.
        """
        return not self.trouble or self._clock.seconds() >= self._try_at

    def failed(self, error: OSError) -> None:
        """
        The disk did not do what it was asked.
        """
        self._try_at = self._clock.seconds() + RETRY_AFTER
        reason = error.strerror or type(error).__name__
        if not self.trouble:
            _log.error(
                "disk cache {path}: {reason}; going on without writing to it",
                path=self._path,
                reason=reason,
            )
        self.trouble = reason

    def worked(self) -> None:
        """
        The disk did what it was asked.
        """
        if self.trouble:
            self.trouble = ""
            _log.info("disk cache {path}: works again", path=self._path)

"""
The body of a request on its way through a check.
"""

from collections.abc import Callable

from zope.interface import implementer

from eliop2p.interfaces import IBodySource
from eliop2p.signing.payload import BodyFilter
from eliop2p.signing.refusal import Refused


@implementer(IBodySource)
class CheckedBody:
    """
    Hands a body on one piece behind: the last goes out when the whole has been checked,
    so that the store never has all of a body that is refused.

    Attributes:
        refused: Why the body was not let through; None while it is.
    """

    def __init__(self, source: IBodySource, through: BodyFilter) -> None:
        self.refused: Refused | None = None
        self._source = source
        self._through = through
        self._held = b""
        self._write: Callable[[bytes], None] | None = None
        self._finished: Callable[[], None] | None = None
        self._failed: Callable[[], None] | None = None

    @property
    def complete(self) -> bool:
        """
        See :class:`IBodySource`.
        """
        return self._source.complete

    def start(
        self,
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """
        See :meth:`IBodySource.start`.
        """
        self._write, self._finished, self._failed = write, finished, failed
        self._source.start(self._take, self._end, failed)

    def pause(self) -> None:
        """
        See :meth:`IBodySource.pause`.
        """
        self._source.pause()

    def resume(self) -> None:
        """
        See :meth:`IBodySource.resume`.
        """
        self._source.resume()

    def stop(self) -> None:
        """
        See :meth:`IBodySource.stop`.
        """
        self._write = self._finished = self._failed = None
        self._source.stop()

    def _take(self, data: bytes) -> None:
        try:
            piece = self._through.feed(data)
        except Refused as error:
            self._refuse(error)
            return
        if piece and self._write is not None:
            held, self._held = self._held, piece
            if held:
                self._write(held)

    def _end(self) -> None:
        try:
            last = self._held + self._through.close()
        except Refused as error:
            self._refuse(error)
            return
        write, finished = self._write, self._finished
        self._write = self._finished = self._failed = None
        if write is not None and finished is not None:
            if last:
                write(last)
            finished()

    def _refuse(self, error: Refused) -> None:
        self.refused = error
        failed = self._failed
        self.stop()
        if failed is not None:
            failed()

"""
The body of a request as it comes from the client.
"""

from collections.abc import Callable

from zope.interface import implementer

from eliop2p.http1.framing import BodyScanner
from eliop2p.interfaces import IBodySource, IStreamTransport

MAX_AHEAD = 64 * 1024
"""
Bytes taken from a client beyond the request that is being answered.
"""


@implementer(IBodySource)
class RequestBody:
    """
    A request body on its way from the client's connection to the store.
    """

    def __init__(self, scanner: BodyScanner, transport: IStreamTransport) -> None:
        self._scanner = scanner
        self._transport = transport
        self._queue: list[bytes] = []
        self._queued = 0
        self._write: Callable[[bytes], None] | None = None
        self._finished: Callable[[], None] | None = None
        self._failed: Callable[[], None] | None = None
        self._paused = False
        self._stopped = False
        self.complete = False
        """
        Whether all of it has come in.
        """

    def take(self, data: bytes) -> bytes:
        """
        Take what belongs to the body.

        Returns:
            What follows it.

        Raises:
            RemoteProtocolError: The framing is broken.
        """
        if self.complete:
            return data
        used = self._scanner.scan(data)
        self.complete = self._scanner.ended
        if not self._stopped:
            self._queue.append(data[:used])
            self._queued += used
            self._flush()
            if self._queued > MAX_AHEAD:
                self._transport.pauseProducing()
        return data[used:]

    def start(
        self,
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """
        Begin to deliver.
        """
        self._write, self._finished, self._failed = write, finished, failed
        self._transport.resumeProducing()
        self._flush()

    def pause(self) -> None:
        """
        Deliver nothing until resumed.
        """
        self._paused = True
        self._transport.pauseProducing()

    def resume(self) -> None:
        """
        Deliver again.
        """
        self._paused = False
        self._transport.resumeProducing()
        self._flush()

    def stop(self) -> None:
        """
        Drop whatever comes.
        """
        self._stopped = True
        self._write = self._finished = self._failed = None
        self._queue.clear()
        self._queued = 0
        self._transport.resumeProducing()

    def lost(self) -> None:
        """
        The client is gone.
        """
        failed = self._failed
        self._write = self._finished = self._failed = None
        if failed is not None:
            failed()

    def _flush(self) -> None:
        while self._queue and self._write is not None and not self._paused:
            piece = self._queue.pop(0)
            self._queued -= len(piece)
            self._write(piece)
        if self.complete and not self._queue and self._finished is not None:
            finished = self._finished
            self._write = self._finished = self._failed = None
            finished()

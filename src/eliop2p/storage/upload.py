"""
A request body on its way to the store.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from eliop2p.interfaces import IBodySource
from eliop2p.storage.transport import StreamTransport


@implementer(IPushProducer)
class Upload:
    """
    Moves a body from its source to a transport, at the pace of the slower one.

    Args:
        source: Gives the body.
        transport: Takes it; a streaming consumer.
        blocked: Told with True when the transport takes no more for now, with False
            when it does again.
        ended: Told, once, with whether the body is complete; not after :meth:`stop`.
    """

    def __init__(
        self,
        source: IBodySource,
        transport: StreamTransport,
        blocked: Callable[[bool], None],
        ended: Callable[[bool], None],
    ) -> None:
        self._source = source
        self._transport = transport
        self._blocked = blocked
        self._ended = ended
        self.active = True

    def start(self) -> None:
        """
        Begin.
        """
        self._transport.registerProducer(self, True)
        if self.active:
            self._source.start(self._write, self._finished, self._failed)

    def stop(self) -> None:
        """
        Send nothing more.
        """
        if self.active:
            self._leave()
            self._source.stop()

    def pauseProducing(self) -> None:
        """
        The transport is full.
        """
        if self.active:
            self._source.pause()
            self._blocked(True)

    def resumeProducing(self) -> None:
        """
        The transport has room again.
        """
        if self.active:
            self._blocked(False)
            self._source.resume()

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self.stop()

    def _leave(self) -> None:
        self.active = False
        self._transport.unregisterProducer()

    def _write(self, data: bytes) -> None:
        if self.active:
            self._transport.write(data)

    def _finished(self) -> None:
        self._end(True)

    def _failed(self) -> None:
        self._end(False)

    def _end(self, complete: bool) -> None:
        if self.active:
            self._leave()
            self._ended(complete)

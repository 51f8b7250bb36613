"""
Bodies of HTTP exchanges, bounded, on any reactor.
"""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError

MAX_ANSWER = 16 * 1024 * 1024
"""
The longest answer, in bytes.
"""


@implementer(IBodyProducer)
class Body:
    """
    A request body that is written at once. Twisted's own takes the global reactor.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802
        """
        Write everything.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        Nothing is under way.
        """

    def resumeProducing(self) -> None:
        """
        Nothing is under way.
        """

    def stopProducing(self) -> None:
        """
        Nothing is under way.
        """


class BoundedBody(Protocol):
    """
    Takes a response body of up to :data:`MAX_ANSWER` bytes.

    Attributes:
        finished: Fires with the body; cancelling it closes the connection.
    """

    def __init__(self) -> None:
        self.finished = Deferred[bytes](lambda _: self._drop())
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece.
        """
        self._size += len(data)
        if self._size <= MAX_ANSWER:
            self._pieces.append(data)
        elif not self.finished.called:
            self._pieces.clear()
            self.finished.errback(
                ControlPlaneError(f"the answer is longer than {MAX_ANSWER} bytes")
            )
            self._drop()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        The body is complete, or broken off.
        """
        if self.finished.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished.callback(b"".join(self._pieces))
        else:
            self.finished.errback(reason)

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

"""
A client that reads through a node of a simulated cluster.
"""

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.framing import BodyScanner, body_scanner, response_framing
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.parse import ResponseReader
from eliop2p.interfaces import INetwork, IStreamTransport

CONNECT_SECONDS = 5.0


@attrs.frozen
class Answer:
    """
    What a client got.

    Attributes:
        head: The head of the answer; None when none came.
        body: The bytes that came after it.
        complete: Whether the body came to its end, as its framing has it.
    """

    head: ResponseHead | None
    body: bytes
    complete: bool

    @property
    def status(self) -> int:
        """
        The status; 0 when no head came.
        """
        return self.head.status if self.head else 0

    def header(self, name: bytes) -> bytes:
        """
        Give a header's value, empty when it is not there.

        Args:
            name: In lower case.
        """
        return (self.head.get(name) if self.head else None) or b""


Pace = Callable[[IStreamTransport], None]
"""
Told of every piece that came: may pause the connection for a while.
"""


class _Reading(Protocol):
    """
    One request on a connection of its own.
    """

    transport: IStreamTransport

    def __init__(self, head: RequestHead, body: bytes, pace: Pace | None) -> None:
        self._request = head
        self._pace = pace
        self._request_body = body
        self._reader = ResponseReader()
        self._head: ResponseHead | None = None
        self._scanner = BodyScanner()
        self._body = bytearray()
        self.answer: Deferred[Answer] = Deferred(lambda _: self._give_up())

    def connectionMade(self) -> None:
        """
        Send the request.
        """
        if self.answer.called:
            self.transport.abortConnection()
            return
        self.transport.write(self._request.serialize() + self._request_body)

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes of the answer.
        """
        try:
            self._read(data)
        except RemoteProtocolError:
            self.transport.abortConnection()
        if self._pace is not None:
            self._pace(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end of the connection is the end of some bodies.
        """
        whole = self._scanner.ends_at_close and reason.check(ConnectionDone) is not None
        self._finish(complete=self._head is not None and whole)

    def _read(self, data: bytes) -> None:
        while self._head is None:
            head = self._reader.feed(data)
            if head is None:
                return
            data = self._reader.take_rest()
            if head.status >= 200:
                self._head = head
                framing = response_framing(head, self._request.method)
                self._scanner = body_scanner(framing)
        used = self._scanner.scan(data)
        self._body += data[:used]
        if self._scanner.ended:
            self._finish(complete=True)
            self.transport.loseConnection()

    def _finish(self, *, complete: bool) -> None:
        if not self.answer.called:
            self.answer.callback(Answer(self._head, bytes(self._body), complete))

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


def read_through(
    network: INetwork,
    host: str,
    port: int,
    head: RequestHead,
    body: bytes = b"",
    *,
    pace: Pace | None = None,
) -> Deferred[Answer]:
    """
    Send a request and take the answer, whatever it is.

    Args:
        network: The way to the node.
        host: The node's address.
        port: Where it serves clients.
        head: The request.
        body: Its body.
        pace: Slows the client down; None for one that takes what comes.

    Returns:
        Never fails; cancelling it goes away in the middle.
    """
    reading = _Reading(head, body, pace)
    factory = Factory.forProtocol(lambda: reading)
    factory.noisy = False
    connecting = network.connect(host, port, factory, CONNECT_SECONDS, False)

    def missed(failure: Failure) -> None:
        failure.trap(ConnectError)
        reading.answer.callback(Answer(None, b"", False))

    connecting.addErrback(missed)
    return reading.answer

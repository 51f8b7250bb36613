"""
Requests for the store alone: streamed there and back, unchanged.
"""

from collections import deque

from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from eliop2p.http1.message import Header, RequestHead
from eliop2p.interfaces import IBodyReceiver, IBodySource, IOrigin, IOriginResponse
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.heads import onward, upstream_id


@implementer(IBodyReceiver)
class BodyPieces:
    """
    The pieces of an answer's body; the answer is paused while one waits to be sent.
    """

    def __init__(self, response: IOriginResponse) -> None:
        self._response = response
        self._pieces: deque[bytes | Exception | None] = deque()
        self._waiting: Deferred[None] | None = None

    def data_received(self, data: bytes) -> None:
        """
        Queue a piece and let no more come.
        """
        self._response.pause()
        self._put(data)

    def body_ended(self) -> None:
        """
        Queue the end.
        """
        self._put(None)

    def body_failed(self, error: Exception) -> None:
        """
        Queue the failure.
        """
        self._put(error)

    async def next(self) -> bytes | None:
        """
        Wait for a piece.

        Returns:
            None when the body is complete.

        Raises:
            OriginError: The body broke off.
        """
        while not self._pieces:
            waiting = self._waiting = Deferred()
            # May give the next piece before it returns.
            self._response.resume()
            await waiting
        piece = self._pieces.popleft()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def _put(self, piece: bytes | Exception | None) -> None:
        self._pieces.append(piece)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


async def relay_answer(
    exchange: Exchange, response: IOriginResponse, *added: Header
) -> None:
    """
    Send an answer of the store to the client as it comes.

    Raises:
        OriginError: The store broke off.
        twisted.internet.error.ConnectionLost: The client did.
    """
    if ends_with_connection(exchange.head, response):
        exchange.close_after = True
    pieces = BodyPieces(response)
    try:
        exchange.begin(onward(response.head), *added)
        response.deliver(pieces)
        while (piece := await pieces.next()) is not None:
            await exchange.send(memoryview(piece))
        await exchange.flush()
    except BaseException:
        response.abort()
        raise


def ends_with_connection(head: RequestHead, response: IOriginResponse) -> bool:
    """
    Tell whether only the end of the connection tells the client the end of the body.
    """
    answer = response.head
    if head.method == b"HEAD" or answer.status in (204, 304):
        return False
    return answer.get(b"content-length") is None and not answer.tokens(
        b"transfer-encoding"
    )


async def ask_origin(
    origin: IOrigin, head: RequestHead, body: IBodySource | None, exchange: Exchange
) -> IOriginResponse:
    """
    Send a request to the store; the client going away gives it up.

    Raises:
        OriginError: There is no answer.
    """
    trail, begun = exchange.trail, exchange.seconds()
    asked = origin.request(head, body, exchange.interim)
    status, name = 0, ""
    try:
        response = await asked
    except CancelledError:
        if body is not None:
            body.stop()
        raise
    else:
        status, name = response.head.status, upstream_id(response.head)
        return response
    finally:
        if trail is not None:
            trail.ask(status, exchange.seconds() - begun, name)

"""
A store that a test answers for by hand.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodyReceiver,
    IBodySource,
    IChunkSink,
    IOrigin,
    IOriginResponse,
)
from eliop2p.model.chunk import Chunk, Digest
from eliop2p.model.ranges import Interval, content_range
from eliop2p.model.trail import Arrival


@implementer(IOriginResponse)
class FakeResponse:
    """
    An answer whose body the test delivers piece by piece.
    """

    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.receiver: IBodyReceiver | None = None
        self.flowing = False
        self.aborted = False

    def deliver(self, receiver: IBodyReceiver) -> None:
        """
        Begin.
        """
        self.receiver = receiver
        self.flowing = True

    def pause(self) -> None:
        """
        Stop the flow.
        """
        self.flowing = False

    def resume(self) -> None:
        """
        Let it flow.
        """
        self.flowing = True

    def narrow(self) -> None:
        """
        Send as the test says, all the same.
        """

    def abort(self) -> None:
        """
        Forget the receiver.
        """
        self.aborted = True
        self.flowing = False
        self.receiver = None

    def send(self, data: bytes) -> int:
        """
        Deliver as much as is let through, in small pieces.

        Returns:
            How much that was.
        """
        sent = 0
        while sent < len(data) and self.flowing and self.receiver is not None:
            piece = data[sent : sent + 5]
            self.receiver.data_received(piece)
            sent += len(piece)
        return sent

    def end(self) -> None:
        """
        End the body.
        """
        if self.receiver is not None:
            self.receiver.body_ended()

    def fail(self, error: Exception) -> None:
        """
        Break the body off.
        """
        if self.receiver is not None:
            self.receiver.body_failed(error)


@implementer(IOrigin)
class FakeOrigin:
    """
    Notes requests; a test answers them when it likes.

    Attributes:
        heads: The requests.
        bodies: Their bodies.
        interims: What is told of 1xx answers to each.
        waiting: Those that are not answered yet.
        given_up: How many were cancelled.
    """

    name = b"http://store:9000"

    def __init__(self) -> None:
        self.bytes_in = 0
        self.heads: list[RequestHead] = []
        self.bodies: list[IBodySource | None] = []
        self.interims: list[Callable[[ResponseHead], None] | None] = []
        self.waiting: list[Deferred[IOriginResponse]] = []
        self.given_up = 0

    @property
    def requests(self) -> int:
        """
        How many requests there were.
        """
        return len(self.heads)

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        Note a request.
        """
        self.heads.append(head)
        self.bodies.append(body)
        self.interims.append(interim)
        asked: Deferred[IOriginResponse] = Deferred(self._cancelled)
        self.waiting.append(asked)
        return asked

    def _cancelled(self, _: "Deferred[IOriginResponse]") -> None:
        self.given_up += 1

    def answer(self, head: ResponseHead) -> FakeResponse:
        """
        Answer the oldest request that waits.
        """
        response = FakeResponse(head)
        self.waiting.pop(0).callback(response)
        return response

    def close(self) -> "Deferred[None]":
        """
        Do nothing: there is nothing to close.
        """
        return succeed(None)


@implementer(IChunkSink)
class FakeSink:
    """
    Collects a chunk.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.source = ""
        self.arrival = Arrival()
        self.data = bytearray()

    @property
    def filled(self) -> int:
        """
        How many bytes there are.
        """
        return len(self.data)

    @property
    def missing(self) -> Interval:
        """
        All that is not there.
        """
        return Interval(self.filled, self.chunk.length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """
        Append bytes; they must come in order.
        """
        assert offset == len(self.data)
        assert offset + len(data) <= self.chunk.length
        self.data += data

    def room(self, offset: int, limit: int) -> memoryview | None:
        """
        Give none.
        """
        return None

    def wrote(self, offset: int, size: int) -> None:
        """
        There was no room.
        """
        raise NotImplementedError

    def digest(self) -> "Deferred[Digest]":
        """
        Give a digest that nobody looks at.
        """
        return succeed(Digest(bytes(32)))


def partial(part: Interval, size: int, etag: bytes, *more: Header) -> ResponseHead:
    """
    Make the head of a 206.
    """
    headers = (
        (b"Content-Length", b"%d" % part.length),
        (b"Content-Range", content_range(part, size)),
        (b"ETag", etag),
        *more,
    )
    return ResponseHead(206, b"Partial Content", headers)

"""
A simulated store's answers to requests with a head, as who reads an object first gets
them: the bytes follow the head.
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodyReceiver, IBodySource, IOrigin, IOriginResponse
from eliop2p.model.chunk import Layout
from eliop2p.model.ranges import Interval, content_range, parse_range
from eliop2p.testing.simlink import Way
from eliop2p.testing.simnet import SimHost
from eliop2p.testing.simorigin import UNDER_WAY, SimOrigin


@implementer(IOrigin)
class SimStore:
    """
    The store as a node asks it for one object.

    Args:
        origin: The store.
        host: Where the node stands.
        layout: The object.

    Attributes:
        name: See :class:`IOrigin`.
        requests: Requests so far.
        bytes_in: Bytes that came so far.
        clock: The time.
    """

    def __init__(self, origin: SimOrigin, host: SimHost, layout: Layout) -> None:
        self.name = layout.key.store
        self.requests = 0
        self.bytes_in = 0
        self.clock = origin.clock
        self._origin = origin
        self._host = host
        self._layout = layout

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,  # noqa: ARG002  # No request here has one.
        interim: Callable[[ResponseHead], None] | None,  # noqa: ARG002
    ) -> Deferred[IOriginResponse]:
        """
        Answer with the range that is asked for, or all.
        """
        self.requests += 1
        size = self._layout.version.size
        asked = parse_range(head.get(b"range") or b"")
        wanted = (asked and asked.resolve(size)) or Interval(0, size)
        self._origin.asked(self._layout.chunk(wanted.start // self._layout.chunk_size))
        status, reason = (206, b"Partial Content") if asked else (200, b"OK")
        answer = ResponseHead(
            status,
            reason,
            (
                (b"ETag", self._layout.version.etag),
                (b"Content-Length", b"%d" % wanted.length),
                (b"Content-Range", content_range(wanted, size)),
            ),
        )

        def come() -> None:
            if not self._host.link.silent:
                answered.callback(_SimResponse(self, answer, wanted))

        answered: Deferred[IOriginResponse] = Deferred(lambda _: call.cancel())
        call = self._origin.clock.callLater(self._origin.delay(), come)
        return answered

    def close(self) -> Deferred[None]:
        """
        Nothing is kept open.
        """
        return succeed(None)

    def way(self, receive: Callable[[bytes | None], None]) -> Way:
        """
        Give the way of an answer.
        """
        origin, host = self._origin, self._host
        return Way(origin.fabric, origin.host.link, host.link, receive)

    def piece(self, position: int, stop: int) -> bytes:
        """
        Give the next bytes that are sent of an answer: a segment, or less where a chunk
        or the answer ends.
        """
        chunk = self._layout.chunk(position // self._layout.chunk_size)
        stop = min(position + self._origin.segment, chunk.interval.stop, stop)
        self._origin.sent += stop - position
        data = self._origin.content(chunk)
        return bytes(data[position - chunk.start : stop - chunk.start])

    def takes(self, size: int) -> bool:
        """
        Tell whether the node takes bytes that have come, and count them.
        """
        self.bytes_in += size
        return self._host.is_alive


@implementer(IOriginResponse)
class _SimResponse:
    """
    One answer on its way. What has come while it is paused waits.
    """

    def __init__(self, store: SimStore, head: ResponseHead, wanted: Interval) -> None:
        self.head = head
        self._store = store
        self._next, self._stop = wanted.start, wanted.stop
        self._left = wanted.length
        self._way = store.way(self._arrived)
        self._come: deque[bytes] = deque()
        self._paused = False
        self._receiver: IBodyReceiver | None = None

    def deliver(self, receiver: IBodyReceiver) -> None:
        """
        See :class:`IOriginResponse`.
        """
        self._receiver = receiver
        for _ in range(UNDER_WAY):
            self._send()

    def pause(self) -> None:
        """
        See :class:`IOriginResponse`.
        """
        self._paused = True

    def resume(self) -> None:
        """
        See :class:`IOriginResponse`.
        """
        self._paused = False
        # Not from within, as a reactor would not.
        self._store.clock.callLater(0, self._pass_on)

    def narrow(self) -> None:
        """
        See :class:`IOriginResponse`: there is never more under way than a little.
        """

    def abort(self) -> None:
        """
        See :class:`IOriginResponse`.
        """
        self._receiver = None

    def _send(self) -> None:
        if self._next < self._stop:
            piece = self._store.piece(self._next, self._stop)
            self._next += len(piece)
            self._way.send(piece)

    def _arrived(self, packet: bytes | None) -> None:
        assert packet is not None
        if self._store.takes(len(packet)):
            self._come.append(packet)
            self._pass_on()

    def _pass_on(self) -> None:
        while self._come and not self._paused and self._receiver is not None:
            packet = self._come.popleft()
            self._left -= len(packet)
            self._send()
            self._receiver.data_received(packet)
        if not self._left and self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.body_ended()

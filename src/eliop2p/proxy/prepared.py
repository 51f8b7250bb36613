"""
An answer that is ready before it is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
from twisted.python.failure import Failure

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.http1.dates import http_date
from eliop2p.interfaces import IBodySender, IHeldChunks
from eliop2p.model.chunk import ChunkId, ObjectId
from eliop2p.model.span import FileSpan, Span, Validity
from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails
from eliop2p.proxy.recording import what_happened

AT_ONCE = 2 * 1024 * 1024
"""
What is given to the kernel before other connections have their turn, in bytes.
"""


@attrs.define(eq=False)
class Prepared:
    """
    An answer, and what it rests on.

    Attributes:
        record_id: The object.
        belief: What is believed of it.
        since: From when the store's word counts, in seconds since the epoch.
        until: Until when it does, and the client's signature.
        chunk_id: The chunk that holds the body.
        start: Where the body begins in the chunk.
        length: The length of the body in bytes.
        head: The head in four parts: up to the value of Date, or to the request's id
            where there is none; that value; from there to the id; what follows it.
        trail: How the request was answered that this answer is taken from.
        size: What remembering it takes in memory, in bytes.
        first_stop: Where what is sent at once ends in the chunk.
        opening: The head up to the id, as it is in this second.
        expires: When that second ends, in seconds since the epoch.
        shown: The body in a file, as it was shown last; None when it is elsewhere.
        valid: For how long that may be used.
    """

    record_id: ObjectId
    belief: bytes
    since: float
    until: float
    chunk_id: ChunkId
    start: int
    length: int
    head: tuple[bytes, bytes, bytes, bytes]
    trail: RequestTrail | None
    size: int
    first_stop: int = attrs.field(init=False)
    opening: bytes = attrs.field(init=False, default=b"")
    expires: float = attrs.field(init=False, default=0.0)
    shown: FileSpan | None = attrs.field(init=False, default=None)
    valid: Validity = attrs.field(init=False, default=Validity(0.0, 0.0))

    def __attrs_post_init__(self) -> None:
        """
        Work out what is needed each time.
        """
        self.first_stop = self.start + min(self.length, AT_ONCE)

    def keep(self, body: Span) -> None:
        """
        Use a body again as long as that is possible.
        """
        if isinstance(body, FileSpan) and body.valid is not None:
            self.shown, self.valid = body, body.valid
        else:
            self.shown = None

    def write(self, now: float) -> None:
        """
        Write the head for this second.
        """
        before, date, between, _ = self.head
        self.opening = before + (date and http_date(now)) + between
        self.expires = int(now) + 1.0


def cut_head(
    head: bytes, date: bytes, request_id: bytes
) -> tuple[bytes, bytes, bytes, bytes] | None:
    """
    Cut a head where the values stand that differ from one answer to the next.

    Returns:
        The parts as :attr:`Prepared.head` has them; None when it is not clear where
        that is.
    """
    start, name, after = head.partition(b": " + request_id + b"\r\n")
    dated = b": " + date + b"\r\n"
    if not name or request_id in start + after or date in after:
        return None
    dates = start.count(date)
    if not dates:
        return start + b": ", b"", b"", b"\r\n" + after
    if dates > 1 or dated not in start:
        return None
    before, _, between = start.partition(dated)
    if before.rpartition(b"\r\n")[2].lower() != b"date":
        return None
    return before + b": ", date, b"\r\n" + between + b": ", b"\r\n" + after


class Remainder:
    """
    An answer of which a part is on its way.

    Args:
        answer: The answer.
        head: Its head.
        name: The request's id.
        started: When its head had come, in seconds since the epoch.
        first: Seconds until the answer began.
    """

    def __init__(
        self, answer: Prepared, head: bytes, name: bytes, started: float, first: float
    ) -> None:
        self.answer = answer
        self.started = started
        self.first = first
        self._head = head
        self._name = name.decode()

    async def send(self, held: IHeldChunks, sender: IBodySender, taken: int) -> None:
        """
        Send what has not been taken.

        Args:
            held: Opens the chunk, so that it stays as long as the client needs.
            sender: The client.
            taken: Bytes of head and body that were.

        Raises:
            twisted.internet.error.ConnectionLost: The client went.
        """
        handle = await held.inspect(self.answer.chunk_id)
        if handle is None:
            raise ChunkUnavailable("a chunk was dropped while it was sent")
        try:
            if taken < len(self._head):
                await sender.send(memoryview(self._head)[taken:], True)
            done = max(taken - len(self._head), 0)
            start, length = self.answer.start, self.answer.length
            while done < length:
                size = min(length - done, AT_ONCE)
                await sender.send(handle.span(start + done, size), False)
                done += size
        finally:
            handle.close()

    @contextmanager
    def noted(self, trails: Trails, now: Callable[[], float]) -> Iterator[None]:
        """
        Keep how the request is answered, while it is and afterwards.
        """
        like = self.answer.trail
        if like is None:
            yield
            return
        trail = RequestTrail(self._name, like.method, like.target, self.started)
        trails.begin(trail)
        try:
            yield
            trail = like.like(self._name, self.started, now() - self.started)
        except BaseException:
            trail.status, trail.added = like.status, like.added
            trail.seconds = now() - self.started
            trail.error = what_happened(Failure())
            raise
        finally:
            trail.first = self.first
            trails.end(trail)

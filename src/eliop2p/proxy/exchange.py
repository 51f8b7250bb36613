"""
One request and the answer to it.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost

from eliop2p.base.errors import LocalProtocolError, SpanUnreadable
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodySender,
    IBodySource,
    IRunSender,
    IStreamTransport,
)
from eliop2p.model.span import Run, Span, run_length
from eliop2p.model.trail import RequestTrail
from eliop2p.proxy.checked_body import CheckedBody
from eliop2p.proxy.progress import Progress


class Upgrade(Protocol):
    """
    What takes a connection over after an answer.
    """

    def take_over(
        self, transport: IStreamTransport, rest: bytes, lost: Callable[[], None]
    ) -> None:
        """
        Be the transport's protocol from now on.

        Args:
            transport: The client's connection.
            rest: What has come on it already.
            lost: To be called when it is gone.
        """


class Exchange:
    """
    The face that a connection shows to whoever answers a request.

    Attributes:
        head: The request as it came.
        body: Its body, None when it has none.
        checked: What the body passes through on its way; None when it goes as it came.
        request_id: What this node calls the request, in logs and to the client.
        begun: Whether the final head has been handed over.
        status: The status of the final answer, 0 before there is one.
        sent: Body bytes handed over so far, or told of.
        started: When the head had come, in seconds of the connection's clock.
        answered: When the answer began.
        close_after: Whether the connection ends with this exchange.
        upgrade: What takes the connection over after the answer, None for nothing.
        seconds: The connection's clock.
        added: What this node added to the head of the answer.
        trail: Where to note how it is answered, None for nowhere.
        progress: What is told of the answer in its place, None for the answer itself.
        raw: The very bytes that asked for it, when nothing else came with them and
            they mean the same each time; empty otherwise.
        written: The head of the final answer as it goes out, empty before it begins.
    """

    def __init__(
        self,
        head: RequestHead,
        body: IBodySource | None,
        request_id: str,
        *,
        sender: IBodySender,
        keep_alive: bool,
        seconds: Callable[[], float],
    ) -> None:
        self.head = head
        self.body = body
        self.checked: CheckedBody | None = None
        self.request_id = request_id
        self.begun = False
        self.status = 0
        self.sent = 0
        self.started = self.answered = seconds()
        self.seconds = seconds
        self.added: tuple[Header, ...] = ()
        self.trail: RequestTrail | None = None
        self.progress: Progress | None = None
        self.raw = b""
        self.written = b""
        self.close_after = not keep_alive
        self.upgrade: Upgrade | None = None
        self._sender = sender
        self._first: bytes | None = None
        self._interim: Deferred[object] = succeed(None)

    def interim(self, head: ResponseHead) -> None:
        """
        Relay a 1xx answer.
        """
        if not self.begun:
            data = memoryview(head.serialize())
            self._interim.addCallback(lambda _: self._sender.send(data, False))
            # Whoever sends the final answer notices, too, that the client is gone.
            self._interim.addErrback(
                lambda failure: failure.trap(ConnectionLost, ConnectionDone)
            )

    def begin(self, head: ResponseHead, *added: Header) -> None:
        """
        Hand over the head of the final answer; it goes out with the first bytes of the
        body, or with :meth:`flush`.

        Raises:
            BadRequest: There is no such answer to tell the progress of.
        """
        if self.begun:
            raise LocalProtocolError("the answer has begun already")
        if self.progress is not None:
            head = self.progress.begin(head, added)
        self.begun = True
        if self.body is not None and not self.body.complete:
            # What still comes of the body cannot be told from another request by a
            # client that was refused before it sent any.
            self.close_after = True
        self.status = head.status
        self.answered = self.seconds()
        self.added = added
        own = [(b"X-Elio-Request-Id", self.request_id.encode()), *added]
        if self.close_after:
            own.append((b"Connection", b"close"))
        elif self.head.version == b"HTTP/1.0":
            own.append((b"Connection", b"keep-alive"))
        self._first = self.written = head.adding(*own).serialize()

    async def send(self, span: Span) -> None:
        """
        Send bytes of the body; waits until the kernel has taken them.

        Raises:
            SpanUnreadable: Their file cannot be read; others may be sent in their
                place.
        """
        length = len(span)
        if self.progress is not None:
            span = self.progress.passed(span)
        await self._send_head(more=True)
        try:
            await self._sender.send(span, False)
        except SpanUnreadable as error:
            self.sent += error.taken
            raise
        self.sent += length

    @property
    def run_limits(self) -> tuple[int, int]:
        """
        How many bytes had best come in one run, and from how many files at most.
        """
        runs = self._runs
        return (0, 1) if runs is None else (runs.run_bytes, runs.run_files)

    async def send_all(self, runs: Iterator[Run]) -> None:
        """
        Send bytes of the body; each run is asked for when the kernel has taken the one
        before.

        Args:
            runs: The bytes; within :attr:`run_limits`.

        Raises:
            SpanUnreadable: A file of the last run that was asked for cannot be read.
        """
        await self._send_head(more=True)
        try:
            if self._runs is not None:
                await self._runs.send_runs(self._counted(runs))
            else:
                await self._sender.send_all(self._one_by_one(runs))
        except SpanUnreadable as error:
            self.sent += error.taken
            raise

    @property
    def _runs(self) -> IRunSender | None:
        # Who is told of the progress gets something else for each span.
        return IRunSender(self._sender, None) if self.progress is None else None

    def _counted(self, runs: Iterator[Run]) -> Iterator[Run]:
        for run in runs:
            yield run
            self.sent += run_length(run)

    def _one_by_one(self, runs: Iterator[Run]) -> Iterator[Span]:
        for span in runs:
            if isinstance(span, tuple):
                raise LocalProtocolError("several files for a sender of one")
            yield span if self.progress is None else self.progress.passed(span)
            self.sent += len(span)

    def offer(self, body: Span) -> int:
        """
        Send what can be sent at once of the head, if it is still waiting, and a body.

        Args:
            body: At most 2 MiB; nothing refers to it afterwards.

        Returns:
            How many bytes of the body have been taken; the rest is to be sent.
        """
        first = self._first
        if first is None or self.progress is not None or not self._interim.called:
            return 0
        taken = self._sender.offer(first, body)
        self._first = first[taken:] or None
        passed = max(taken - len(first), 0)
        self.sent += passed
        return passed

    async def flush(self) -> None:
        """
        Send the head if it is still waiting for a body.
        """
        await self._send_head(more=False)

    async def _send_head(self, *, more: bool) -> None:
        first, self._first = self._first, None
        if first is not None:
            await self._interim
            await self._sender.send(memoryview(first), more)


Answer = Callable[[Exchange], "Deferred[None]"]
"""
Answers a request. When it fails after :meth:`Exchange.begin` the connection is cut, so
that the client cannot take what it got for the whole.
"""

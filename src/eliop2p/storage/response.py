"""
An answer whose body is handed on no faster than it is taken.
"""

from collections import deque
from typing import Protocol

from zope.interface import implementer

from eliop2p.base.errors import LocalProtocolError
from eliop2p.http1.message import ResponseHead
from eliop2p.interfaces import IBodyReceiver, IOriginResponse


class Flow(Protocol):
    """
    Where the bytes of a body come from. It is paused at first, and stays unasked once
    the body has ended.
    """

    def pause(self) -> None:
        """
        Give no more bytes for now; a few that are under way may still come.
        """

    def resume(self) -> None:
        """
        Give bytes.
        """

    def narrow(self) -> None:
        """
        Ask for little ahead.
        """

    def abort(self) -> None:
        """
        The rest is not wanted.
        """


@implementer(IOriginResponse)
class QueuedResponse:
    """
    Keeps what has come while nobody takes it, in order, the end included.

    Args:
        head: The head of the answer.
        flow: Where the body comes from.
    """

    def __init__(self, head: ResponseHead, flow: Flow) -> None:
        self.head = head
        self._flow = flow
        self._receiver: IBodyReceiver | None = None
        self._queue: deque[bytes] = deque()
        self._paused = False
        self._flowing = False
        self._settling = False
        self._whole = False
        self._error: Exception | None = None
        self._over = False

    def deliver(self, receiver: IBodyReceiver) -> None:
        """
        Begin to deliver the body; once.
        """
        if self._receiver is not None:
            raise LocalProtocolError("the body is being delivered already")
        self._receiver = receiver
        self._settle()

    def pause(self) -> None:
        """
        Deliver nothing until resumed.
        """
        self._paused = True
        self._settle()

    def resume(self) -> None:
        """
        Deliver again.
        """
        self._paused = False
        self._settle()

    def narrow(self) -> None:
        """
        Let little of the body come ahead.
        """
        if not (self._over or self._whole):
            self._flow.narrow()

    def abort(self) -> None:
        """
        Drop the rest of the body. The receiver hears nothing more.
        """
        if self._over:
            return
        self._over = True
        self._queue.clear()
        if not self._whole:
            self._flow.abort()

    def take(self, data: bytes) -> None:
        """
        Called by the flow: the next bytes of the body.
        """
        if not self._over:
            self._queue.append(data)
            self._settle()

    def finish(self, error: Exception | None) -> None:
        """
        Called by the flow, last: the body has ended, well or with an error.
        """
        self._whole = True
        self._error = error
        self._settle()

    def _settle(self) -> None:
        """
        Do all that the present state asks for. What the receiver does meanwhile is
        seen by the loop, not by a deeper call.
        """
        if self._settling:
            return
        self._settling = True
        try:
            if self._receiver is not None:
                self._drain(self._receiver)
        finally:
            self._settling = False
        self._steer()

    def _drain(self, receiver: IBodyReceiver) -> None:
        while self._queue and not self._paused:
            receiver.data_received(self._queue.popleft())
        if self._whole and not (self._queue or self._paused or self._over):
            self._over = True
            if self._error is None:
                receiver.body_ended()
            else:
                receiver.body_failed(self._error)

    def _steer(self) -> None:
        if self._whole or self._over:
            return
        wanted = self._receiver is not None and not self._paused
        if wanted != self._flowing:
            self._flowing = wanted
            if wanted:
                self._flow.resume()
            else:
                self._flow.pause()

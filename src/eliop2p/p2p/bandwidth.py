"""
How fast a node sends chunks to its peers, and takes them.

Bytes of chunks count; other messages are small, and wait for nothing but the bytes that
were sent before them on their connection.
"""

import math
from collections.abc import Iterable
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from eliop2p.net.throttle import Throttle
from eliop2p.net.window import clamp_window
from eliop2p.wire.cluster_events import Inlined
from eliop2p.wire.events import Data

HELD_BACK_SECONDS = 1.0
"""
For how many seconds after a connection last waited to read this node counts as too slow
to judge its peers.
"""


@attrs.frozen
class Bandwidth:
    """
    What all connections of a node share, each getting as much as the others.

    Attributes:
        up: What is sent.
        down: What is received.
        clock: The time.
    """

    up: Throttle
    down: Throttle
    clock: IReactorTime

    @property
    def held_back(self) -> bool:
        """
        Whether this node takes bytes more slowly than they come, so that nobody else
        is to blame when they come late.
        """
        return self.clock.seconds() - self.down.waited < HELD_BACK_SECONDS


def make_bandwidth(clock: IReactorTime, up: float = 0, down: float = 0) -> Bandwidth:
    """
    Share rates.

    Args:
        clock: The time.
        up: Bytes per second to send; 0 for no limit.
        down: Bytes per second to receive; 0 for no limit.
    """
    return Bandwidth(
        Throttle(up or math.inf, clock), Throttle(down or math.inf, clock), clock
    )


class Pausable(Protocol):
    """
    A transport that can be told to read nothing for a while.
    """

    def pauseProducing(self) -> None: ...  # noqa: D102
    def resumeProducing(self) -> None: ...  # noqa: D102


class ReadPacer:
    """
    Lets one connection read no faster than its share.

    What has been read is paid for before more is read, so that at most one reading of
    each connection goes beyond the limit for a moment; TCP holds the peer back.

    Args:
        throttle: What all connections share.
        stream: The connection.
        transport: What is under it.
    """

    def __init__(self, throttle: Throttle, stream: Pausable, transport: object) -> None:
        self._throttle = throttle
        self._stream = stream
        if throttle.limited:
            # What waits in the kernel, later messages wait behind.
            clamp_window(transport, 4 * throttle.turn)
        self._paying: Deferred[None] | None = None

    def took(self, events: Iterable[object]) -> None:
        """
        Take note of what was read, and read nothing until it is paid for.
        """
        if not self._throttle.limited:
            return
        size = 0
        for event in events:
            if isinstance(event, Data):
                size += len(event.payload)
            elif isinstance(event, Inlined):
                size += len(event.data)
        self.took_bytes(size)

    def took_bytes(self, size: int) -> None:
        """
        Take note of bytes of a chunk that were read by themselves.
        """
        if not size or not self._throttle.limited:
            return
        if self._paying is not None:
            self._throttle.charge(self, size)
            return
        paying = self._throttle.take(self, size)
        if not paying.called:
            self._stream.pauseProducing()
            self._paying = paying
            paying.addCallbacks(self._paid, _stopped)

    def cut(self, room: memoryview | None) -> memoryview | None:
        """
        Let no more be read at once than a turn.
        """
        if room is None or not self._throttle.limited:
            return room
        return room[: self._throttle.turn]

    def stop(self) -> None:
        """
        The connection reads no more.
        """
        paying, self._paying = self._paying, None
        if paying is not None:
            paying.cancel()

    def _paid(self, _: None) -> None:
        self._paying = None
        self._stream.resumeProducing()


def _stopped(failure: Failure) -> None:
    failure.trap(CancelledError)

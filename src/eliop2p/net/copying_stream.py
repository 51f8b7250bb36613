"""
Both directions of a connection between nodes on whatever transport there is.
"""

import math
from typing import Protocol

from eliop2p.model.span import FileSpan, Span


class Transport(Protocol):
    """
    What is asked of a transport, of Twisted's or in place of one.
    """

    def write(self, data: bytes) -> None:
        """
        Send bytes soon.
        """

    def loseConnection(self) -> None:
        """
        Close when all has been sent.
        """

    def abortConnection(self) -> None:
        """
        Close at once.
        """

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """
        Have a producer asked to pause and to resume.
        """

    def unregisterProducer(self) -> None:
        """
        Have it asked no more.
        """

    def getPeer(self) -> object:
        """
        Tell who is there.
        """

    def pauseProducing(self) -> None:
        """
        Receive nothing for the moment.
        """

    def resumeProducing(self) -> None:
        """
        Receive again.
        """


class Stream(Transport, Protocol):
    """
    A transport that takes bytes from where they are.

    Attributes:
        direct: Whether they are not copied, and may be in a file.
    """

    direct: bool

    def write_span(self, head: bytes, span: bytes | Span) -> None:
        """
        Send a head and the bytes that belong to it.
        """

    def unacknowledged(self) -> float:
        """
        Tell for how many seconds the other side's kernel has acknowledged nothing;
        infinite where that is not known.
        """

    def lost(self) -> None:
        """
        The connection is lost: let go of everything.
        """


class CopyingStream:
    """
    A stream on a transport that takes only bytes, so that they are copied for it, once.
    """

    direct = False

    def __init__(self, transport: Transport) -> None:
        self.write = transport.write
        self.loseConnection = transport.loseConnection
        self.abortConnection = transport.abortConnection
        self.registerProducer = transport.registerProducer
        self.unregisterProducer = transport.unregisterProducer
        self.getPeer = transport.getPeer
        self.pauseProducing = transport.pauseProducing
        self.resumeProducing = transport.resumeProducing

    def write_span(self, head: bytes, span: bytes | Span) -> None:
        """
        Send a head and the bytes that belong to it, which are in memory.
        """
        assert not isinstance(span, FileSpan)
        self.write(b"".join((head, span)))

    def unacknowledged(self) -> float:
        """
        Tell that this is not known.
        """
        return math.inf

    def lost(self) -> None:
        """
        There is nothing to let go of.
        """

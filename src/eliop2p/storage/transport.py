"""
What this package asks of a transport.
"""

from typing import Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Connection


class StreamTransport(Protocol):
    """
    A TCP or TLS transport: ITCPTransport, IConsumer and IPushProducer in one.

    Attributes:
        bufferSize: The most bytes that are read at once; TLS has its own measure.
    """

    bufferSize: int  # noqa: N815  # Twisted's name.

    def write(self, data: bytes) -> None:
        """
        Send bytes in time.
        """

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """
        Steer a producer by how much is unsent.
        """

    def unregisterProducer(self) -> None:
        """
        Steer no more.
        """

    def pauseProducing(self) -> None:
        """
        Read nothing.
        """

    def resumeProducing(self) -> None:
        """
        Read again.
        """

    def loseConnection(self) -> None:
        """
        Close once everything is sent.
        """

    def abortConnection(self) -> None:
        """
        Close now.
        """

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        Tell what it is connected to.
        """


def write_at_once(transport: StreamTransport, data: bytes) -> None:
    """
    Write to a connection that has nothing left to send: what the kernel takes goes out
    now, and not after another turn of the reactor.

    Args:
        transport: The connection; over TLS, and where there is no socket, the bytes are
            written as ever.
        data: All or part of a head.
    """
    sent = 0
    if isinstance(transport, Connection):
        try:
            sent = transport.getHandle().send(data)
        except OSError:
            # No room, or no connection any more: of both the reactor knows more.
            sent = 0
    if sent < len(data):
        transport.write(data[sent:])

"""
What this package asks of a transport.
"""

from typing import Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer


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

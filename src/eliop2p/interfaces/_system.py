"""
What the machine and its network give to the components.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    ITCPTransport,
)
from zope.interface import Attribute, Interface

from eliop2p.model.span import Run, Span

_T = TypeVar("_T")


class INetwork(Interface):
    """
    The way to other machines.
    """

    def listen(host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Accept TCP connections.

        Raises:
            twisted.internet.error.CannotListenError: The port is taken.
        """

    def connect(
        host: str, port: int, factory: IProtocolFactory, timeout: float, tls: bool
    ) -> "Deferred[Any]":
        """
        Open a TCP connection, within TLS when asked.

        Args:
            host: Name or address.
            port: TCP port.
            factory: Builds the protocol.
            timeout: Seconds until the attempt fails.
            tls: Verify the server's certificate for host and encrypt.

        Returns:
            The protocol that the factory built.
        """


class IWorker(Interface):
    """
    Runs what would block the reactor: disk and long hashing.
    """

    def run(function: Callable[..., _T], *args: object) -> "Deferred[_T]":
        """
        Call the function elsewhere and give its result or its exception.
        """


class IStreamTransport(ITCPTransport, IPushProducer, IConsumer):
    """
    A TCP connection whose incoming side can be paused, as Twisted's are.
    """

    protocol: IProtocol = Attribute("Who is told of what comes; may be replaced.")


class IBodySender(Interface):
    """
    The outgoing side of one connection to a client.
    """

    bytes_sent: int = Attribute("Bytes that the kernel has taken so far.")

    def send(span: Span, more: bool) -> "Deferred[None]":
        """
        Send bytes; one call at a time.

        Args:
            span: What to send; must stay valid until the Deferred fires.
            more: Whether the caller has more to send at once, so that a head can share
                a packet with its body.

        Returns:
            Fires when the kernel has taken every byte: this is the back-pressure.
            Fails with a ConnectionLost when the client is gone, and with a
            :class:`eliop2p.base.errors.SpanUnreadable` when the span's file cannot be
            read; then the rest may still be sent from elsewhere.
        """

    def send_all(spans: Iterator[Span]) -> "Deferred[None]":
        """
        Send spans one after another, as :meth:`send` does without ``more``.

        Args:
            spans: What to send. Each is asked for when the kernel has taken every byte
                of the one before, which may then be let go of; all of it happens in
                the reactor's thread, and must neither wait nor use the sender.

        Returns:
            Fires when there are no more. It fails as that of :meth:`send` does, and
            then nothing more is asked for: what is told of is the last span.
        """

    def offer(head: bytes, body: Span) -> int:
        """
        Send what can be sent at once of an answer, between two calls of :meth:`send`.

        Args:
            head: What comes first.
            body: At most 2 MiB; nothing refers to it afterwards.

        Returns:
            How many bytes of both have been taken; the rest is to be sent. None when
            the client is gone, of which the next :meth:`send` tells, or when the file
            of the body cannot be read.
        """

    def close() -> None:
        """
        Give up whatever the sender holds; a pending send fails.
        """


class IRunSender(Interface):
    """
    A sender that had rather be given much in one go.
    """

    run_bytes: int = Attribute("From how many bytes on it is enough.")
    run_files: int = Attribute("And in how many files they may be at most.")

    def send_runs(runs: Iterator[Run]) -> "Deferred[None]":
        """
        Send bytes as :meth:`IBodySender.send_all` does, each run as if it were a span.
        """

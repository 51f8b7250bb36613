"""
What connections with peers tell those who keep them.
"""

from typing import Protocol, TypeVar

from eliop2p.base.errors import RemoteProtocolError

_Link_contra = TypeVar("_Link_contra", contravariant=True)


class ConnectionOwner(Protocol[_Link_contra]):
    """
    Who is told what happens to a connection.

    The first two counts are in bytes.
    """

    bytes_sent: int
    bytes_received: int
    messages_sent: int

    def established(self, connection: _Link_contra) -> None:
        """
        The peer has proved itself.
        """

    def doubted(self, connection: _Link_contra) -> None:
        """
        The peer owed an answer and said nothing at all.
        """

    def trusted(self, connection: _Link_contra) -> None:
        """
        A peer that was doubted has said something.
        """

    def broken(self, error: RemoteProtocolError) -> None:
        """
        A peer broke the rules; closed follows.
        """

    def closed(self, connection: _Link_contra) -> None:
        """
        The connection is of no use any more; once, and before its requests fail.
        """

    def gone(self, connection: _Link_contra) -> None:
        """
        The transport is gone.
        """

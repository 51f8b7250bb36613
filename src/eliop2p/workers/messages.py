"""
What a node and its worker processes say to each other.

They talk over a pair of Unix sockets that keep messages apart (``SOCK_SEQPACKET``), so
that nothing needs to be framed, and the descriptors that belong to a message come with
it. Every message has the same form; what a field means depends on the kind.
"""

import enum
import struct

import attrs

from eliop2p.base.errors import RemoteProtocolError

DIALECT = 2
"""
Says whether both sides mean the same by messages: a worker that was started again after
the package has been upgraded may belong to another version than its node.
"""

MAX_MESSAGE = 160 * 1024
"""
The longest message in bytes.
"""

MAX_DESCRIPTORS = 2
"""
How many descriptors come with a message at most.
"""

_FORM = struct.Struct("!BQQQ")


class Kind(enum.IntEnum):
    """
    What a message says.
    """

    CARRY = 1
    """
    To a worker, with a client's socket and a file: send bytes. Ticket, offset, length.
    """

    STOP = 2
    """
    To a worker: send no more of a ticket, and say nothing of it.
    """

    ENDED = 3
    """
    Of a worker: a ticket has ended. Ticket, bytes that the kernel took, the number of
    the error that ended it or 0.
    """

    PING = 4
    """
    To a worker: say whether you live.
    """

    PONG = 5
    """
    Of a worker: I do, and can be given work.
    """

    LEND = 6
    """
    To a worker, with a client's socket: answer what you can. Connection, place.
    """

    RECALL = 7
    """
    To a worker: let go of a connection, and say nothing of it.
    """

    BACK = 8
    """
    Of a worker: a connection has been let go of, since what has come on it is nothing
    that it can answer. Connection; with what has come.
    """

    GONE = 9
    """
    Of a worker: the client of a connection has gone.
    """

    TEACH = 10
    """
    To a worker: this is the answer to that. Lease, place; with both.
    """

    FORGET = 11
    """
    To a worker: a lease has ended.
    """


@attrs.frozen
class Message:
    """
    One message.

    Attributes:
        kind: What it says.
        ticket: What it speaks of, or 0.
        first: See :class:`Kind`.
        second: See :class:`Kind`.
        data: What comes with it.
    """

    kind: Kind
    ticket: int = 0
    first: int = 0
    second: int = 0
    data: bytes = attrs.field(default=b"", repr=False)

    def encode(self) -> bytes:
        """
        Write it.
        """
        form = _FORM.pack(self.kind, self.ticket, self.first, self.second)
        return form + self.data


def decode(data: bytes) -> Message:
    """
    Read a message.

    Raises:
        RemoteProtocolError: It is none.
    """
    try:
        kind, ticket, first, second = _FORM.unpack_from(data)
        return Message(Kind(kind), ticket, first, second, data[_FORM.size :])
    except (struct.error, ValueError) as error:
        raise RemoteProtocolError(f"not a message of a worker: {error}") from error

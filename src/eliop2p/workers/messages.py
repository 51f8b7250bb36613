"""
What a node and its worker processes say to each other.

They talk over a pair of Unix sockets that keep messages apart (``SOCK_SEQPACKET``), so
that nothing needs to be framed, and the descriptors that belong to a message come with
it. Every message has the same form; what a field means depends on the kind.
"""

import enum
import struct
from collections.abc import Sequence

import attrs

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.span import FileSpan

DIALECT = 3
"""
Says whether both sides mean the same by messages: a worker that was started again after
the package has been upgraded may belong to another version than its node.
"""

MAX_MESSAGE = 160 * 1024
"""
The longest message in bytes.
"""

MAX_FILES = 16
"""
Of how many files bytes are sent by one message at most.
"""

MAX_DESCRIPTORS = 1 + MAX_FILES
"""
How many descriptors come with a message at most.
"""

_FORM = struct.Struct("!BQQQ")
_PLACE = struct.Struct("!QQ")


class Kind(enum.IntEnum):
    """
    What a message says.
    """

    CARRY = 1
    """
    To a worker, with a client's socket and files: send bytes. Ticket, number of
    files; with where the bytes are in them.
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


def encode_places(spans: Sequence[FileSpan]) -> bytes:
    """
    Write where bytes are in files, for :attr:`Kind.CARRY`.
    """
    return b"".join(_PLACE.pack(span.offset, span.length) for span in spans)


def decode_places(data: bytes, files: Sequence[int]) -> tuple[FileSpan, ...]:
    """
    Read where bytes are in files.

    Args:
        data: What came with a message.
        files: As well: the descriptors of the files.

    Raises:
        RemoteProtocolError: It is of another number of files.
    """
    if len(data) != _PLACE.size * len(files):
        raise RemoteProtocolError(f"{len(files)} files come with {len(data)} bytes")
    places = zip(files, _PLACE.iter_unpack(data), strict=True)
    return tuple(FileSpan(fd, offset, length) for fd, (offset, length) in places)

"""
How many bytes a TCP socket has been given: the kernel keeps count, whoever gave them.
"""

import array
import fcntl
import socket
import struct
import termios

_BYTES_ACKED = struct.Struct("=120xQ")
"""
Where ``tcpi_bytes_acked`` lies in Linux's ``struct tcp_info``, since 4.1.
"""


def bytes_given(connection: socket.socket) -> int:
    """
    Count the bytes that a socket has been given: those that the other side has
    acknowledged, and those that wait for that. The difference between two calls is
    exact; the count itself may be off by what opening the connection took.

    Raises:
        OSError: It is no TCP socket, or closed.
    """
    waiting = array.array("i", [0])
    before = -1
    acked = 0
    while waiting[0] != before:
        # Acknowledgements come in between the two questions, but not for ever.
        before = _waiting(connection, waiting)
        info = connection.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size
        )
        (acked,) = _BYTES_ACKED.unpack(info)
        _waiting(connection, waiting)
    return int(acked) + before


def _waiting(connection: socket.socket, into: "array.array[int]") -> int:
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, into)
    return into[0]

"""
What Linux knows of a TCP connection.
"""

import socket
import struct

_LAST_ACK_RECV = struct.Struct("=56xI")
"""
The beginning of ``struct tcp_info``, with ``tcpi_last_ack_recv``, in milliseconds.
"""


def unacknowledged(connection: socket.socket) -> float:
    """
    Tell for how many seconds the other side's kernel has acknowledged nothing.

    Raises:
        OSError: The socket is no TCP socket.
    """
    size = _LAST_ACK_RECV.size
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    return float(_LAST_ACK_RECV.unpack(info)[0]) / 1000

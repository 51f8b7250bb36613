"""
How much the other side of a connection may send ahead.
"""

import socket
import sys

from twisted.internet.tcp import Connection

WINDOW = 512 * 1024
"""
Bytes that may be under way on a clamped connection: with 10 ms of latency 50 MB/s.
"""


def clamp_window(transport: object, size: int = WINDOW) -> None:
    """
    Let the other side of a TCP connection have only so much under way from now on. Does
    nothing where that cannot be asked for.

    Args:
        transport: A connected transport.
        size: In bytes; the kernel may allow twice as many.
    """
    if sys.platform == "linux" and isinstance(transport, Connection):
        handle = transport.getHandle()
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, size)
        # The kernel forgets a clamp when it makes the buffer larger, which it does no
        # more to one of a given size.
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

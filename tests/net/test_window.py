"""
What the other side of a connection may send ahead, on real sockets.
"""

import fcntl
import socket
import struct
import termios

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.net.window import WINDOW, clamp_window

_PIECE = 256 * 1024
_ENOUGH = 32 * 1024 * 1024


def fill(sender: socket.socket) -> None:
    """
    Send until the kernel takes no more.
    """
    try:
        while True:
            sender.send(bytes(_PIECE))
    except BlockingIOError:
        return


def waiting(receiver: socket.socket) -> int:
    """
    Tell how many bytes the kernel holds for a reader.
    """
    found = fcntl.ioctl(receiver, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", found)[0])


class TestClampWindow(SynchronousTestCase):
    """
    :func:`clamp_window` on loopback.
    """

    def test_busy_reader(self) -> None:
        """
        However fast a clamped connection is read, no more than the window, doubled as
        the kernel does, waits for its reader.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sender = socket.create_connection(listener.getsockname())
            receiver, _ = listener.accept()
        with sender, receiver:
            sender.setblocking(False)
            clamp_window(Connection(receiver, Protocol()))
            read = 0
            while read < _ENOUGH:
                fill(sender)
                self.assertLessEqual(waiting(receiver), 2 * WINDOW)
                read += len(receiver.recv(_PIECE))

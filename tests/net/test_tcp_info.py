"""
Tests for :mod:`eliop2p.net.tcp_info`.
"""

import socket
import sys

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.net.tcp_info import unacknowledged


class TCPInfoTests(SynchronousTestCase):
    """
    What the kernel says of a connection.
    """

    if sys.platform != "linux":
        skip = "only Linux is asked"

    def test_read_by_nobody(self) -> None:
        """
        A kernel acknowledges what it is sent although its process reads nothing.
        """
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as connection,
        ):
            connection.sendall(b"x")
            self.assertLess(unacknowledged(connection), 30)

    def test_no_connection(self) -> None:
        """
        Where nobody is connected, nothing was ever acknowledged.
        """
        with socket.socket() as unconnected:
            self.assertGreater(unacknowledged(unconnected), 30)

    def test_other_sockets(self) -> None:
        """
        A socket of another kind has nothing to say.
        """
        one, other = socket.socketpair()
        with one, other:
            self.assertRaises(OSError, unacknowledged, one)

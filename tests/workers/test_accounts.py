"""
Tests for :mod:`eliop2p.workers.accounts`.
"""

import socket

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.workers.accounts import bytes_given


class BytesGivenTests(SynchronousTestCase):
    """
    The kernel's count of what a socket was given.
    """

    def setUp(self) -> None:
        """
        Connect two sockets.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.ours, _ = server.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.ours.close)
        self.ours.setblocking(False)

    def test_exact(self) -> None:
        """
        Whatever has been sent, acknowledged and read of it, the difference is what the
        socket was given, on both ends of a connection.
        """
        for ours, theirs in ((self.ours, self.client), (self.client, self.ours)):
            before, given = bytes_given(ours), 0
            for size in (1, 1000, 100_000, 1_000_000, 1):
                given += ours.send(bytes(size))
                self.assertEqual(bytes_given(ours) - before, given)
                theirs.setblocking(True)
                got = len(theirs.recv(1 << 20))
                self.assertGreater(got, 0)
                self.assertEqual(bytes_given(ours) - before, given)

    def test_full(self) -> None:
        """
        What the socket takes of more than it has room for is counted exactly, too.
        """
        before, given = bytes_given(self.ours), 0
        try:
            while True:
                given += self.ours.send(bytes(1_000_000))
        except BlockingIOError:
            pass
        self.assertEqual(bytes_given(self.ours) - before, given)

    def test_others(self) -> None:
        """
        Of what is no TCP socket nothing is said.
        """
        left, right = socket.socketpair()
        with left, right, self.assertRaises(OSError):
            bytes_given(left)

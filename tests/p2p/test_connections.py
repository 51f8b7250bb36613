"""
Tests for :mod:`eliop2p.p2p.connections`.
"""

from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.connections import SUSPICION, Connections


class Link:
    """
    An open connection with one peer.
    """

    peer_id = "a"
    is_open = True

    def __init__(self, calls: SimpleNamespace) -> None:
        self.calls = calls


class SuspicionTests(SynchronousTestCase):
    """
    A peer with one connection.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.connections = Connections(self.clock)
        calls = SimpleNamespace(in_doubt=False, resume=self.resume)
        connection = Link(calls)
        self.connection = cast("Any", connection)
        self.connections.add(self.connection)

    def resume(self) -> None:
        """
        The peer is in doubt no longer.
        """
        self.connection.calls.in_doubt = False

    def doubt(self) -> None:
        """
        The peer owes an answer.
        """
        self.connection.calls.in_doubt = True
        self.connections.suspect("a")

    def test_silent(self) -> None:
        """
        A peer that owes an answer is not tried before it is heard of, and then at once.
        """
        self.doubt()
        self.clock.advance(10 * SUSPICION)
        self.assertTrue(self.connections.suspected("a"))
        self.resume()
        self.assertFalse(self.connections.suspected("a"))

    def test_closed(self) -> None:
        """
        One whose connection is lost is tried again after a while.
        """
        self.doubt()
        self.connections.remove(self.connection)
        self.connections.suspect("a")
        self.assertTrue(self.connections.suspected("a"))
        self.clock.advance(SUSPICION)
        self.assertFalse(self.connections.suspected("a"))

    def test_pardon(self) -> None:
        """
        One that is a member anew is tried at once.
        """
        self.doubt()
        self.connections.pardon("a")
        self.assertFalse(self.connections.suspected("a"))

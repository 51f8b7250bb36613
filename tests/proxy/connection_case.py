"""
A client's connection in memory.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.proxy.wires import ByHand, Wire, connect, make_factory

CLOSE = (b"Connection", b"close")
KEEP = (b"Connection", b"keep-alive")


class ConnectionCase(SynchronousTestCase):
    """
    A connection whose requests are answered by hand.
    """

    def setUp(self) -> None:
        """
        Connect a client.
        """
        self.clock = Clock()
        self.answers = ByHand()
        self.factory = make_factory(self.clock, self.answers)
        self.wire = connect(self.clock, self.factory)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass, and connections be looked after each second.
        """
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.factory.sweep()
        self.clock.advance(0)

    def status(self, wire: Wire | None = None) -> int:
        """
        Give the status of the answer that has come.
        """
        return int((wire or self.wire).heard().split(b" ")[1])

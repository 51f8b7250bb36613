"""
What the tests of :mod:`eliop2p.storage.http_origin` have in common.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import RequestHead
from eliop2p.interfaces import IBodySource
from eliop2p.storage.http_origin import HttpOrigin
from tests.storage.doubles import GET, Asked, FakeNetwork, Wire

HEAD = RequestHead(b"HEAD", b"/b/k", GET.headers)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
READ_TIMEOUT = 60.0
IDLE_TIMEOUT = 30.0


class OriginTestCase(SynchronousTestCase):
    """
    An origin with room for two connections.
    """

    def setUp(self) -> None:
        """
        Make the origin.
        """
        self.clock = Clock()
        self.network = FakeNetwork(self.clock)
        self.origin = self.make("http://store:9000")

    def make(self, endpoint: str) -> HttpOrigin:
        """
        Make an origin for an endpoint.
        """
        return HttpOrigin(
            endpoint,
            self.network,
            self.clock,
            max_connections=2,
            connect_timeout=5.0,
            read_timeout=READ_TIMEOUT,
            idle_timeout=IDLE_TIMEOUT,
        )

    def ask(self, head: RequestHead = GET, body: IBodySource | None = None) -> Asked:
        """
        Send a request.
        """
        asked = Asked()
        return asked.watch(self.origin.request(head, body, asked.interims.append))

    def wire(self, index: int = -1) -> Wire:
        """
        Give one of the connections.
        """
        return self.network.wires[index]

    def turn(self) -> None:
        """
        Let connections close that are to be closed.
        """
        self.clock.advance(0)

    def assert_quiet(self) -> None:
        """
        Nothing is held: every slot is free, and after the idle time no connection and
        no timer is left.
        """
        self.assertEqual(self.origin._slots.tokens, 2)
        self.clock.pump([IDLE_TIMEOUT, 0, READ_TIMEOUT, 0])
        self.assertEqual(self.origin.connections_open, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

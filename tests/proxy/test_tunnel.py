"""
Tests for :mod:`eliop2p.proxy.tunnel`, over real sockets.
"""

import os
from typing import Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import IOrigin
from eliop2p.model.store import StoreAddress, Stores
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.sender import make_sender
from eliop2p.proxy.gate import StoreDecides
from eliop2p.proxy.objects import ObjectReads
from eliop2p.proxy.records import Records
from eliop2p.proxy.server import ProxyFactory
from eliop2p.proxy.service import ProxyService
from eliop2p.proxy.trust import Trust
from eliop2p.proxy.tunnel import TUNNEL_IDLE_SECONDS, Tunnels
from tests.net.loopback import REACTOR, End, EndFactory, finish, port_of, turns
from tests.proxy.wires import ByHand, make_factory

HOST = "127.0.0.1"
MIB = 1024 * 1024


@implementer(IHalfCloseableProtocol)
class Side(End):
    """
    A client or a store that goes on when the other side has no more to say.
    """

    def __init__(self) -> None:
        super().__init__()
        self.silence = Deferred[None]()

    def readConnectionLost(self) -> None:
        """
        Tell who waits for it.
        """
        self.silence.callback(None)

    def writeConnectionLost(self) -> None:
        """
        Nothing more goes out.
        """


class SideFactory(EndFactory):
    """
    Makes one side.
    """

    def __init__(self) -> None:
        self.end: Side = Side()


class TunnelTests(TestCase):
    """
    A client, the proxy, and a store that the proxy cannot understand.
    """

    def setUp(self) -> None:
        """
        Have the store and the proxy listen.
        """
        self.clock, self.metrics = Clock(), Metrics()
        self.network = ReactorNetwork(REACTOR)
        self.at_store = SideFactory()
        listening = self.network.listen(HOST, 0, self.at_store)
        self.addCleanup(listening.stopListening)
        self.store_port = port_of(listening)
        self.sides: list[Side] = []
        self.addCleanup(self._finish)
        self.serve(StoreAddress(b"http://store", HOST, self.store_port))

    async def _finish(self) -> None:
        await finish(*(side for side in self.sides if side.made.called))
        self.proxy.cut()
        await turns()

    def serve(self, store: StoreAddress, limit: int = 8) -> None:
        """
        Make a proxy in front of a store.
        """
        self.tunnels = Tunnels(
            self.network, self.clock, self.metrics, limit=limit, connect_timeout=5
        )
        service = ProxyService(
            cast("IOrigin", None),  # No test here relays anything.
            cast("ObjectReads", None),
            cast("Records", None),
            self.metrics,
            gate=StoreDecides(),
            trust=cast("Trust", None),
            seconds=self.clock.seconds,
            stores=Stores(store),
            tunnels=self.tunnels,
        )
        self.proxy: ProxyFactory = make_factory(self.clock, ByHand())
        self.proxy.answer = service.answer
        self.proxy.make_sender = lambda transport: make_sender(transport, REACTOR)
        listening = self.network.listen(HOST, 0, self.proxy)
        self.addCleanup(listening.stopListening)
        self.proxy_port = port_of(listening)

    async def client(self) -> Side:
        """
        Connect a client to the proxy.
        """
        factory = SideFactory()
        await self.network.connect(HOST, self.proxy_port, factory, 5, False)
        self.sides.append(factory.end)
        return factory.end

    async def connect(self, early: bytes = b"") -> tuple[Side, Side]:
        """
        Open a tunnel.

        Args:
            early: What the client sends before it has an answer.
        """
        client = await self.client()
        client.connection.write(self.request() + early)
        while b"\r\n\r\n" not in client.received:
            await client.wait_for(len(client.received) + 1)
        head, _, rest = bytes(client.received).partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        self.assertNotIn(b"content-length", head.lower())
        client.received[:] = rest
        self.sides.append(self.at_store.end)
        return client, self.at_store.end

    def request(self) -> bytes:
        """
        Write a CONNECT.
        """
        where = b"%s:%d" % (HOST.encode(), self.store_port)
        return b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (where, where)

    async def refusal(self) -> bytes:
        """
        Ask for a tunnel that is not to be had.
        """
        client = await self.client()
        client.connection.write(self.request())
        while not client.received.endswith(b"</Error>"):
            await client.wait_for(len(client.received) + 1)
        return bytes(client.received)

    async def test_both_ways(self) -> None:
        """
        Bytes pass in both directions as they are, those among them that the client
        sent before it had an answer, and are counted.
        """
        client, store = await self.connect(b"early\r\n\r\n")
        up, down = os.urandom(2 * MIB), os.urandom(3 * MIB)
        client.connection.write(up)
        store.connection.write(down)
        await store.wait_for(len(up) + 9)
        await client.wait_for(len(down))
        self.assertEqual(bytes(store.received), b"early\r\n\r\n" + up)
        self.assertEqual(bytes(client.received), down)
        self.assertEqual(self.tunnels.open_count, 1)
        self.assertEqual(self.count("tunnel_bytes", "down"), len(down))
        self.assertEqual(self.count("tunnel_bytes", "up"), len(up) + 9)
        self.assertEqual(self.count("tunnels_opened"), 1)

    def count(self, name: str, *labels: str) -> float:
        """
        Read a counter.
        """
        counter: Any = getattr(self.metrics, name)
        if labels:
            counter = counter.labels(*labels)
        value: float = counter._value.get()
        return value

    async def test_half_close(self) -> None:
        """
        One side may say that it has no more to say, and still hear the other out.
        """
        for first, second in ((0, 1), (1, 0)):
            self.at_store.end = Side()
            both = await self.connect()
            speaker, hearer = both[first], both[second]
            speaker.connection.write(b"question")
            speaker.connection.loseWriteConnection()
            await hearer.silence
            self.assertEqual(bytes(hearer.received), b"question")
            answer = os.urandom(MIB)
            hearer.connection.write(answer)
            hearer.connection.loseWriteConnection()
            await speaker.silence
            self.assertEqual(bytes(speaker.received), answer)
            for side in both:
                side.connection.loseConnection()
                await side.lost
            await turns()
            self.assertEqual(self.tunnels.open_count, 0)

    async def test_closed(self) -> None:
        """
        When one side is gone the other is closed, once it has what was sent to it.
        """
        for first, second in ((0, 1), (1, 0)):
            self.at_store.end = Side()
            both = await self.connect()
            both[first].connection.write(bytes(MIB))
            both[first].connection.loseConnection()
            await both[second].silence
            self.assertEqual(len(both[second].received), MIB)
            both[second].connection.loseConnection()
            await both[second].lost
            await turns()
            self.assertEqual(self.tunnels.open_count, 0)

    async def test_idle(self) -> None:
        """
        A tunnel in which nothing has moved for five minutes is broken off; one byte
        starts them anew.
        """
        client, store = await self.connect()
        self.clock.advance(TUNNEL_IDLE_SECONDS - 1)
        client.connection.write(b"x")
        await store.wait_for(1)
        self.clock.advance(TUNNEL_IDLE_SECONDS - 1)
        await turns()
        self.assertFalse(client.is_lost or store.is_lost)
        self.clock.advance(1)
        await client.lost
        await store.lost
        self.assertEqual(self.tunnels.open_count, 0)

    async def test_limit(self) -> None:
        """
        One tunnel too many is refused in a way that clients retry.
        """
        self.serve(StoreAddress(b"http://store", HOST, self.store_port), limit=1)
        await self.connect()
        said = await self.refusal()
        self.assertTrue(said.startswith(b"HTTP/1.1 503 "), said)
        self.assertIn(b"<Code>SlowDown</Code>", said)
        self.assertEqual(self.tunnels.open_count, 1)

    async def test_unreachable(self) -> None:
        """
        A store that cannot be reached is answered for with 503.
        """
        listening = self.network.listen(HOST, 0, EndFactory())
        self.store_port = port_of(listening)
        await maybeDeferred(listening.stopListening)
        self.serve(StoreAddress(b"http://store", HOST, self.store_port))
        said = await self.refusal()
        self.assertTrue(said.startswith(b"HTTP/1.1 503 "), said)
        self.assertEqual(self.tunnels.open_count, 0)

    async def test_internal(self) -> None:
        """
        A store's name that leads to an internal address is refused after it has been
        looked up, and not a byte goes there.
        """
        store = StoreAddress(b"http://store", HOST, self.store_port, guarded=True)
        self.serve(store)
        said = await self.refusal()
        self.assertTrue(said.startswith(b"HTTP/1.1 403 "), said)
        self.assertIn(b"<RequestId>", said)
        self.assertEqual(self.count("forbidden", "address"), 1)
        self.assertEqual(self.tunnels.open_count, 0)
        self.sides.append(self.at_store.end)
        await self.at_store.end.lost
        self.assertEqual(self.at_store.end.received, b"")

    async def test_leave(self) -> None:
        """
        Tunnels end when the node stops.
        """
        client, store = await self.connect()
        left = self.proxy.leave()
        await client.silence
        await store.silence
        for side in (client, store):
            side.connection.loseConnection()
        await left
        self.assertEqual(self.tunnels.open_count, 0)

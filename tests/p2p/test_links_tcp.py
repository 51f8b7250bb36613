"""
Links over real sockets: the transport's own buffering and pausing.
"""

import os
import random

from twisted.internet import reactor  # noqa: TID251 - These tests are of sockets.
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from eliop2p.model.peer import PeerInfo
from eliop2p.net.network import ReactorNetwork
from eliop2p.p2p.bandwidth import Bandwidth, make_bandwidth
from eliop2p.p2p.links import PeerLinks
from eliop2p.wire.events import Done, Get
from tests.p2p.chunk_requests import (
    DIGEST,
    ChunkRequests,
    MemoryReading,
    PlacingTaker,
    chunk_id,
)
from tests.p2p.memory_network import ImmediateWorker

SIZE = 8 * 1024 * 1024


def make_node(
    name: str, bandwidth: Bandwidth | None = None
) -> tuple[PeerLinks, ChunkRequests]:
    """
    Make a node.
    """
    requests = ChunkRequests()
    links = PeerLinks(
        node_id=name,
        secret=b"the secret of the cluster",
        network=ReactorNetwork(reactor),
        clock=reactor,
        requests=requests,
        worker=ImmediateWorker(),
        rng=random.Random(name),
        nonce=lambda: os.urandom(32),
        max_peers=4,
        bandwidth=bandwidth,
    )
    return links, requests


class TCPTests(TestCase):
    """
    Two nodes on the loopback interface.
    """

    def node(self, name: str) -> tuple[PeerLinks, ChunkRequests]:
        """
        Make a node.
        """
        links, requests = make_node(name)
        self.addCleanup(links.close)
        return links, requests

    async def test_chunks_side_by_side(self) -> None:
        """
        Chunks arrive whole, and their readings are closed without spoiling a byte.
        """
        left, _ = self.node("left")
        right, requests = self.node("right")
        address = right.start("127.0.0.1", 0).getHost()
        assert isinstance(address, IPv4Address)
        peer = PeerInfo("right", address.host, address.port)
        contents = [random.Random(number).randbytes(SIZE) for number in range(3)]
        takers = [PlacingTaker(SIZE) for _ in contents]
        readings = [MemoryReading(content) for content in contents]

        def get(number: int) -> "Deferred[Done]":
            requests.readings[chunk_id(number)] = readings[number]
            request = Get(0, chunk_id(number), 0, 0)
            return left.get(peer, request, takers[number])

        answers = await gatherResults([get(number) for number in range(3)])
        self.assertEqual([done.digest for done in answers], [DIGEST] * 3)
        for number, content in enumerate(contents):
            self.assertEqual(bytes(takers[number].content), content)
        self.assertEqual([taker.discarded for taker in takers], [0, 0, 0])
        self.assertTrue(all(taker.placed for taker in takers))
        await left.close()
        await right.close()
        self.assertTrue(all(reading.closed for reading in readings))
        self.assertEqual(requests.lost_peers, [])


class LimitTests(TestCase):
    """
    What a node may take from its peers, over real sockets.
    """

    timeout = 60

    async def receive(self, **limits: float) -> float:
        """
        Receive chunks from two peers at once within limits.

        Returns:
            For how many seconds that took.
        """
        nodes: list[PeerLinks] = []

        def node(name: str, bandwidth: Bandwidth) -> tuple[PeerLinks, ChunkRequests]:
            links, requests = make_node(name, bandwidth)
            nodes.append(links)
            return links, requests

        content = random.Random(1).randbytes(2 * 1024 * 1024)
        taker, _ = node("taker", make_bandwidth(reactor, **limits))
        up = make_bandwidth(reactor, up=limits.get("up", 0))
        answers, received = [], []
        begun = reactor.seconds()
        for name in ("one", "other"):
            giver, requests = node(name, up)
            requests.readings[chunk_id(1)] = MemoryReading(content)
            address = giver.start("127.0.0.1", 0).getHost()
            assert isinstance(address, IPv4Address)
            taker_of = PlacingTaker(len(content))
            received.append(taker_of)
            peer = PeerInfo(name, address.host, address.port)
            answers.append(taker.get(peer, Get(0, chunk_id(1), 0, 0), taker_of))
        await gatherResults(answers)
        seconds = reactor.seconds() - begun
        await gatherResults([links.close() for links in nodes])
        self.assertTrue(all(bytes(each.content) == content for each in received))
        return seconds

    async def test_download(self) -> None:
        """
        Reading pauses as the limit asks, and every byte comes.
        """
        seconds = await self.receive(down=4e6)
        self.assertGreater(seconds, 0.9 * 2 * 2 * 1024 * 1024 / 4e6)

    async def test_upload(self) -> None:
        """
        Two connections share the limit of their sender.
        """
        seconds = await self.receive(up=4e6)
        self.assertGreater(seconds, 0.9 * 2 * 2 * 1024 * 1024 / 4e6)

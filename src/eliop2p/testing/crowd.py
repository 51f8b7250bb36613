"""
Up to thousands of nodes that read an object at the same time.

A node here is what takes part in the swarm: the body reader of the proxy, the chunk
manager and its memory tier, the swarm with its directory, and the connections with
their bytes. HTTP and the disk are left out; see :mod:`eliop2p.testing.cluster` for
these. Nodes are told of each other, unless :mod:`eliop2p.testing.crowd_joining` lets
them find each other.

Sizes and rates are scaled down together: a chunk of 8 MiB at 10 Gbit/s takes as long
as one of 64 KiB at 80 Mbit/s. Latencies are not scaled. Messages have the length that
they have in life, and take as much time of a link as there.
"""

import hashlib
import random
from collections.abc import Callable, Iterable

import attrs
from twisted.internet.defer import Deferred

from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.memory import MemoryBackend
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import BackendSettings, IPeerRequests
from eliop2p.model.chunk import Chunk, ChunkId, Layout, ObjectKey, ObjectVersion
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.model.ranges import Interval
from eliop2p.p2p.links import PeerLinks
from eliop2p.p2p.node_discovery import NodeDiscovery
from eliop2p.p2p.swarm import Swarm
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.reading import AHEAD, BodyReader
from eliop2p.reported_source import ReportedSource
from eliop2p.testing.crowd_parts import CheckingSender, CrowdPlan, SharedMemory
from eliop2p.testing.crowd_pieces import PiecedChunks
from eliop2p.testing.faulty_chunks import FaultyChunks
from eliop2p.testing.simclock import SimClock, let_pass
from eliop2p.testing.simnet import SimHost, SimNetwork
from eliop2p.testing.simorigin import SimOrigin
from eliop2p.testing.workers import ImmediateWorker

STORE = "10.255.0.1"
PORT = 9000
EPOCH = 1_800_000_000.0
_SECRET = b"a secret of the simulation"
_SEGMENTS = 8
"""
Segments in which a chunk travels: a MiB each of a chunk of 8 MiB. In life a node passes
on whatever a read of a socket has brought.
"""

INFLIGHT_CHUNKS = 256
"""
Chunks for which a node has room while they arrive.
"""

UPLOAD_SLOTS = 16
"""
Uploads of a node that may be under way.
"""

UNDER_WAY = 2
"""
Segments of one connection that are under way at a time: enough for the full rate.
"""


@attrs.define(eq=False)
class Reader:
    """
    One client's read of the object.

    Attributes:
        began: When it began, in seconds.
        ended: When it ended, None while it has not.
        error: Why it failed, empty when it has not.
        sender: What the client got.
    """

    began: float
    sender: CheckingSender
    ended: float | None = None
    error: str = ""


class CrowdNode:
    """
    A node.

    Attributes:
        me: Its name and address.
        host: Its host.
        members: Whom it knows.
        swarm: Its part in the swarm.
        links: Its connections.
        source: Where its chunks come from, and who hears of them.
        chunks: Its chunks.
        given: Its chunks as its peers get them.
        sources: Bytes given to clients, by where they came from.
        chunks_sent: Chunks given to clients.
        reading: Whether :meth:`read_chunks` is under way.
    """

    def __init__(self, crowd: "Crowd", me: PeerInfo) -> None:
        plan, clock = crowd.plan, crowd.clock
        self.me = me
        self._crowd = crowd
        self.host: SimHost = crowd.network.host(me.host)
        self._rng = random.Random(f"{me.node_id} {plan.seed}")  # noqa: S311  # Simulated.
        self._worker = ImmediateWorker()
        self.members = NodeDiscovery(me, None, self._worker)
        self.swarm = Swarm(
            me.node_id,
            self.members,
            self._make_links,
            clock=clock,
            rng=self._rng,
            upload_slots=UPLOAD_SLOTS,
        )
        count = plan.cache or plan.chunks
        settings = BackendSettings(
            int((count + 0.5) * crowd.chunk_size), "", 1.0, 1.0, "tinylfu"
        )
        self.source = ReportedSource(self.swarm.transfers)
        tier = MemoryBackend(settings, clock, self._dropped)
        self.chunks = ChunkManager(
            SharedMemory(tier, crowd.known),
            None,
            self.source,
            self._worker,
            clock,
            inflight_bytes=INFLIGHT_CHUNKS * crowd.chunk_size,
        )
        self.chunks_sent = 0
        self.reading = False
        self.sources = {"memory": 0, "disk": 0, "peer": 0, "origin": 0}
        self.links.start(me.host, PORT)
        self.given = FaultyChunks(PiecedChunks(self.chunks, crowd.segment), clock)
        self.swarm.begin(self.given)

    def _dropped(self, chunk_id: ChunkId) -> None:
        self.chunks.dropped(chunk_id)

    def _make_links(self, requests: IPeerRequests) -> PeerLinks:
        self.links = PeerLinks(
            node_id=self.me.node_id,
            secret=_SECRET,
            network=self.host,
            clock=self._crowd.clock,
            requests=requests,
            worker=self._worker,
            rng=self._rng,
            nonce=lambda: self._rng.randbytes(32),
            max_peers=self._crowd.plan.nodes,
        )
        return self.links

    def read(self, layout: Layout, part: Interval | None = None) -> Reader:
        """
        Read an object, or a part of it, as a client of this node does.
        """
        crowd = self._crowd
        wanted = part or Interval(0, layout.version.size)

        def expected(start: int, stop: int) -> bytes:
            first = wanted.start
            return crowd.bytes_of(layout, first + start, first + stop)

        reader = Reader(crowd.clock.seconds(), CheckingSender(expected))
        Deferred.fromCoroutine(self._read(layout, wanted, reader)).addBoth(
            self._ended, reader
        )
        return reader

    def read_chunks(self, layout: Layout, indexes: list[int]) -> None:
        """
        Read single chunks of an object, one after the other.
        """
        self.reading = True
        Deferred.fromCoroutine(self._read_chunks(layout, indexes))

    async def _read_chunks(self, layout: Layout, indexes: list[int]) -> None:
        right = self._crowd.origin.right(self.host)
        try:
            for index in indexes:
                chunk = layout.chunk(index)
                reading = await self.chunks.open(chunk, right)
                try:
                    position = 0
                    while position < chunk.length:
                        position += len(await reading.read(position, chunk.length))
                finally:
                    reading.close()
        finally:
            self.reading = False

    async def _read(self, layout: Layout, part: Interval, reader: Reader) -> None:
        crowd, object_id = self._crowd, layout.key.object_id
        if await self.swarm.objects.find(object_id) is None:
            await crowd.ask_store()
            self.swarm.objects.publish(object_id, b"a record")
        body = BodyReader(
            self.chunks,
            layout,
            crowd.origin.right(self.host),
            self._count,
            self._sent,
            ahead=AHEAD,
            mixed=self._rng,
        )
        exchange = Exchange(
            RequestHead(b"GET", b"/", ()),
            None,
            "",
            sender=reader.sender,
            keep_alive=True,
            seconds=crowd.clock.seconds,
        )
        await body.send(
            exchange, part, lambda: exchange.begin(ResponseHead(200, b"OK", ()))
        )

    def _count(self, source: str, size: int) -> None:
        self.sources[source] += size

    def _sent(self, _chunk: Chunk) -> None:
        self.chunks_sent += 1

    def _ended(self, result: object, reader: Reader) -> None:
        reader.ended = self._crowd.clock.seconds()
        if result is not None:
            reader.error = str(getattr(result, "value", result)) or "failed"
        self._crowd.ended(self, reader)


class Crowd:
    """
    The nodes, the store and the network.

    Attributes:
        plan: What is simulated.
        clock: The time that all share.
        network: The network that all share.
        origin: The store.
        chunk_size: Length of a simulated chunk in bytes.
        segment: Bytes that travel at once.
        known: The bytes of chunks by digest, which all nodes share.
        nodes: The nodes.
        trace: A line for each read that ended.
    """

    def __init__(self, plan: CrowdPlan) -> None:
        self.plan = plan
        self.chunk_size = plan.chunk_size // plan.scale
        self.clock = SimClock()
        self.clock.rightNow = EPOCH
        self.segment = segment = max(self.chunk_size // _SEGMENTS, 1)
        self.network = SimNetwork(
            self.clock,
            random.Random(f"network {plan.seed}"),  # noqa: S311  # Simulated.
            latency=plan.latency,
            max_segment=segment,
            min_segment=segment,
            window=UNDER_WAY * segment,
            high_water=segment,
        )
        self.network.fabric.loss = plan.loss
        self.network.fabric.scale = plan.scale
        self.rng = random.Random(f"crowd {plan.seed}")  # noqa: S311  # Simulated.
        self.network.limit(STORE, uplink=plan.store_rate / plan.scale)
        self.origin = SimOrigin(
            self.clock,
            self.network.fabric,
            self.network.host(STORE),
            random.Random(f"store {plan.seed}"),  # noqa: S311  # Simulated.
            latency=plan.store_latency,
            segment=segment,
            content=self.content,
        )
        self.known: dict[bytes, memoryview] = {}
        self.trace: list[str] = []
        self._contents: dict[bytes, memoryview] = {}
        self._peers = {
            name: PeerInfo(name, address, PORT)
            for name, address in map(_name, range(plan.nodes))
        }
        for peer in self._peers.values():
            self.network.limit(
                peer.host,
                uplink=plan.uplink / plan.scale,
                downlink=plan.downlink / plan.scale,
            )
        self.nodes = [CrowdNode(self, peer) for peer in self._peers.values()]

    # --- what is read

    def layout(self, name: bytes = b"model") -> Layout:
        """
        Name an object of the plan's size.
        """
        key = ObjectKey(b"http://store", b"bucket", name)
        size = self.plan.chunks * self.chunk_size
        return Layout(key, ObjectVersion(b'"v1"', size), self.chunk_size)

    def content(self, chunk: Chunk) -> memoryview:
        """
        Give the bytes that the store has of a chunk.
        """
        data = self._contents.get(chunk.id)
        if data is None:
            rng = random.Random(chunk.id)  # noqa: S311  # Simulated.
            data = self._contents[chunk.id] = memoryview(rng.randbytes(chunk.length))
        return data

    def bytes_of(self, layout: Layout, start: int, stop: int) -> bytes:
        """
        Give bytes that the store has of an object.
        """
        parts = []
        for index in layout.covering(Interval(start, stop)):
            chunk = layout.chunk(index)
            data = self.content(chunk)
            parts.append(data[max(0, start - chunk.start) : stop - chunk.start])
        return b"".join(parts)

    async def ask_store(self) -> None:
        """
        Wait as long as the store takes to answer a request without a body.
        """
        answered: Deferred[None] = Deferred()
        self.clock.callLater(self.origin.delay(), answered.callback, None)
        await answered

    # --- life

    def introduce(
        self, views: Callable[[CrowdNode], Iterable[str]] | None = None
    ) -> None:
        """
        Let nodes know each other.

        Args:
            views: Whom a node knows; everybody when it is not given.
        """
        for node in self.nodes:
            known = self._peers
            if views is not None:
                known = {name: self._peers[name] for name in views(node)}
            node.members.update(Membership(1, known))
        self.pass_time(self.plan.settle)

    def peers(self, names: Iterable[str]) -> dict[str, PeerInfo]:
        """
        Give nodes by name, in a lasting order.
        """
        return {name: self._peers[name] for name in sorted(names)}

    def vanish(self, node: CrowdNode) -> None:
        """
        Take a node's power away.
        """
        self.network.vanish(node.me.host)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass.
        """
        let_pass(self.clock, seconds, steps=1_000_000_000)

    def ended(self, node: CrowdNode, reader: Reader) -> None:
        """
        Note that a read has ended.
        """
        self.trace.append(
            f"{self.clock.seconds()!r} {node.me.node_id} {reader.sender.bytes_sent} "
            f"{reader.error}"
        )

    def fingerprint(self) -> str:
        """
        Sum up all that has happened, chance included.
        """
        hasher = hashlib.sha256("\n".join(self.trace).encode())
        hasher.update(repr(self.network.fabric.rng.getstate()).encode())
        hasher.update(repr(sorted(self.origin.by_chunk.items())).encode())
        return hasher.hexdigest()


def _name(index: int) -> tuple[str, str]:
    return f"node-{index}", f"10.{index >> 16}.{(index >> 8) & 255}.{index & 255}"

"""
What a simulated crowd is made of: its plan, its clients, and its memory.
"""

from collections.abc import Callable, Iterator

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import (
    CacheUsage,
    IBodySender,
    ICacheBackend,
    IChunkHandle,
    IReplicaAware,
    ISmallChunks,
)
from eliop2p.model.chunk import MIB, ChunkId, Digest
from eliop2p.model.span import FileSpan, Span
from eliop2p.net.copying_sender import one_by_one

GBIT = 1e9 / 8
"""
Bytes per second.
"""


@attrs.frozen(kw_only=True)
class CrowdPlan:
    """
    What is simulated. Sizes and rates are those of life.

    Attributes:
        nodes: How many nodes there are.
        chunks: Chunks of the object.
        chunk_size: Length of a chunk in bytes.
        scale: What sizes and rates are divided by in the simulation.
        uplink: Bytes per second that a node can send.
        downlink: Bytes per second that it can receive.
        store_rate: Bytes per second that the store can send.
        store_latency: Mean seconds from a request to the store's first byte.
        latency: Mean seconds from one host to another.
        cache: Chunks that each node has memory for; 0 for all.
        spread: Seconds over which the readers begin.
        settle: Seconds that pass before them.
        loss: The probability that a packet is lost and comes later.
        seed: Decides all that chance decides.
    """

    nodes: int = 100
    chunks: int = 64
    chunk_size: int = 8 * MIB
    scale: int = 128
    uplink: float = 10 * GBIT
    downlink: float = 10 * GBIT
    store_rate: float = 40 * GBIT
    store_latency: float = 0.02
    latency: float = 0.0001
    cache: int = 0
    spread: float = 0.0
    settle: float = 1.0
    loss: float = 0.0
    seed: int = 0

    @property
    def size(self) -> int:
        """
        Bytes of the object.
        """
        return self.chunks * self.chunk_size

    @property
    def bound(self) -> float:
        """
        Seconds that no way of distributing the object can beat: the store must send it
        once, each node receive it, and somebody send every copy.
        """
        sending = self.nodes * self.uplink + self.store_rate
        return max(
            self.size / self.store_rate,
            self.size / self.downlink,
            self.nodes * self.size / sending,
        )


@implementer(IBodySender)
class CheckingSender:
    """
    A client that takes whatever comes, at once, and compares it.

    Attributes:
        bytes_sent: Bytes taken.
        wrong: Whether a byte was wrong.
    """

    def __init__(self, expected: Callable[[int, int], bytes]) -> None:
        self.bytes_sent = 0
        self.wrong = False
        self._expected = expected
        self._head = True

    def send(self, span: Span, more: bool) -> Deferred[None]:
        """
        Take the head, then bytes of the body.
        """
        if more and self._head:
            self._head = False
            return succeed(None)
        assert not isinstance(span, FileSpan)
        start = self.bytes_sent
        self.bytes_sent += len(span)
        self.wrong |= bytes(span) != self._expected(start, self.bytes_sent)
        return succeed(None)

    def send_all(self, spans: Iterator[Span]) -> Deferred[None]:
        """
        Take them all.
        """
        return Deferred.fromCoroutine(one_by_one(self.send, spans))

    def offer(self, head: bytes, body: Span) -> int:  # noqa: ARG002
        """
        Take nothing at once.
        """
        return 0

    def close(self) -> None:
        """
        Nothing is held.
        """


@implementer(ICacheBackend, IReplicaAware, ISmallChunks)
class SharedMemory:
    """
    A memory tier whose equal chunks share their bytes with all other nodes' ones, so
    that a thousand nodes fit into one machine.

    Args:
        tier: What decides and counts.
        known: The bytes by digest, of all nodes.
    """

    def __init__(self, tier: MemoryBackend, known: dict[bytes, memoryview]) -> None:
        self._tier = tier
        self._known = known

    def start(self) -> Deferred[None]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.start()

    def stop(self) -> Deferred[None]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.stop()

    def contains(self, chunk_id: ChunkId) -> bool:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.contains(chunk_id)

    def digest_of(self, chunk_id: ChunkId) -> Digest | None:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.digest_of(chunk_id)

    def open(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.open(chunk_id)

    def small(self, chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        See :class:`ISmallChunks`.
        """
        return self._tier.small(chunk_id, limit)

    def put(
        self, chunk_id: ChunkId, data: memoryview, digest: Digest
    ) -> Deferred[bool]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.put(chunk_id, self._known.setdefault(digest, data), digest)

    def remove(self, chunk_id: ChunkId) -> Deferred[bool]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.remove(chunk_id)

    def chunk_ids(self) -> Iterator[ChunkId]:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.chunk_ids()

    def usage(self) -> CacheUsage:
        """
        See :class:`ICacheBackend`.
        """
        return self._tier.usage()

    def note_replicas(self, chunk_id: ChunkId, replicas: int) -> None:
        """
        See :class:`IReplicaAware`.
        """
        self._tier.note_replicas(chunk_id, replicas)

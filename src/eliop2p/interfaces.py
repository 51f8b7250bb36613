"""
What the components know of each other: every interface, in one place.

Methods that may wait return a Deferred; a caller that no longer wants the result
cancels it. Unless a method says otherwise it runs, and calls back, in the reactor
thread, and lengths are in bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.chunk import Chunk, ChunkId, Digest, Layout, ObjectId
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.model.ranges import Interval
from eliop2p.model.span import Span
from eliop2p.model.trail import Arrival
from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    ForgetObject,
    FoundObject,
    ListedObjects,
    ListObjects,
    Probe,
    Probed,
    PublishObject,
    Rumour,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    Done,
    Get,
    Gone,
    Goodbye,
    Have,
    Leased,
    Locate,
    Located,
    Opened,
)
from eliop2p.wire.rules import Question

_T = TypeVar("_T")

OneWay = Have | Gone | Opened | Leased | PublishObject | ForgetObject | Rumour | Goodbye
"""
Messages that nothing answers.
"""


class INetwork(Interface):
    """
    The way to other machines.
    """

    def listen(host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Accept TCP connections.

        Raises:
            twisted.internet.error.CannotListenError: The port is taken.
        """

    def connect(
        host: str, port: int, factory: IProtocolFactory, timeout: float, tls: bool
    ) -> "Deferred[Any]":
        """
        Open a TCP connection, within TLS when asked.

        Args:
            host: Name or address.
            port: TCP port.
            factory: Builds the protocol.
            timeout: Seconds until the attempt fails.
            tls: Verify the server's certificate for host and encrypt.

        Returns:
            The protocol that the factory built.
        """


class IWorker(Interface):
    """
    Runs what would block the reactor: disk and long hashing.
    """

    def run(function: Callable[..., _T], *args: object) -> "Deferred[_T]":
        """
        Call the function elsewhere and give its result or its exception.
        """


class IStreamTransport(ITCPTransport, IPushProducer, IConsumer):
    """
    A TCP connection whose incoming side can be paused, as Twisted's are.
    """

    protocol: IProtocol = Attribute("Who is told of what comes; may be replaced.")


class IBodySender(Interface):
    """
    The outgoing side of one connection to a client.
    """

    bytes_sent: int = Attribute("Bytes that the kernel has taken so far.")

    def send(span: Span, more: bool) -> "Deferred[None]":
        """
        Send bytes; one call at a time.

        Args:
            span: What to send; must stay valid until the Deferred fires.
            more: Whether the caller has more to send at once, so that a head can share
                a packet with its body.

        Returns:
            Fires when the kernel has taken every byte: this is the back-pressure.
            Fails with a ConnectionLost when the client is gone, and with a
            :class:`eliop2p.base.errors.SpanUnreadable` when the span's file cannot be
            read; then the rest may still be sent from elsewhere.
        """

    def offer(head: bytes, body: Span) -> int:
        """
        Send what can be sent at once of an answer, between two calls of :meth:`send`.

        Args:
            head: What comes first.
            body: At most 2 MiB; nothing refers to it afterwards.

        Returns:
            How many bytes of both have been taken; the rest is to be sent. None when
            the client is gone, of which the next :meth:`send` tells.
        """

    def close() -> None:
        """
        Give up whatever the sender holds; a pending send fails.
        """


# --- the store ---------------------------------------------------------------------


class IBodySource(Interface):
    """
    A request body that arrives while it is being forwarded.
    """

    complete: bool = Attribute("Whether all of it has come in.")

    def start(
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """
        Begin to deliver raw body bytes, with their transfer framing. Exactly one of
        finished and failed is called, last.
        """

    def pause() -> None:
        """
        Deliver nothing until resumed.
        """

    def resume() -> None:
        """
        Deliver again.
        """

    def stop() -> None:
        """
        Deliver nothing more: the store has answered or is gone.
        """


class IBodyReceiver(Interface):
    """
    Where a response body goes.
    """

    def data_received(data: bytes) -> None:
        """
        Take raw body bytes, with their transfer framing.
        """

    def body_ended() -> None:
        """
        The body is complete according to its framing.
        """

    def body_failed(error: Exception) -> None:
        """
        The body broke off: an :class:`eliop2p.base.errors.OriginError`.
        """


class IOriginResponse(Interface):
    """
    An answer of the store whose head is known and whose body waits, paused.
    """

    head: ResponseHead = Attribute("The head, as the store sent it.")

    def deliver(receiver: IBodyReceiver) -> None:
        """
        Begin to deliver the body; once.
        """

    def pause() -> None:
        """
        Deliver nothing until resumed.
        """

    def resume() -> None:
        """
        Deliver again.
        """

    def narrow() -> None:
        """
        Let the store send little ahead of what has been taken, since most of the body
        will be dropped.
        """

    def abort() -> None:
        """
        Drop the rest of the body, closing the connection unless the body had ended.
        The receiver hears nothing more.
        """


class IOrigin(Interface):
    """
    An object store that speaks S3, or something that answers as one would.
    """

    name: bytes = Attribute(
        "What the store is called in cache keys: scheme://host:port"
    )
    requests: int = Attribute("Requests sent so far.")
    bytes_in: int = Attribute("Body bytes received so far.")

    def request(
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        Send a request as it is and wait for the head of the final answer.

        A request without a body whose method is GET or HEAD is tried once more when a
        kept-alive connection died before it answered anything.

        Args:
            head: Sent byte for byte.
            body: The request body, if it has one.
            interim: Told of 1xx answers.

        Raises:
            OriginUnavailable: There is no answer (in the Deferred).
            WrongAnswer: The answer is not HTTP (in the Deferred).
        """

    def close() -> "Deferred[None]":
        """
        Close idle connections and wait for none of the others.
        """


# --- the cache ---------------------------------------------------------------------


@attrs.frozen
class CacheUsage:
    """
    How full a backend is.

    Attributes:
        used: Bytes that count against the capacity.
        capacity: Bytes it may hold.
        chunks: Complete chunks it holds.
        degraded: Why it does not take part at the moment, or holds less than it may;
            empty when neither is so.
        scrubbed: Bytes that have been verified without being asked for.
        corrupt: Chunks that were found damaged when they were opened.
        corrupt_scrubbed: Chunks that were found damaged without being asked for.
        partial: Chunks of which it keeps a part.
    """

    used: int
    capacity: int
    chunks: int
    degraded: str = ""
    scrubbed: int = 0
    corrupt: int = 0
    corrupt_scrubbed: int = 0
    partial: int = 0


class IChunkHandle(Interface):
    """
    A complete chunk, kept readable until the handle is closed, even when evicted.
    """

    length: int = Attribute("Length of the chunk.")
    digest: Digest = Attribute("BLAKE3 of its content, checked when it was opened.")

    def span(offset: int, limit: int) -> Span:
        """
        Give up to limit bytes from offset, valid while the handle is open.
        """

    def close() -> None:
        """
        Let go of the chunk. Closing twice is a bug and raises LocalProtocolError.
        """


class ICacheBackend(Interface):
    """
    A byte-bounded store of complete chunks.
    """

    def start() -> "Deferred[None]":
        """
        Find what an earlier run left. May be used before it has fired; then what has
        not been found yet counts as absent.
        """

    def stop() -> "Deferred[None]":
        """
        Finish what is being written.
        """

    def contains(chunk_id: ChunkId) -> bool:
        """
        Tell whether the chunk is, as far as is known without looking, held.
        """

    def digest_of(chunk_id: ChunkId) -> Digest | None:
        """
        Give the digest under which the chunk was kept, or None when it is absent.
        """

    def open(chunk_id: ChunkId) -> "Deferred[IChunkHandle | None]":
        """
        Open a chunk after checking its digest.

        Returns:
            None when the chunk is absent; a corrupt one is dropped and absent.
        """

    def put(chunk_id: ChunkId, data: memoryview, digest: Digest) -> "Deferred[bool]":
        """
        Keep a chunk, making room for it by dropping others.

        Args:
            chunk_id: Its name.
            data: Its content; the backend may keep the view, nobody writes to it any
                more.
            digest: BLAKE3 of the content.

        Returns:
            Whether the chunk is held now. A backend refuses what does not fit, and
            everything while it is degraded; it never fails.
        """

    def remove(chunk_id: ChunkId) -> "Deferred[bool]":
        """
        Drop a chunk; open handles stay readable.

        Returns:
            Whether it was there.
        """

    def chunk_ids() -> Iterator[ChunkId]:
        """
        Name every chunk held, as of the call.
        """

    def usage() -> CacheUsage:
        """
        Tell how full the backend is.
        """


@attrs.frozen
class PartialChunk:
    """
    What is kept of a chunk that is not whole: runs of bytes with their places in it.

    Attributes:
        pieces: Those that came from the store.
        doubtful: Those that came from peers: nobody can say that they are right before
            the chunk is whole.
    """

    pieces: tuple[tuple[int, memoryview], ...]
    doubtful: tuple[tuple[int, memoryview], ...]


class IChunkViews(Interface):
    """
    What a tier in memory may do besides :class:`ICacheBackend`: show what it holds.
    """

    def view(chunk_id: ChunkId, start: int, stop: int) -> Span | None:
        """
        Show a part of a chunk, which counts as a use of it.

        Returns:
            Its bytes, to be let go of before the reactor's next turn: who needs them
            longer opens the chunk. None when it is not held.
        """


class IPartialChunks(Interface):
    """
    What a backend may do besides :class:`ICacheBackend`: keep parts of chunks, within
    the same number of bytes.

    The part of a chunk that becomes whole is dropped by
    :meth:`ICacheBackend.put`, which may use it. Nothing here ever fails: what cannot
    be kept is absent.
    """

    def extents_of(chunk_id: ChunkId) -> tuple[Interval, ...]:
        """
        Tell which bytes of a chunk that came from the store are kept, as far as is
        known without looking.
        """

    def load(chunk_id: ChunkId) -> "Deferred[PartialChunk | None]":
        """
        Read what is kept of a chunk, leaving out what is damaged; None when nothing is.
        """

    def checkpoint(
        chunk: Chunk, pieces: Sequence[tuple[int, memoryview]], from_store: bool
    ) -> "Deferred[bool]":
        """
        Keep more of a chunk, so that it is there after a crash.

        Args:
            chunk: Which one.
            pieces: Bytes with their places in it; nobody writes to them any more.
            from_store: Whether they came from the store.

        Returns:
            Whether they are kept now.
        """

    def discard(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Drop what is kept of a chunk.
        """


@attrs.frozen
class BackendSettings:
    """
    What a backend is made from.

    Attributes:
        capacity: Bytes that it may hold.
        path: The directory it may use; only given to disk backends.
        eviction_threshold: Part of the capacity at which eviction begins.
        eviction_target: Part of the capacity down to which it goes.
        eviction: Name of the policy that says which chunks go.
        min_free: Bytes that its file system must keep free.
        scrub_rate: Bytes a second to verify without being asked for; 0 for none.
    """

    capacity: int
    path: str
    eviction_threshold: float
    eviction_target: float
    eviction: str
    min_free: int = 0
    scrub_rate: int = 0


class IReplicaAware(Interface):
    """
    A backend, besides, that may let go first of what other nodes hold too.
    """

    def note_replicas(chunk_id: ChunkId, replicas: int) -> None:
        """
        Learn how many other nodes hold a chunk, as far as is known. Nothing happens if
        it is not there.
        """


class ICacheBackendFactory(IPlugin, Interface):
    """
    Makes a backend; found by name among the plugins in ``eliop2p.plugins``.
    """

    name: str = Attribute("What ``memory_backend`` and ``disk_backend`` call it.")

    def make(
        settings: BackendSettings,
        worker: IWorker,
        clock: IReactorTime,
        dropped: Callable[[ChunkId], None],
    ) -> ICacheBackend:
        """
        Make a backend.

        Args:
            settings: Its bounds.
            worker: Where its blocking work goes.
            clock: Says when to try a failing disk again.
            dropped: To be told of each chunk that is no longer held without having
                been removed by name: evicted or corrupt.

        Raises:
            StartError: The directory cannot be used.
        """


class IRecordStore(Interface):
    """
    Remembers small records by object across restarts; bounded, oldest use out first.
    """

    def get(object_id: ObjectId) -> "Deferred[bytes | None]":
        """
        Give a record, or None.
        """

    def put(object_id: ObjectId, record: bytes) -> "Deferred[None]":
        """
        Keep a record in place of an earlier one.
        """

    def remove(object_id: ObjectId) -> "Deferred[None]":
        """
        Drop a record if there is one.
        """

    def below(
        bucket: bytes, prefix: bytes, limit: int
    ) -> "Deferred[tuple[tuple[ObjectId, bytes], ...]]":
        """
        Give some of the records of a bucket's objects whose keys begin with a prefix.

        Args:
            bucket: The bucket.
            prefix: What keys begin with; empty for all of them.
            limit: The most records to give.
        """


# --- chunks in motion --------------------------------------------------------------


class IChunkSink(Interface):
    """
    A chunk that is being received.
    """

    chunk: Chunk = Attribute("Which chunk.")
    filled: int = Attribute("How many bytes it has from its start without a gap.")
    missing: Interval = Attribute(
        "The first run of bytes that it does not have; empty when it has all."
    )
    source: str = Attribute(
        "Where its bytes come from, set by whoever writes before it writes: peer or "
        "origin; empty before."
    )
    arrival: Arrival = Attribute("Told of what is tried to fill it.")

    def write(offset: int, data: bytes | memoryview) -> None:
        """
        Put bytes in their place; they are copied. Those below filled have been given
        to readers and stay as they are: others in their place are an error.

        Raises:
            WrongAnswer: They reach past the end of the chunk.
            CorruptChunk: They differ from what is there.
            ChunkUnavailable: Nobody wants the chunk any more.
        """

    def digest() -> "Deferred[Digest]":
        """
        Compute the digest of the complete chunk.
        """


class IChunkReading(Interface):
    """
    Somebody reads a chunk, whether it is complete or still arriving.
    """

    length: int = Attribute("Length of the chunk.")
    filled: int = Attribute("Bytes there from the start without a gap.")
    digest: Digest | None = Attribute("The digest, None while the chunk is arriving.")
    source: str = Attribute(
        "Where its bytes come from: memory, disk, peer, origin; those of a chunk that "
        "is arriving, where the latest came from, and empty before the first."
    )
    arrival: Arrival | None = Attribute("How it came, None when a tier held it.")
    joined: bool = Attribute("Whether it was arriving for somebody else already.")

    def read(offset: int, limit: int) -> "Deferred[Span]":
        """
        Wait until there is at least one byte at offset.

        The last byte of a chunk that is arriving is given only after the digest of the
        whole has been checked.

        Returns:
            Between 1 and limit bytes, valid until the reading is closed.

        Raises:
            ChunkUnavailable, CorruptChunk, OriginError: The chunk will not come (in
                the Deferred).
        """

    def close() -> None:
        """
        Stop reading. The last reader of a chunk that is arriving stops its arrival.
        """


class IChunkOrigin(Interface):
    """
    The right to read an object from the store, borrowed from one client's request.
    """

    def can_read(chunk: Chunk) -> bool:
        """
        Tell whether the client's request allows to read the chunk at this moment.
        """

    def read(sink: IChunkSink) -> "Deferred[None]":
        """
        Fill a chunk from the store, from where it is filled to its end. May be
        cancelled, and called again later for what is missing.

        Raises:
            OriginError: The store did not give the bytes (in the Deferred).
            CorruptChunk: The sink refused them (in the Deferred).
        """

    def passed_over(chunk: Chunk) -> None:
        """
        The chunk came from elsewhere and will not be read from the store.
        """


@attrs.frozen
class Fetched:
    """
    How a chunk arrived.

    Attributes:
        digest: BLAKE3 of its content, checked against what others said of it.
        source: ``peer`` or ``origin``: where its last byte came from.
    """

    digest: Digest
    source: str


class IChunkSource(Interface):
    """
    Gets chunks that this node does not have, and tells others of those it has.
    """

    def fetch(sink: IChunkSink, origin: IChunkOrigin) -> "Deferred[Fetched]":
        """
        Fill a chunk from peers, or from the store when it falls to this node.

        Raises:
            ChunkUnavailable: No source could give it (in the Deferred).
            CorruptChunk: What came does not match its digest (in the Deferred).
            OriginError: The store refused or failed (in the Deferred).
        """

    def announce(chunk_id: ChunkId, digest: Digest) -> None:
        """
        The node holds the chunk now.
        """

    def withdraw(chunk_id: ChunkId) -> None:
        """
        The node no longer holds the chunk.
        """

    def opened(chunk_id: ChunkId) -> None:
        """
        A client has read the chunk, which the node holds.
        """


class IChunkReader(Interface):
    """
    The one door to a chunk for the proxy.
    """

    def open(chunk: Chunk, origin: IChunkOrigin) -> "Deferred[IChunkReading]":
        """
        Open a chunk: from a tier, by joining its arrival, or by having it fetched.
        """

    def where(chunk_id: ChunkId) -> str:
        """
        Tell where a chunk is without touching it: ``memory``, ``disk``, or empty.
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Take a chunk that cannot be read out of every tier, and tell others.
        """


class IPartSink(Interface):
    """
    Takes bytes of a chunk that are on their way to one client.
    """

    def write(data: memoryview) -> None:
        """
        Take the next bytes; they are kept, and nobody may change them any more.
        """

    def close() -> None:
        """
        No more will come. To be called once.
        """


class IChunkParts(Interface):
    """
    The door to what is here of chunks that are not whole. Intervals are those of the
    object; what they have in common with the chunk is meant.
    """

    def where_part(chunk: Chunk, part: Interval) -> str:
        """
        Tell where bytes are without touching them: ``memory``, ``disk``, ``arriving``
        if they will come without being asked for, or empty.
        """

    def open_part(chunk: Chunk, part: Interval) -> "Deferred[IChunkReading]":
        """
        Open bytes that are somewhere.

        Raises:
            ChunkUnavailable: Not all of them are (in the Deferred, or that of a read).
        """

    def receive(chunk: Chunk, part: Interval) -> IPartSink:
        """
        Keep bytes that the store sends now, and give them to others who want them.
        """


class ILocalChunks(Interface):
    """
    What a node has for its peers.
    """

    def open_local(chunk_id: ChunkId) -> "Deferred[IChunkReading | None]":
        """
        Open a chunk that is held or arriving; None when it is neither.
        """

    def holdings() -> Iterator[tuple[ChunkId, Digest]]:
        """
        Name every complete chunk with its digest, as of the call.
        """


class IHeldChunks(Interface):
    """
    What a node keeps, for those who check it.
    """

    def where(chunk_id: ChunkId) -> str:
        """
        Tell where a chunk is without touching it: ``memory``, ``disk``, or empty.
        """

    def inspect(chunk_id: ChunkId) -> "Deferred[IChunkHandle | None]":
        """
        Open a chunk that a tier holds, without that being a reason to keep it longer.

        Returns:
            None when no tier holds it.
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Keep a chunk no longer, and tell the cluster so. Who reads it reads on.
        """


class IObjectDirectory(Interface):
    """
    What the cluster knows of objects' current versions.
    """

    def find(object_id: ObjectId) -> "Deferred[bytes | None]":
        """
        Ask for the record of an object.

        Returns:
            The record, or None when the caller has the turn to learn it from the
            store, and must :meth:`publish` it or :meth:`release` the turn. Others wait
            for that, within a bound.
        """

    def publish(object_id: ObjectId, record: bytes) -> None:
        """
        Tell the cluster what the store said of an object.
        """

    def release(object_id: ObjectId) -> None:
        """
        Give the turn back without having learnt anything.
        """

    def forget(object_id: ObjectId) -> None:
        """
        Tell the cluster that the object has been written to.
        """


# --- the cluster -------------------------------------------------------------------


class IMembership(Interface):
    """
    Who is alive.
    """

    def current() -> Membership:
        """
        Give the members at this moment, this node among them.
        """

    def watch(changed: Callable[[Membership], None]) -> None:
        """
        Be told of each change, after it.
        """

    def update(membership: Membership) -> None:
        """
        Take a newer list of members from the control plane.
        """


@attrs.frozen
class Registration:
    """
    The control plane's answer to a registration or a heartbeat.

    Attributes:
        membership: The live members, or None when they are what the node has.
        version: The version of the membership.
        commands: How many commands wait for the node.
        adjusts: Whether it falls to the node to adjust the replication.
    """

    membership: Membership | None
    version: int
    commands: int = 0
    adjusts: bool = False


@attrs.frozen
class NodeLoad:
    """
    How a node is doing, told with each heartbeat.

    Attributes:
        memory_used: Bytes in the memory tier.
        disk_used: Bytes in the disk tier.
        chunks: Chunks held in either tier.
        uploads: Uploads to peers under way.
        memory_capacity: Bytes that the memory tier may hold.
        disk_capacity: Bytes that the disk tier may hold.
    """

    memory_used: int
    disk_used: int
    chunks: int
    uploads: int
    memory_capacity: int = 0
    disk_capacity: int = 0


class IControlPlane(Interface):
    """
    The place that knows the cluster; reads never depend on it.
    """

    def register(node: PeerInfo) -> "Deferred[Registration]":
        """
        Make this node known.
        """

    def heartbeat(
        node_id: str, load: NodeLoad, version: int
    ) -> "Deferred[Registration | None]":
        """
        Say that the node is alive.

        Args:
            node_id: Which node.
            load: How it is doing.
            version: The membership version that the node has.

        Returns:
            None when the control plane does not know the node: register again.
        """

    def leave(node_id: str) -> "Deferred[None]":
        """
        Say that the node goes.
        """

    def report(
        node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> "Deferred[None]":
        """
        Say which chunks the node has come to hold, and which it has let go of.
        """

    def watch(version: int) -> "Deferred[Registration]":
        """
        Wait, a bounded time, until the membership is another than of this version.

        Cancelling it is to stop waiting.
        """


# --- between nodes -----------------------------------------------------------------


class IPeerLinks(Interface):
    """
    Connections to the other members, made when needed and kept.
    """

    def ask(peer: PeerInfo, request: Question) -> "Deferred[Any]":
        """
        Send a request and wait for its answer, a bounded time.

        Args:
            peer: Whom to ask.
            request: Its request id is set by the link; what it holds is ignored.

        Returns:
            What answers it: see :data:`eliop2p.wire.session.ANSWERS`.

        Raises:
            PeerError: There is no such answer (in the Deferred).
        """

    def tell(peer: PeerInfo, message: OneWay) -> None:
        """
        Send a one-way message, making a connection when there is none; it is dropped
        when that fails or too much waits already.
        """

    def get(
        peer: PeerInfo,
        request: Get,
        write: Callable[[int, memoryview], None],
        late: Callable[[int], None],
    ) -> "Deferred[Done]":
        """
        Receive a chunk from request.offset to its end.

        Fails when no byte arrives for a while, never for lasting long. Cancelling it
        tells the peer to stop.

        Args:
            peer: Whom to ask.
            request: Its request id is set by the link.
            write: Takes each piece with its offset in the chunk; the view is valid
                during the call. What it raises ends the transfer and is the failure.
            late: Takes the length of each piece that comes after the transfer has been
                given up.

        Raises:
            PeerMissing, PeerBusy, PeerUnreachable, PeerError: (in the Deferred).
        """

    def reachable(node_id: str) -> bool:
        """
        Tell whether a peer may be tried: it did not just refuse or fall silent.
        """

    def silence(node_id: str) -> float:
        """
        Tell for how many seconds nothing was heard of a peer; infinite when there is
        no connection with it.
        """

    def probe(node_id: str) -> None:
        """
        Ask a connected peer for a sign of life.
        """

    def doubt(node_id: str) -> None:
        """
        Note that a peer gave no sign of life: it is not to be tried for a while.
        """

    def welcome(node_id: str) -> None:
        """
        Take that a peer is a member anew: it is tried at once, whatever failed before.
        """


@attrs.frozen
class Place:
    """
    Where one chunk is.

    Attributes:
        holders: The nodes that hold it, as its home knows.
        heat: How often it was asked for within the last hour.
    """

    holders: tuple[str, ...]
    heat: int


class ICatalog(Interface):
    """
    What the cluster as a whole holds.
    """

    def objects(bucket: bytes, prefix: bytes) -> "Deferred[tuple[Layout, ...]]":
        """
        List the objects below a prefix that any member remembers; each version once.
        Members that do not answer are left out.
        """

    def adopt(bucket: bytes, prefix: bytes) -> "Deferred[None]":
        """
        Remember here what any member remembers of the objects below a prefix.
        """

    def places(
        chunk_ids: tuple[ChunkId, ...],
    ) -> "Deferred[dict[ChunkId, Place]]":
        """
        Tell where chunks are. One whose homes do not answer is left out.
        """


class IReplicas(Interface):
    """
    The chunks of this node, as somebody else wants them to be.
    """

    def keep(chunk_id: ChunkId, length: int) -> "Deferred[int]":
        """
        Hold a chunk, got from other members if need be; never from the store.

        Returns:
            How many bytes had to be moved.

        Raises:
            ChunkUnavailable, CorruptChunk: Nobody gives it (in the Deferred).
        """

    def drop(chunk_id: ChunkId) -> "Deferred[None]":
        """
        Hold a chunk no longer.
        """


class IPeerRequests(Interface):
    """
    What a node does for its peers.
    """

    def locate(node_id: str, request: Locate) -> Located:
        """
        Answer as a home.
        """

    def find_object(node_id: str, request: FindObject) -> "Deferred[FoundObject]":
        """
        Answer as a home, when there is an answer. Cancelled when the asker goes.
        """

    def probe(node_id: str, request: Probe) -> "Deferred[Probed]":
        """
        Tell whether a member is alive. Cancelled when the asker goes.
        """

    def list_objects(request: ListObjects) -> "Deferred[ListedObjects]":
        """
        Tell which objects this node remembers.
        """

    def ask_holders(request: AskHolders) -> ToldHolders:
        """
        Tell, as a home, who holds chunks.
        """

    def ask_tally(request: AskTally) -> ToldTally:
        """
        Tell what this node has served.

        Raises:
            PeerMissing: It is only starting.
        """

    def told(node_id: str, message: OneWay) -> None:
        """
        Take a one-way message.
        """

    def open(node_id: str, request: Get) -> "Deferred[IChunkReading]":
        """
        Open a chunk for upload.

        Raises:
            PeerMissing, PeerBusy: (in the Deferred).
        """

    def lost(node_id: str) -> None:
        """
        The last connection with a peer broke off without a goodbye.
        """

"""
The tiers of the cache, and how they are found by name.
"""

from collections.abc import Callable, Iterator, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

from eliop2p.interfaces._system import IWorker
from eliop2p.model.chunk import Chunk, ChunkId, Digest
from eliop2p.model.ranges import Interval
from eliop2p.model.span import FileSpan, Span


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
            longer opens the chunk. A span of a file may be used again as long as it is
            valid. None when the chunk is not held.
        """


class ISmallChunks(Interface):
    """
    What a tier in memory may do besides :class:`ICacheBackend`: give what is small.
    """

    def small(chunk_id: ChunkId, limit: int) -> tuple[bytes, Digest] | None:
        """
        Give a chunk, with its digest, which counts as a use of it; None when it is not
        held or longer than limit bytes.
        """


class IChunksAtOnce(Interface):
    """
    What a tier may do besides :class:`ICacheBackend`: open a chunk without waiting for
    anything.
    """

    def open_at_once(chunk_id: ChunkId) -> IChunkHandle | None:
        """
        Open a chunk, which counts as a use of it.

        Returns:
            None when it is not held, or might have to come from the disk.
        """


class IPagedChunks(IChunksAtOnce):
    """
    What a tier in files may do besides :class:`ICacheBackend`: give what the kernel has
    in memory.
    """

    def view(
        chunk_id: ChunkId, digest: Digest | None, start: int, stop: int
    ) -> FileSpan | None:
        """
        Show a part of a chunk, which counts as a use of it.

        Args:
            chunk_id: Which chunk.
            digest: What its content must have.
            start: Where the part begins in it.
            stop: Where it ends, at most at its length.

        Returns:
            As :meth:`IChunkViews.view`; None also when the bytes might have to come
            from the disk.
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

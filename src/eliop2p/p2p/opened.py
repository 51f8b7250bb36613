"""
Tells the homes of chunks how often clients read what this node holds.
"""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.chunk import ChunkId
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.rendezvous import Homes
from eliop2p.wire.events import MAX_BATCH, Opened

TOLD_EVERY = 15.0
"""
Seconds for which reads are counted before they are told.
"""

MAX_COUNTED = 4096
"""
Chunks that are counted within this time; further ones are not.
"""


class OpenedChunks:
    """
    Counts the reads that homes do not see, and tells them now and then: only the first
    home of each chunk, and as little as that takes.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: The way to the other homes.
        home: This node as a home.
        clock: The time.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        home: ChunkHome,
        clock: IReactorTime,
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._home = home
        self._clock = clock
        self._counts: dict[ChunkId, int] = {}
        self._telling: IDelayedCall | None = None
        self._stopped = False

    def note(self, chunk_id: ChunkId) -> None:
        """
        A client has read a chunk.
        """
        count = self._counts.get(chunk_id, 0)
        if count or len(self._counts) < MAX_COUNTED:
            self._counts[chunk_id] = count + 1
        if self._telling is None and not self._stopped:
            self._telling = self._clock.callLater(TOLD_EVERY, self._tell)

    def stop(self) -> None:
        """
        Tell nothing more.
        """
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell(self) -> None:
        self._telling = None
        counts, self._counts = self._counts, {}
        peers = self._membership.current().peers
        told: dict[str, list[tuple[ChunkId, int]]] = {}
        for chunk_id, count in counts.items():
            told.setdefault(self._homes.of(chunk_id, peers)[0], []).append(
                (chunk_id, min(count, 2**32 - 1))
            )
        for node_id, chunks in told.items():
            if node_id == self._node_id:
                self._home.opened(chunks)
                continue
            for start in range(0, len(chunks), MAX_BATCH):
                some = tuple(chunks[start : start + MAX_BATCH])
                self._links.tell(peers[node_id], Opened(some))

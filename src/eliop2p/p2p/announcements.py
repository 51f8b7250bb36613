"""
Tells the homes of chunks what this node holds.
"""

from collections.abc import Iterator, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.interfaces import ILocalChunks, IMembership, IPeerLinks
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.rendezvous import Homes, Ranking
from eliop2p.p2p.standing_in import StandingIn
from eliop2p.wire.events import MAX_BATCH, Gone, Have

PLENTY = 3
"""
How many nodes that hold or receive a chunk its first home must have named for the
further homes not to be told of one more: those before, that many, tell all homes, and
with them one can be replaced.
"""

GATHER_SECONDS = 0.01
"""
How long announcements wait for others to share a message, in seconds.
"""

SETTLE_SECONDS = 0.5
"""
How long after a change of members what is held is told to its new homes, in seconds:
changes rarely come alone.
"""

_TURN_PAUSE = 0.02
_TURN_WORK = 50_000
"""
What is held is gone through in turns, so that a peer's link takes what it is told, and
others get the reactor: each ranks this many nodes in all.
"""


class Announcements:
    """
    Batches what homes are told, and tells new homes what is held.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: The way to the other homes.
        home: This node as a home.
        clock: For batching.
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
        self._links = links
        self._home = home
        self._clock = clock
        self._pending: dict[str, dict[ChunkId, Digest | None]] = {}
        # Of chunks that are being received: homes that only others see.
        self._others: dict[ChunkId, PeerInfo] = {}
        # Of these, those of which the first home knows enough nodes.
        self._plenty: set[ChunkId] = set()
        self._flushing: IDelayedCall | None = None
        self._stopped = False
        self._standing_in = StandingIn(
            node_id, membership, homes, links=links, clock=clock, teller=self
        )
        self._retelling = _Retelling(self, membership, homes.replicas, clock)

    def begin(self, chunks: ILocalChunks) -> None:
        """
        Tell the homes what is held, now and whenever they change.
        """
        self._retelling.begin(chunks)

    def stop(self) -> None:
        """
        Send what waits, and tell nothing more.
        """
        self._retelling.stop()
        self._standing_in.stop()
        if self._flushing is not None:
            self._flushing.cancel()
            self._flush()
        self._stopped = True

    def have(self, chunk_id: ChunkId, digest: Digest) -> None:
        """
        The node holds the chunk.
        """
        self._retelling.known(chunk_id)
        self._tell(chunk_id, digest)

    def gone(self, chunk_id: ChunkId) -> None:
        """
        The node neither holds nor receives the chunk any more.
        """
        self._retelling.known(chunk_id)
        self._tell(chunk_id, None)

    def registered(self, chunk_id: ChunkId, home: PeerInfo | None, named: int) -> None:
        """
        A node answered as a home of a chunk: it is to know too how that ends.

        Args:
            chunk_id: The chunk.
            home: Who answered, None when it is this node.
            named: How many nodes it named that hold or receive the chunk.
        """
        homes = self._standing_in.of(chunk_id)
        name = self._node_id if home is None else home.node_id
        if home is not None and name not in homes:
            self._others[chunk_id] = home
        if named >= PLENTY and homes[:1] == (name,):
            self._plenty.add(chunk_id)
        else:
            self._plenty.discard(chunk_id)

    def again(self, chunk_id: ChunkId) -> None:
        """
        The node asks for the chunk: that it was gone is not to be said after that.
        """
        self._plenty.discard(chunk_id)
        for waiting in self._pending.values():
            waiting.pop(chunk_id, None)

    def tell_home(self, home: str, chunk_id: ChunkId, digest: Digest | None) -> None:
        """
        Say to one home that the node holds a chunk, or with None that it does not.
        """
        if self._stopped:
            return
        if home == self._node_id:
            if digest is None:
                self._home.gone(home, chunk_id)
            else:
                self._home.have(home, chunk_id, digest)
            return
        waiting = self._pending.setdefault(home, {})
        waiting[chunk_id] = digest
        if len(waiting) >= MAX_BATCH:
            self._send(home, self._pending.pop(home))
        elif self._flushing is None:
            self._flushing = self._clock.callLater(GATHER_SECONDS, self._flush)

    def _tell(self, chunk_id: ChunkId, digest: Digest | None) -> None:
        peers = self._membership.current().peers
        plenty = digest is not None and chunk_id in self._plenty
        self._plenty.discard(chunk_id)
        if len(peers) > 1:
            homes = self._standing_in.of(chunk_id)
            told = self._standing_in.gone(chunk_id)
            if digest is None:
                homes = tuple(dict.fromkeys((*homes, *told)))
            else:
                homes = homes[:1] if plenty else homes
                self._standing_in.told(chunk_id, digest, homes)
            for home in homes:
                self.tell_home(home, chunk_id, digest)
        other = self._others.pop(chunk_id, None)
        if other is not None and digest is not None:
            self._links.tell(other, Have(((chunk_id, digest),)))
        elif other is not None:
            self._links.tell(other, Gone((chunk_id,)))

    def _flush(self) -> None:
        self._flushing = None
        pending, self._pending = self._pending, {}
        for home, waiting in pending.items():
            self._send(home, waiting)

    def _send(self, home: str, waiting: dict[ChunkId, Digest | None]) -> None:
        peer = self._membership.current().peers.get(home)
        if peer is None:
            return
        held = [(name, digest) for name, digest in waiting.items() if digest]
        gone = [name for name, digest in waiting.items() if not digest]
        if held:
            self._links.tell(peer, Have(tuple(held)))
        if gone:
            self._links.tell(peer, Gone(tuple(gone)))


class _Retelling:
    """
    Goes through what is held and tells those homes that cannot know of it.

    One pass at a time: members that change meanwhile are for the next.
    """

    def __init__(
        self,
        announcements: Announcements,
        membership: IMembership,
        replicas: int,
        clock: IReactorTime,
    ) -> None:
        self._announcements = announcements
        self._membership = membership
        self._replicas = replicas
        self._clock = clock
        self._chunks: ILocalChunks | None = None
        self._told: Mapping[str, PeerInfo] = {}
        self._members: Mapping[str, PeerInfo] = {}
        self._joined: set[str] = set()
        self._known: set[ChunkId] = set()
        self._call: IDelayedCall | None = None
        membership.watch(self._changed)

    def begin(self, chunks: ILocalChunks) -> None:
        self._chunks = chunks
        self._changed(self._membership.current())

    def stop(self) -> None:
        self._chunks = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def known(self, chunk_id: ChunkId) -> None:
        """
        The homes are being told of a chunk anyway.
        """
        if self._call is not None:
            self._known.add(chunk_id)

    def _changed(self, membership: Membership) -> None:
        self._joined.update(membership.peers.keys() - self._members.keys())
        self._members = membership.peers
        if len(membership.peers) == 1:
            self._told = {}  # Alone, not even this node's own table is kept.
        self._schedule()

    def _schedule(self) -> None:
        if self._chunks is not None and self._call is None and self._due():
            self._call = self._clock.callLater(SETTLE_SECONDS, self._pass)

    def _due(self) -> bool:
        return len(self._members) > 1 and self._told is not self._members

    def _pass(self) -> None:
        assert self._chunks is not None
        self._known.clear()
        target, joined = self._members, self._joined
        self._joined = set()
        work = self._untold(self._chunks, target, joined)
        self._turn(work, target, max(50, min(500, _TURN_WORK // len(target))))

    def _untold(
        self, chunks: ILocalChunks, target: Mapping[str, PeerInfo], joined: set[str]
    ) -> Iterator[None]:
        old, new = Ranking(self._told), Ranking(target)
        for chunk_id, digest in chunks.holdings():
            before = old.top(chunk_id, self._replicas)
            after = new.top(chunk_id, self._replicas)
            # Who was a further home until now has been told of few holders.
            if set(after[:1]) & set(before[1:]):
                before = before[:1]
            for home in after:
                fresh = home not in before or home in joined
                if fresh and chunk_id not in self._known:
                    self._announcements.tell_home(home, chunk_id, digest)
            yield

    def _turn(
        self, work: Iterator[None], target: Mapping[str, PeerInfo], count: int
    ) -> None:
        for _ in range(count):
            if next(work, work) is work:
                self._call = None
                self._told = target
                self._known.clear()
                self._schedule()
                return
        self._call = self._clock.callLater(_TURN_PAUSE, self._turn, work, target, count)

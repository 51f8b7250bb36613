"""
What a node does as a home of chunks, for its peers and for itself.
"""

from collections.abc import Container, Iterable

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.interfaces import IMembership, IPeerLinks, Place
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.peer import Membership
from eliop2p.net.store_budget import StoreBudget
from eliop2p.p2p.directory import Directory
from eliop2p.p2p.heat import Heat
from eliop2p.p2p.rendezvous import Homes
from eliop2p.wire.events import Holder, Leased, Locate, Located, Verdict

STAND_IN_AFTER = 0.5
"""
Seconds for which a node that stands in for a home waits for those who hold the chunk to
tell it, before it lets anybody read the store.
"""

HEARD = 30.0
"""
Seconds for which a node that is not listed as a member counts as one after it was heard
of.
"""


class _Lacking:
    """
    Which homes are lacking, for which a node stands in, and since when.
    """

    def __init__(self) -> None:
        self._spans: dict[str, tuple[float, float]] = {}

    def since(self, home: str, now: float) -> float:
        """
        Note that a home is lacking, and tell since when it is.
        """
        begun, last = self._spans.get(home, (now, now))
        if now - last > HEARD:
            begun = now
        self._spans[home] = begun, now
        return begun

    def forget(self, home: str) -> None:
        """
        A home is there.
        """
        self._spans.pop(home, None)


class ChunkHome:
    """
    The directory, seen by whoever asks.

    Args:
        node_id: This node.
        membership: Who is alive; nodes that leave are dropped from the directory.
        homes: Where chunks are at home.
        directory: The table.
        clock: The time.
        budget: What may be read of the store, and is lent with leases.
        spared: Who is sent nobody, for want of others apart.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        directory: Directory,
        clock: IReactorTime,
        budget: StoreBudget,
        spared: Container[str],
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._directory = directory
        self._clock = clock
        self._budget = budget
        self._spared = spared
        self._heat = Heat()
        self._lacking = _Lacking()
        self._links: IPeerLinks | None = None
        self._members = set(membership.current().peers)
        membership.watch(self._drop_the_dead)

    def connect(self, links: IPeerLinks) -> None:
        """
        Learn of the links, which tell other homes of leases, and which peers may be
        proposed; they cannot be made before those who answer peers.
        """
        self._links = links

        def changed(node_id: str) -> None:
            if links.reachable(node_id):
                self._lacking.forget(node_id)

        links.watch(changed)

    def locate(self, node_id: str, request: Locate, *, final: bool = False) -> Located:
        """
        Answer a node that needs a chunk; other homes hear of a lease.

        A node that knows of nobody who brings the chunk, and of better homes, sends the
        asker to these: nodes that see other members agree on one lease so.

        Args:
            node_id: Who asks.
            request: What it asks.
            final: Whether the better homes are known to be of no help.
        """
        now = self._clock.seconds()
        if not final:
            better = self._better_homes(node_id, request)
            if better and not self._directory.is_fed(request, self._alive, now):
                holders = self._address(better)
                return Located(request.request_id, Verdict.NOT_HOME, 0, b"", holders)
        self._heat.note(request.chunk_id, now)
        before = self._homes_before(request.chunk_id)
        early = self._stands_in_early(request, before, now)
        located = self._directory.locate(
            node_id, request, self._alive, now, before, slow=self._spared
        )
        if located.verdict is Verdict.LEASE and early:
            self._directory.take_back(request.chunk_id)
            located = attrs.evolve(located, verdict=Verdict.WAIT)
        if located.verdict is Verdict.LEASE and not self._lends(node_id, request):
            self._directory.take_back(request.chunk_id)
            located = attrs.evolve(located, verdict=Verdict.LATER)
        if located.verdict is Verdict.LEASE:
            self._tell_others(Leased(request.chunk_id, node_id))
        return attrs.evolve(located, holders=self._address(located.holders))

    def gave(self, request: Locate) -> bool:
        """
        Count a question for a chunk that this node itself can give.

        Returns:
            Whether the asker wants it: not when this node failed it.
        """
        self._heat.note(request.chunk_id, self._clock.seconds())
        return self._node_id not in request.rejected

    def place(self, chunk_id: ChunkId) -> Place:
        """
        Tell who holds a chunk, and how often it was asked for.
        """
        heat = self._heat.of(chunk_id, self._clock.seconds())
        return Place(self._directory.holders(chunk_id), heat)

    def opened(self, chunks: Iterable[tuple[ChunkId, int]]) -> None:
        """
        Take that a node's clients have read chunks, and how often.
        """
        now = self._clock.seconds()
        for chunk_id, times in chunks:
            if self._node_id in self._homes_of(chunk_id):
                self._heat.note(chunk_id, now, times)

    def have(self, node_id: str, chunk_id: ChunkId, digest: Digest) -> None:
        """
        Take that a node holds a chunk.
        """
        self._directory.have(node_id, chunk_id, digest)
        self._note_end(chunk_id)

    def gone(self, node_id: str, chunk_id: ChunkId) -> None:
        """
        Take that a node neither holds nor receives a chunk any more.
        """
        self._directory.gone(node_id, chunk_id)
        self._note_end(chunk_id)

    def leased(self, chunk_id: ChunkId, node_id: str) -> None:
        """
        Take from another home that a node, if it is known, reads a chunk from the
        store.
        """
        if self._alive(node_id):
            self._directory.leased(chunk_id, node_id, self._clock.seconds())

    def interrupted(self, node_id: str) -> None:
        """
        Take that a node broke off its connections: what it was doing has ended.
        """
        self._directory.interrupted(node_id)

    def lost(self, node_id: str) -> None:
        """
        Take that a node has left, with all it held.
        """
        self._directory.lost(node_id)

    def _lends(self, node_id: str, request: Locate) -> bool:
        """
        Tell whether the store's budget allows a lease; this node's own reads wait for
        it by themselves.
        """
        return node_id == self._node_id or self._budget.lend(request.chunk_id)

    def _note_end(self, chunk_id: ChunkId) -> None:
        if not self._directory.reader(chunk_id):
            self._budget.lent_back(chunk_id)

    def _homes_of(self, chunk_id: ChunkId) -> tuple[str, ...]:
        return self._homes.of(chunk_id, self._membership.current().peers)

    def _stands_in_early(
        self, request: Locate, before: tuple[str, ...], now: float
    ) -> bool:
        """
        Tell whether those who hold a chunk may not have told this node yet, which
        stands in for a home since a moment ago only.
        """
        lacking = [
            home for home in before if home in request.rejected or not self._alive(home)
        ]
        since = [self._lacking.since(home, now) for home in lacking]
        informed = len(before) < self._homes.replicas
        if informed and not self._directory.holders(request.chunk_id):
            return False  # It was told of all leases, and of holders.
        return any(now < each + STAND_IN_AFTER for each in since)

    def _homes_before(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the homes that rank before this node.
        """
        homes = self._homes_of(chunk_id)
        if self._node_id in homes:
            homes = homes[: homes.index(self._node_id)]
        return homes

    def _better_homes(self, asker: str, request: Locate) -> tuple[Holder, ...]:
        """
        Name the homes that rank before this node and that the asker may try.
        """
        return tuple(
            Holder(home, False)
            for home in self._homes_before(request.chunk_id)
            if home != asker and home not in request.rejected and self._alive(home)
        )

    def _address(self, holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
        """
        Say where nodes are, for those who see other members.
        """
        peers = self._membership.current().peers
        return tuple(
            attrs.evolve(holder, host=peer.host, port=peer.port)
            if (peer := peers.get(holder.node_id)) is not None
            else holder
            for holder in holders
        )

    def _alive(self, node_id: str) -> bool:
        if node_id == self._node_id:
            return True
        if self._links is None or not self._links.reachable(node_id):
            return False
        # Who has proved itself a moment ago is there, whatever the list says.
        known = node_id in self._membership.current().peers
        return known or self._links.silence(node_id) < HEARD

    def _tell_others(self, message: Leased) -> None:
        if self._links is None:
            return
        peers = self._membership.current().peers
        for home in self._homes_of(message.chunk_id):
            if home not in (self._node_id, message.node_id):
                self._links.tell(peers[home], message)

    def _drop_the_dead(self, membership: Membership) -> None:
        members = set(membership.peers)
        for node_id in sorted(self._members - members):
            self._directory.lost(node_id)
            self._lacking.forget(node_id)
        self._members = members

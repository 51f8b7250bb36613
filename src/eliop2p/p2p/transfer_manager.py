"""
Gets the chunks that this node does not have, and tells others of those it has.
"""

import random
from collections.abc import Container

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.interfaces import (
    Fetched,
    IChunkOrigin,
    IChunkSink,
    IChunkSource,
    ILocalChunks,
    IMembership,
    IPeerLinks,
    IPeerSelector,
)
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.net.store_budget import StoreBudget
from eliop2p.p2p.announcements import Announcements
from eliop2p.p2p.attach import Standings
from eliop2p.p2p.counters import TransferCounters
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.hedging import Hedges
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.locating import Locator
from eliop2p.p2p.means import Means
from eliop2p.p2p.opened import OpenedChunks
from eliop2p.p2p.peer_gets import PeerGets
from eliop2p.p2p.precedence import Precedence
from eliop2p.p2p.pursuit import Pursuit
from eliop2p.p2p.rendezvous import Homes
from eliop2p.p2p.selection import PeerScores
from eliop2p.p2p.sentry import Sentry
from eliop2p.p2p.speed import Speed
from eliop2p.p2p.store_pace import StorePace


@implementer(IChunkSource)
class TransferManager:
    """
    Fills chunks: asks their homes, then the peers that these name, or the store.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: The way to the peers.
        home: This node as a home.
        standings: Told how far this node is with each chunk.
        clock: For pauses and time limits.
        rng: Spreads pauses and load.
        selection_k: How many of the peers that a home names are tried.
        selector: Says in which order they are.
        budget: What may be read of the store; more with a lease.
        speed: Tells whether this node is slow, and which peers are.
        downlink: What is on its way to this node.
        sentry: Finds out which peers are silent.
        spared: Peers that are asked only for want of others.

    Attributes:
        counters: What has happened.
        scores: How the peers have done.
        hedges: What second requests have done.
        opened: Counts a read of a chunk that this node holds, for its home.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        home: ChunkHome,
        standings: Standings,
        clock: IReactorTime,
        rng: random.Random,
        selection_k: int = 5,
        selector: IPeerSelector,
        budget: StoreBudget,
        speed: Speed,
        downlink: Downlink,
        sentry: Sentry,
        spared: Container[str],
    ) -> None:
        self.counters = TransferCounters()
        self.scores = PeerScores()
        self.hedges = Hedges()
        self._membership = membership
        self._standings = standings
        self._announcements = Announcements(
            node_id, membership, homes, links=links, home=home, clock=clock
        )
        self._opened = OpenedChunks(
            node_id, membership, homes, links=links, home=home, clock=clock
        )
        self.opened = self._opened.note
        store_pace = StorePace(clock, downlink.came)
        precedence = Precedence(clock, lambda: speed.is_slow)
        speed.watch(precedence.changed)
        self._speed, self._sentry = speed, sentry
        self._locator = Locator(
            node_id,
            membership,
            homes,
            links=links,
            home=home,
            scores=self.scores,
            clock=clock,
            downlink=downlink,
            sentry=sentry,
            slow_nodes=speed.slow_nodes,
        )
        gets = PeerGets(
            links,
            self.scores,
            clock,
            downlink=downlink,
            precedence=precedence,
            store_pace=store_pace,
            ask_others=sentry.ask,
            received=self._received,
            slow_nodes=speed.slow_nodes,
            took=self.hedges.took,
        )
        speed.connect_gets(gets.silent)
        self._means = Means(
            node_id=node_id,
            membership=membership,
            locator=self._locator,
            gets=gets,
            downlink=downlink,
            precedence=precedence,
            store_pace=store_pace,
            spared=spared,
            hedges=self.hedges,
            scores=self.scores,
            standings=standings,
            counters=self.counters,
            announcements=self._announcements,
            clock=clock,
            rng=rng,
            selection_k=selection_k,
            selector=selector,
            budget=budget,
        )

    @property
    def locate_messages(self) -> int:
        """
        The number of questions sent to homes.
        """
        return self._locator.messages

    def begin(self, chunks: ILocalChunks) -> None:
        """
        Tell the homes what this node holds, now and whenever they change.
        """
        self._announcements.begin(chunks)

    def stop(self) -> None:
        """
        Announce nothing more.
        """
        self._announcements.stop()
        self._opened.stop()
        self._speed.stop()
        self._sentry.stop()

    def announce(self, chunk_id: ChunkId, digest: Digest) -> None:
        """
        Tell the homes of a chunk that this node holds it.
        """
        self._announcements.have(chunk_id, digest)

    def withdraw(self, chunk_id: ChunkId) -> None:
        """
        Tell the homes of a chunk that this node holds it no longer.
        """
        self._announcements.gone(chunk_id)

    def fetch(self, sink: IChunkSink, origin: IChunkOrigin) -> "Deferred[Fetched]":
        """
        Fill a chunk; the same one not twice at a time. Cancelling stops whatever is
        under way.
        """
        return Deferred.fromCoroutine(self._fetch(sink, origin))

    async def _fetch(self, sink: IChunkSink, origin: IChunkOrigin) -> Fetched:
        chunk_id = sink.chunk.id
        pursuit = Pursuit(self._means, sink, origin)
        fetched = None
        try:
            if len(self._membership.current().peers) == 1:
                fetched = await pursuit.alone()
            else:
                self._announcements.again(chunk_id)
                fetched = await pursuit.among_peers()
        finally:
            self._standings.leave(chunk_id)
            if fetched is None:
                self._announcements.gone(chunk_id)
        return fetched

    def _received(self, size: int) -> None:
        self.counters.bytes_from_peers += size
        self.hedges.received(size)

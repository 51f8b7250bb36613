"""
Takes bytes of chunks from single peers, within bounds, and keeps their scores.
"""

import math
from collections.abc import Callable, Container, Sequence
from functools import partial

import attrs
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.base.errors import (
    PeerBusy,
    PeerError,
    PeerSlow,
    PeerUnreachable,
    WrongAnswer,
)
from eliop2p.interfaces import IChunkSink, IPeerLinks, IPieceTaker
from eliop2p.model.peer import PeerInfo
from eliop2p.model.trail import Intake
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.pace import MOST_PATIENCE, SLOW_SECONDS, Pace, Watch, sign_within
from eliop2p.p2p.precedence import Precedence
from eliop2p.p2p.selection import PeerScores
from eliop2p.p2p.store_pace import StorePace
from eliop2p.wire.events import Done, Get, Holder

GETS_PER_PEER = 8
"""
How many chunks one peer is asked for at a time, of those that it holds; and as many of
those that it is receiving itself.
"""


@attrs.frozen
class Wanted:
    """
    What is to come.

    Attributes:
        sink: The chunk.
        ticket: Our place among those receiving it.
        intake: Told of bytes that come in vain, also after the end.
        disappointments: How many peers were too slow with this chunk.
        others: Whom the chunk may be had from otherwise.
    """

    sink: IChunkSink
    ticket: int
    intake: Intake
    disappointments: int = 0
    others: Sequence[PeerInfo] = ()


@implementer(IPieceTaker)
@attrs.define(eq=False)
class _Transfer:
    """
    What one peer gives of a chunk.

    Attributes:
        wanted: The chunk.
        peer: Who gives.
        clock: The time.
        downlink: Told of all that comes.
        received: Told of each piece, with its length in bytes.
        start: Where in the chunk it begins.
        asked_at: When the peer was asked.
        first_at: When the first byte came.
    """

    wanted: Wanted
    peer: PeerInfo
    clock: IReactorTime
    downlink: Downlink
    received: Callable[[int], None]
    start: int = 0
    asked_at: float = 0.0
    first_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.start = self.wanted.sink.filled
        self.asked_at = self.first_at = self.clock.seconds()

    def write(self, offset: int, data: memoryview) -> None:
        """
        Take a piece.
        """
        sink, size = self.wanted.sink, len(data)
        before = sink.filled
        try:
            sink.write(offset, data)
        except WrongAnswer as error:
            raise PeerError(f"{self.peer.node_id} sent too much") from error
        finally:
            self._came(offset, size, kept=sink.filled - before)
        self.received(size)

    def room(self, offset: int, limit: int) -> memoryview | None:
        """
        Give the place of a piece.
        """
        return self.wanted.sink.room(offset, limit)

    def wrote(self, offset: int, size: int) -> None:
        """
        Take a piece that is in its place.
        """
        sink = self.wanted.sink
        before = sink.filled
        sink.wrote(offset, size)
        self._came(offset, size, kept=sink.filled - before)
        self.received(size)

    def late(self, size: int) -> None:
        """
        Count a piece that came when it was no longer wanted.
        """
        self.downlink.came(size)
        self.wanted.intake.came(size, kept=0)

    def _came(self, offset: int, size: int, *, kept: int) -> None:
        if offset == self.start:
            self.first_at = self.clock.seconds()
        self.downlink.came(size)
        self.wanted.intake.came(size, kept=kept)


class PeerGets:
    """
    The requests for chunks that are under way.

    A request to a peer that holds the chunk may wait for others to end: these always
    go on. One to a peer that is receiving the chunk never waits, for nodes that wait
    for each other's requests to end would wait for ever.

    Args:
        links: The way to the peers.
        scores: Learns how they do.
        clock: The time.
        downlink: What is on its way to this node.
        precedence: Ends requests that must make way.
        store_pace: How long the store takes to begin.
        ask_others: Finds out who else is silent when a peer is, within seconds.
        received: Told of each piece, with its length in bytes.
        slow_nodes: Those that say that they are slow.
        took: Told for how many seconds each chunk took that came whole from one peer.
    """

    def __init__(
        self,
        links: IPeerLinks,
        scores: PeerScores,
        clock: IReactorTime,
        *,
        downlink: Downlink,
        precedence: Precedence,
        store_pace: StorePace,
        ask_others: Callable[[Sequence[PeerInfo], float], None],
        received: Callable[[int], None],
        slow_nodes: Container[str] = (),
        took: Callable[[float], None] | None = None,
    ) -> None:
        self._links = links
        self._scores = scores
        self._clock = clock
        self._downlink = downlink
        self._precedence = precedence
        self._store_pace = store_pace
        self._ask_others = ask_others
        self.received = received
        self._slow_nodes = slow_nodes
        self._took = took
        self._pace = Pace()
        self._holders: dict[str, DeferredSemaphore] = {}
        self._relays: dict[str, int] = {}
        self._watches: set[Watch] = set()

    def finds(self, peer: PeerInfo) -> bool:
        """
        Tell whether a peer can be asked: it has an address, or has come here by itself.
        """
        return bool(peer.host) or self._links.silence(peer.node_id) < math.inf

    def silent(self) -> int:
        """
        Count the requests to peers that owe a sign of life.
        """
        return sum(watch.owes_sign for watch in self._watches)

    async def get(self, holder: Holder, peer: PeerInfo, wanted: Wanted) -> Done:
        """
        Fill a chunk to its end.

        Args:
            holder: Whom to ask, and whether it holds the chunk.
            peer: Its address.
            wanted: The chunk.

        Raises:
            PeerBusy: The chunk must make way for others, or the peer has enough to do.
            PeerSlow: The peer takes much longer than others do.
            PeerUnreachable: The peer gives no sign of life.
            PeerError: The peer gave none of the bytes, or not all, or hardly any in
                all that time.
        """
        if holder.complete:
            return await self._get_held(peer, wanted)
        under_way = self._relays.get(peer.node_id, 0)
        if under_way >= GETS_PER_PEER:
            raise PeerBusy(f"{peer.node_id} has enough to relay to us")
        self._relays[peer.node_id] = under_way + 1
        try:
            return await self._get(peer, wanted, complete=False)
        finally:
            self._relays[peer.node_id] -= 1
            if not self._relays[peer.node_id]:
                del self._relays[peer.node_id]

    async def _get_held(self, peer: PeerInfo, wanted: Wanted) -> Done:
        gate = self._holders.get(peer.node_id)
        if gate is None:
            gate = self._holders[peer.node_id] = DeferredSemaphore(GETS_PER_PEER)
        await gate.acquire()
        try:
            return await self._get(peer, wanted, complete=True)
        finally:
            gate.release()
            if gate.tokens == gate.limit:
                self._holders.pop(peer.node_id, None)

    async def _get(self, peer: PeerInfo, wanted: Wanted, *, complete: bool) -> Done:
        node_id, clock, scores = peer.node_id, self._clock, self._scores
        sink, downlink = wanted.sink, self._downlink
        transfer = _Transfer(wanted, peer, clock, downlink, self.received)
        start, asked_at = transfer.start, transfer.asked_at
        sink.source = "peer"
        scores.began(node_id)
        try:
            with downlink.awaiting(sink):
                done = await self._watched(transfer, complete=complete)
        except PeerSlow:
            brought = max(sink.filled - start, 1)
            scores.delivered(node_id, brought, clock.seconds() - asked_at)
            raise
        finally:
            scores.ended(node_id)
        if sink.filled != sink.chunk.length:
            raise PeerError(f"{node_id} sent too little")
        if start == 0:
            self._pace.took(clock.seconds() - asked_at)
            if self._took is not None:
                self._took(clock.seconds() - asked_at)
        if complete and sink.filled > start:
            first_at = transfer.first_at
            scores.answered(node_id, first_at - asked_at)
            scores.delivered(node_id, sink.filled - start, clock.seconds() - first_at)
        return done

    def _usual(self, node_id: str, sink: IChunkSink) -> float:
        """
        Tell how many seconds a chunk may take to come, as far as that is up to this
        node; before anything has come its own link may well be the slow one.
        """
        least = SLOW_SECONDS if node_id in self._slow_nodes else 0.0
        seconds = max(self._pace.seconds, self._downlink.delay(sink), least)
        return min(seconds, MOST_PATIENCE)

    def _upstream(self) -> float:
        """
        Tell for how many seconds a peer that is receiving a chunk may have to wait for
        it: perhaps it comes from the store.
        """
        return self._store_pace.seconds

    async def _watched(self, transfer: _Transfer, *, complete: bool) -> Done:
        peer, sink = transfer.peer, transfer.wanted.sink
        request = Get(0, sink.chunk.id, transfer.start, transfer.wanted.ticket)
        others = transfer.wanted.others
        # Who is receiving the chunk may wait for it: that says nothing of others yet.
        at_once = others if complete else ()
        getting = self._links.get(peer, request, transfer)
        watch = Watch(
            peer,
            getting,
            sink,
            links=self._links,
            clock=self._clock,
            patience=self._pace.patience(transfer.wanted.disappointments),
            usual=partial(self._usual, peer.node_id),
            upstream=(lambda: 0.0) if complete else self._upstream,
            silent=lambda within: self._ask_others(at_once, within),
        )
        self._watches.add(watch)
        try:
            with self._precedence.yielding(watch.give_way):
                return await getting
        except CancelledError:
            if watch.error is not None:
                raise watch.error from None
            raise
        finally:
            self._watches.discard(watch)
            watch.end()
            if isinstance(watch.error, PeerUnreachable):
                usual = self._usual(peer.node_id, sink)
                self._ask_others(others, sign_within(usual, slow=False))

"""
How one chunk is got: ask, try, wait, ask again, until it is here or hopeless.
"""

from collections import Counter

from twisted.internet.task import deferLater
from twisted.logger import Logger

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    PeerBehind,
    PeerBusy,
    PeerError,
    PeerSlow,
)
from eliop2p.interfaces import Fetched, IChunkOrigin, IChunkSink
from eliop2p.model.peer import neighbours
from eliop2p.model.trail import Intake, Step
from eliop2p.p2p.hedging import Getting, Race
from eliop2p.p2p.means import Means
from eliop2p.p2p.patience import (
    MAX_BEHIND,
    MAX_FAILURES,
    MAX_VAIN,
    Patience,
    patience_with_all,
)
from eliop2p.p2p.peer_gets import Wanted
from eliop2p.p2p.selection import Order, choose
from eliop2p.p2p.store_sink import StoreSink
from eliop2p.wire.cluster_events import Inlined
from eliop2p.wire.events import MAX_HOLDERS, Done, Holder, Locate, Located, Verdict

_log = Logger()


class Pursuit:
    """
    One chunk that is being got.

    Args:
        means: What it takes.
        sink: Where the chunk goes.
        origin: The right to read it from the store.
    """

    def __init__(self, means: Means, sink: IChunkSink, origin: IChunkOrigin) -> None:
        self._means = means
        self._sink = sink
        self._chunk = sink.chunk
        self._origin = origin
        self._unknown_source = sink.filled > 0 and sink.source != "origin"
        self._givers: dict[str, bool] = {}  # With whether they hold the chunk whole.
        self._rejected: dict[str, None] = {}
        self._behind: dict[str, int] = {}
        self._slow: dict[str, None] = {}
        self._vain: Counter[str] = Counter()
        self._disappointments = 0
        self._digest = b""
        self._inlined: Inlined | None = None
        self._home = means.node_id
        self._consulted = False
        self._patience = Patience(means.clock, means.rng, sink.filled)

    async def alone(self) -> Fetched:
        """
        Get the chunk where there are no peers.

        Raises:
            ChunkUnavailable: The store cannot be read.
            OriginError: The store failed.
        """
        if not self._origin.can_read(self._chunk):
            raise ChunkUnavailable("no peer has the chunk and the store cannot be read")
        return await self._read_store("there is no other node")

    async def among_peers(self) -> Fetched:
        """
        Get the chunk from wherever its home says.

        Raises:
            ChunkUnavailable: Nobody gave it.
            CorruptChunk: What came does not match its digest.
            OriginError: The store failed.
        """
        while True:
            located = await self._consult_homes()
            if located.verdict is Verdict.LEASE and self._can_read():
                self._means.counters.lease_granted += 1
                return await self._read_leased()
            if located.is_hopeless and not self._can_read():
                raise ChunkUnavailable("nobody has the chunk or can read it")
            failures = len(self._rejected)
            if self._inlined is not None:
                fetched = await self._take_inlined(self._inlined, located.holders[0])
            else:
                fetched = await self._try_peers(located.holders)
            if fetched is not None:
                return fetched
            progressed = self._patience.note(self._sink.filled)
            if self._is_hopeless():
                return await self._last_resort()
            if progressed or len(self._rejected) > failures:
                self._patience.renew()
            else:
                await self._wait(located.verdict)

    async def _read_leased(self) -> Fetched:
        """
        Read the store in the place of the home that gave the lease.
        """
        returned = self._means.budget.borrow(self._home)
        try:
            return await self._read_store("its home gave this node the lease")
        finally:
            returned()

    async def _last_resort(self) -> Fetched:
        if not self._can_read():
            raise ChunkUnavailable("no peer has the chunk and the store cannot be read")
        self._means.counters.last_resort_reads += 1
        return await self._read_store("the peers did not give it in time")

    # --- the homes -----------------------------------------------------------------

    async def _consult_homes(self) -> Located:
        begun = self._means.clock.seconds()
        located = await self._locate()
        holders = ", ".join(
            each.node_id if each.complete else f"{each.node_id} (receiving)"
            for each in located.holders
        )
        self._note("home", located.verdict.name.lower(), holders or "nobody", begun)
        return located

    def _note(
        self,
        what: str,
        outcome: str,
        why: str,
        begun: float,
        *,
        name: str = "",
        intake: Intake | None = None,
    ) -> None:
        """
        Say what was tried, for those who want to know later.
        """
        size = intake.kept if intake else 0
        seconds = self._means.clock.seconds() - begun
        step = Step(what, name, outcome, why, size, seconds, intake or Intake(), begun)
        self._sink.arrival.note(step)

    async def _locate(self) -> Located:
        means = self._means
        banned = means.scores.banned(means.clock.seconds())
        # Not those that are slow: the home would grant a lease for want of others, and
        # the store would be read once more for what is on its way.
        rejected = tuple(dict.fromkeys([*self._rejected, *banned]))[-MAX_HOLDERS:]
        request = Locate(
            0, self._chunk.id, self._sink.filled, self._can_read(), rejected
        )
        useless = [home for home, times in self._vain.items() if times >= MAX_VAIN]
        located, search = await means.locator.locate(request, useless)
        if search.inlined is not None:
            self._inlined = search.inlined
            return located
        self._take(located)
        named = len(located.holders)
        means.announcements.registered(self._chunk.id, search.answered, named)
        self._home = means.node_id
        if search.answered is not None:
            self._home = search.answered.node_id
            names = {holder.node_id for holder in located.holders}
            if names and names <= set(rejected):
                self._vain[self._home] += 1
        unknown = located.verdict is Verdict.LEASE or located.is_hopeless
        if unknown and not self._consulted:
            better = await means.locator.consult(request, search)
            self._consulted = better is None
            if better is not None:
                self._inlined = search.inlined
                self._take(better)
                return better
        return located

    def _take(self, located: Located) -> None:
        self._means.standings.join(self._chunk.id, located.ticket)
        self._digest = located.digest or self._digest

    def _can_read(self) -> bool:
        return self._origin.can_read(self._chunk)

    def _is_hopeless(self) -> bool:
        first_byte = self._means.store_pace.seconds
        patience = patience_with_all(first_byte, can_read=self._can_read())
        return len(self._rejected) >= MAX_FAILURES or self._patience.waited >= patience

    async def _wait(self, verdict: Verdict) -> None:
        if verdict in (Verdict.WAIT, Verdict.LATER):
            # Not from within: who hears of it may be the last to want the chunk, and
            # then gives this very pursuit up.
            standings, chunk_id = self._means.standings, self._chunk.id
            self._means.clock.callLater(0, standings.stall, chunk_id)
        await deferLater(self._means.clock, self._patience.pause(verdict))

    # --- the peers -----------------------------------------------------------------

    async def _try_peers(self, holders: tuple[Holder, ...]) -> Fetched | None:
        order = self._choose(holders)
        if not order and self._slow:
            self._slow.clear()
            order = self._choose(holders)
        for place, (holder, why) in enumerate(order):
            done = await self._try_hedged(holder, why, order[place + 1 :])
            if done is not None:
                return await self._check(done)
        return None

    def _choose(self, holders: tuple[Holder, ...]) -> Order:
        means = self._means
        fast = tuple(each for each in holders if each.node_id not in means.spared)
        return choose(
            fast or holders,
            means.scores,
            means.selector.order,
            means.rng,
            k=means.selection_k,
            now=means.clock.seconds(),
            rejected={means.node_id, *self._rejected, *self._slow},
            near=neighbours(means.membership.current(), means.node_id),
        )

    async def _take_inlined(self, inlined: Inlined, holder: Holder) -> Fetched | None:
        """
        Take the chunk that a home has given with its answer.
        """
        self._inlined = None
        sink, data, node_id = self._sink, inlined.data, holder.node_id
        if len(data) != self._chunk.length:
            self._reject(node_id)
            self._vain[node_id] = MAX_VAIN
            return None
        begun, intake = self._means.clock.seconds(), Intake(0)
        sink.source = "peer"
        sink.write(0, data)
        intake.came(len(data), kept=sink.filled)
        self._means.gets.received(len(data))
        self._givers[node_id] = True
        why = "gave it with its answer"
        self._note("peer", "done", why, begun, name=node_id, intake=intake)
        return await self._check(Done(0, inlined.digest))

    async def _try_hedged(self, holder: Holder, why: str, others: Order) -> Done | None:
        """
        Ask a peer, and when it takes unusually long one who holds the chunk, and so
        waits for nobody: the waits-for graph stays free of cycles.
        """
        means, sink = self._means, self._sink
        await means.precedence.clear()
        begun, start = means.clock.seconds(), sink.filled
        spare = next((each for each, _ in others if each.complete), None)

        def second() -> Getting | None:
            if not means.hedges.spend(self._chunk.length - sink.filled):
                return None
            # Or it would be the first choice for the next chunk, too.
            brought, seconds = sink.filled - start, means.clock.seconds() - begun
            means.scores.delivered(holder.node_id, max(brought, 1), seconds)
            if spare is None:
                return self._try_found(holder.node_id)
            return self._try(
                spare, f"holds it, and {holder.node_id} takes long", others
            )

        first = self._try(holder, why, others)
        return await Race(means.hedges, means.clock, first, second).result

    async def _try_found(self, slow: str) -> Done | None:
        located = await self._means.locator.hear(self._sink, tuple(self._rejected))
        found = tuple(each for each in located.holders if each.complete)
        for holder, why in self._choose(found):
            if holder.node_id != slow:
                done = await self._try(holder, f"{why}, and {slow} takes long")
                if done is not None:
                    return done
        return None

    async def _try(self, holder: Holder, why: str, others: Order = ()) -> Done | None:
        means, node_id = self._means, holder.node_id
        peers = means.membership.current().peers
        peer, rest = holder.resolve(peers), [each.resolve(peers) for each, _ in others]
        if not means.gets.finds(peer):
            self._note_behind(node_id)  # Its home does not know where it is either.
            return None
        intake, begun = Intake(self._sink.filled), means.clock.seconds()
        outcome = "given up"
        try:
            ticket = means.standings.of(self._chunk.id).ticket
            wanted = Wanted(self._sink, ticket, intake, self._disappointments, rest)
            done = await means.gets.get(holder, peer, wanted)
        except PeerError as error:
            outcome = self._failed(node_id, error)
            return None
        else:
            outcome = "done"
            return done
        finally:
            self._note("peer", outcome, why, begun, name=node_id, intake=intake)
            if intake.kept:
                self._givers[node_id] = holder.complete

    def _failed(self, node_id: str, error: PeerError) -> str:
        """
        Learn from what a peer did not fulfil, and say in short what it was.
        """
        if isinstance(error, PeerBusy):
            return "busy"
        if isinstance(error, PeerSlow):
            self._slow[node_id] = None
            self._disappointments += 1
            self._means.counters.slow_peers += 1
            return "too slow"
        if isinstance(error, PeerBehind):
            self._note_behind(node_id)
            return "not ahead"
        _log.debug(
            "Peer {peer} failed at byte {offset} of a chunk: {error}",
            peer=node_id,
            offset=self._sink.filled,
            error=error,
        )
        self._reject(node_id)
        return str(error)[:80]

    def _note_behind(self, node_id: str) -> None:
        self._behind[node_id] = self._behind.get(node_id, 0) + 1
        if self._behind[node_id] >= MAX_BEHIND:
            self._reject(node_id)

    def _reject(self, node_id: str) -> None:
        means = self._means
        self._rejected[node_id] = None
        means.counters.peer_failures += 1
        means.scores.failed(node_id, means.clock.seconds())

    async def _check(self, done: Done) -> Fetched:
        digest = await self._sink.digest()
        if digest == done.digest and self._digest not in (b"", digest):
            # Not for a lease: a liar may have been found out.
            self._digest = (await self._means.locator.hear(self._sink)).digest
        if digest != done.digest or self._digest not in (b"", digest):
            self._blame(banned=self._is_singled_out)
            raise CorruptChunk("a chunk from peers does not match its digest")
        self._means.counters.chunks_from_peers += 1
        self._origin.passed_over(self._chunk)
        return Fetched(digest, "peer")

    @property
    def _is_singled_out(self) -> bool:
        return len(self._givers) == 1 and not self._unknown_source

    def _blame(self, *, banned: bool) -> None:
        """
        Score the givers down, or ban them: only one that gave every byte, and vouched
        for them, can be singled out.
        """
        means, now = self._means, self._means.clock.seconds()
        means.counters.corrupt += 1
        for node_id in sorted(self._givers):
            if banned:
                _log.warn("Peer {peer} gave a corrupt chunk", peer=node_id)
                means.scores.corrupt(node_id, now)
            else:
                means.scores.failed(node_id, now)

    # --- the store -----------------------------------------------------------------

    async def _read_store(self, why: str) -> Fetched:
        means, outcome = self._means, "failed"
        trusted = not (self._givers or self._unknown_source)
        means.standings.read_store(self._chunk.id)
        intake, begun = Intake(self._sink.filled), means.clock.seconds()
        try:
            with means.store_pace.reading() as came, means.precedence.reading():
                sink = StoreSink(self._sink, intake, trusted=trusted, came=came)
                with means.downlink.awaiting(sink):
                    await self._origin.read(sink)
            outcome = "done"
        except CorruptChunk:
            # Who was only receiving it may have passed on what it believed.
            self._blame(banned=self._is_singled_out and all(self._givers.values()))
            raise
        finally:
            self._note("origin", outcome, why, begun, intake=intake)
        digest = await self._sink.digest()
        means.counters.chunks_from_origin += 1
        return Fetched(digest, "origin")

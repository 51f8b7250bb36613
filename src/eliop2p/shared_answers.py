"""
Answers that are ready before they are asked for, given by worker processes as well.
"""

from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import IBodySender, IHeldChunks
from eliop2p.model.chunk import ChunkId
from eliop2p.model.trails import Trails
from eliop2p.proxy.prepared import Prepared
from eliop2p.proxy.prepared_answers import ALL_SENT, PreparedAnswers
from eliop2p.proxy.records import Records
from eliop2p.workers.lease import Lease
from eliop2p.workers.lending import Basis, Lending, Used
from eliop2p.workers.pool import Workers
from eliop2p.workers.sender import CarriedSender

MAX_BODY = 64 * 1024
"""
The longest body that a worker keeps, in bytes.
"""

SETTLED = 16
"""
After how many answers that were ready a connection may be lent: before that, it may
want something else soon.
"""

RECONSIDERED = 256
"""
After how many more it is considered again.
"""

COLLECT_SECONDS = 0.25
"""
How often it is read what workers have answered.
"""

_log = Logger()


class CountedChunks(Protocol):
    """
    Chunks whose uses can be counted afterwards.
    """

    def used_elsewhere(self, chunk_id: ChunkId, times: int) -> None:
        """
        Count uses.
        """


class SharedAnswers(Service):
    """
    Gives answers that are ready, and lends workers the connections that get no others.

    The node and its workers have as many of those connections each. An answer that was
    lent is good no longer than what is believed of its object stays the same, and than
    the store's word counts.
    """

    def __init__(
        self,
        prepared: PreparedAnswers,
        workers: Workers,
        records: Records,
        *,
        held: IHeldChunks,
        counted: CountedChunks,
        metrics: Metrics,
        trails: Trails,
        clock: IReactorTime,
    ) -> None:
        """
        Args:
            prepared: Answers that are ready.
            workers: The worker processes.
            records: What is believed of objects.
            held: Opens chunks.
            counted: Is told of uses of chunks.
            metrics: Where answers are counted.
            trails: Where it is kept how requests were answered.
            clock: For the time.
        """
        self._prepared = prepared
        self._give = prepared.answer
        self._workers = workers
        self._records = records
        self._held = held
        self._counted = counted
        self._metrics = metrics
        self._trails = trails
        self._collecting = LoopingCall(workers.collect)
        self._collecting.clock = clock
        records.watch(workers.revoke)
        workers.collect_with(self._count)
        metrics.before_reading(workers.collect)

    def startService(self) -> None:
        """
        Begin to read what workers have answered.
        """
        super().startService()
        self._collecting.start(COLLECT_SECONDS, now=False)

    def stopService(self) -> None:
        """
        Stop that.
        """
        super().stopService()
        self._collecting.stop()

    def answer(self, raw: bytes, sender: IBodySender) -> "Deferred[None] | None":
        """
        Answer a request, if there is an answer to it; see
        :meth:`PreparedAnswers.answer`.
        """
        given = self._give(raw, sender)
        if given is ALL_SENT and isinstance(sender, CarriedSender):
            count = sender.at_once = sender.at_once + 1
            if count in {1, SETTLED} or not count % RECONSIDERED:
                self._share(raw, sender)
        return given

    def _share(self, raw: bytes, sender: CarriedSender) -> None:
        lendings = self._workers.lendings()
        found = self._prepared.prepared(raw)
        # Who traces requests wants to hear of each.
        if not lendings or found is None or self._trails.watcher is not None:
            return
        unknown = [each for each in lendings if not each.knows(raw)]
        if unknown and found.length <= MAX_BODY:
            Deferred.fromCoroutine(self._teach(raw, found, unknown)).addErrback(
                lambda failure: _log.failure("Lending an answer", failure)
            )
        if sender.at_once >= SETTLED:
            self._lend(raw, sender, lendings)

    def _lend(self, raw: bytes, sender: CarriedSender, lendings: list[Lending]) -> None:
        """
        Lend a connection, unless the node has no more of those than any worker.
        """
        least = min(lendings, key=lambda each: each.connections)
        kept = self._workers.kept
        kept.add(sender)
        if least.knows(raw) and least.connections < len(kept):
            sender.lend(least)

    async def _teach(
        self, raw: bytes, found: Prepared, lendings: list[Lending]
    ) -> None:
        handle = await self._held.inspect(found.chunk_id)
        if handle is None:
            return
        try:
            span = handle.span(found.start, found.length)
            if not isinstance(span, memoryview):
                return
            body = bytes(span)
        finally:
            handle.close()
        if self._records.still(found.record_id, found.belief):
            basis = Basis(found.record_id, found.belief, found.chunk_id, found.trail)
            lease = Lease(raw, found.since, found.until, found.head, body)
            for lending in lendings:
                lending.teach(lease, basis)

    def _count(self, used: Used) -> None:
        """
        Add what a worker has answered to the metrics, and to what is known of the use
        of objects.
        """
        now, before = used.totals, used.before
        hits = now.hits - before.hits
        if not hits:
            return
        metrics = self._metrics
        metrics.requests.labels("GET", "hit", "2xx").inc(hits)
        metrics.auth.labels("trusted").inc(hits)
        metrics.served_bytes.labels("memory").inc(now.sent - before.sent)
        earlier = before.spread or (0,) * len(now.spread)
        spread = [a - b for a, b in zip(now.spread, earlier, strict=True)]
        metrics.first_byte_seconds.add(spread, now.seconds - before.seconds)
        metrics.request_seconds.add(spread, now.seconds - before.seconds)
        for basis, times in used.bases:
            self._records.still(basis.record_id, basis.belief)
            self._counted.used_elsewhere(basis.chunk_id, times)
        noted = 0
        for basis, note in used.notes:
            if basis.trail is not None:
                self._trails.note((basis.trail, note.name, note.started, note.seconds))
                noted += basis.trail.kept
        self._trails.settle(noted)

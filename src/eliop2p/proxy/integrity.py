"""
Whole objects held against the store's own checksum of them.

Chunks are looked at after they have been sent: the CRC of each is taken at once and
combined with its neighbours'; an MD5 or SHA is computed when every chunk is held, in
order, and slowly. Nothing here makes a client wait.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import IHeldChunks, IWorker
from eliop2p.model.checksum import CRCS, Crc, CrcRuns
from eliop2p.model.checksum_offer import ETAG_ALGORITHM, Check, offered
from eliop2p.model.chunk import Chunk, Layout, ObjectId
from eliop2p.model.record import ObjectRecord, Verdict
from eliop2p.proxy.background import Lane
from eliop2p.proxy.etag_trust import EtagTrust
from eliop2p.proxy.heads import parse_kept
from eliop2p.proxy.held_sums import HeldSums
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids

GATHER_SECONDS = 0.1
"""
How long a chunk that was sent is left alone, so that the tiers can take it in.
"""

DIGEST_RATE = 100 * 1024 * 1024
"""
Bytes per second that MD5 and SHA are computed of: a sixth of a core at most.
"""

TRIES = 2
"""
A version that failed so often is not kept any more.
"""

SETTLED_SECONDS = 60.0
"""
How long reads that began before a version was verified may still end.
"""

MAX_OBJECTS = 1024
"""
Objects that are remembered while some of their chunks have been seen.
"""

MAX_GAPS = 1024
"""
Pieces of one object, not adjacent to each other, whose CRCs are remembered.
"""

_MAX_SENT = 4096

_PROBES = 512
"""
How many chunks are looked for in one turn of the reactor.
"""

_log = Logger()


@attrs.define(eq=False)
class _Subject:
    """
    One version of an object, and what is known of its checksum.

    Attributes:
        layout: The version.
        check: What its store says of it; None when that is nothing.
        failures: How often it was something else.
        settled: When all was found out, in seconds; None before.
        runs: The CRCs of its chunks, when a CRC is to be checked.
        held: How many chunks from its start were held when last looked.
        queued: Whether it waits to be digested, or is.
    """

    layout: Layout
    check: Check | None
    failures: int = 0
    settled: float | None = None
    runs: CrcRuns | None = None
    held: int = 0
    queued: bool = False

    @property
    def crc(self) -> Crc | None:
        """
        The CRC to be checked, if it is one.
        """
        return CRCS.get(self.check.algorithm) if self.check else None

    def start_over(self) -> None:
        """
        Forget what was computed.
        """
        self.held = 0
        self.runs = CrcRuns(self.crc) if self.crc else None


def _ignore(chunk: Chunk) -> None:
    """
    There is nothing to be found out.
    """


class ObjectChecks:
    """
    Checks each version of an object once on this node, when its chunks have been here.

    What fails is dropped, here and for the cluster, and fetched anew by the next read.
    A version that fails again cannot be had undamaged, whatever the reason: its reads
    are to be passed to the store from then on.
    """

    def __init__(
        self,
        held: IHeldChunks,
        records: Records,
        worker: IWorker,
        clock: IReactorTime,
        metrics: Metrics,
    ) -> None:
        """
        Args:
            held: The chunks of this node.
            records: Where results are remembered.
            worker: Where checksums are computed.
            clock: Paces the work.
            metrics: Where outcomes are counted.
        """
        self._held = held
        self._records = records
        self._sums = HeldSums(held, worker)
        self._clock = clock
        self._outcomes = metrics.integrity
        self._trust = EtagTrust()
        self._subjects: OrderedDict[Layout, _Subject] = OrderedDict()
        self._sent: deque[tuple[_Subject, Chunk]] = deque()
        self._gathering: IDelayedCall | None = None
        self._crcs = Lane("Computing CRCs", clock, rate=0, limit=_MAX_SENT)
        self._digests = Lane(
            "Digesting objects", clock, rate=DIGEST_RATE, limit=MAX_OBJECTS
        )
        self._stopped = False

    def follow(
        self, record_id: ObjectId, record: ObjectRecord
    ) -> Callable[[Chunk], None]:
        """
        Prepare to check an object of which chunks are about to be sent.

        Returns:
            To be told of each chunk that was sent.
        """
        if record.verdict is not Verdict.UNKNOWN or self._stopped:
            return _ignore
        subject = self._subjects.get(record.layout)
        if subject is None or self._is_stale(subject):
            subject = self._begin(record_id, record, known=subject is not None)
        self._subjects.move_to_end(record.layout)
        if subject.settled is not None:
            return _ignore
        return partial(self._was_sent, subject)

    def distrusts(self, record: ObjectRecord) -> bool:
        """
        Tell whether a version failed again and again, so that only the store is to be
        asked for it.
        """
        if record.verdict is not Verdict.UNKNOWN:
            return record.verdict is Verdict.FAILED
        subject = self._subjects.get(record.layout)
        if subject is None or subject.failures < TRIES:
            return False
        return self._is_checkable(subject)

    def stop(self) -> Deferred[None]:
        """
        Check nothing more; what was begun and not finished is forgotten.

        Returns:
            Fires when no chunk is open any more.
        """
        self._stopped = True
        self._sent.clear()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        stopping = gatherResults([self._crcs.stop(), self._digests.stop()])
        return stopping.addCallback(lambda _: None)

    def _begin(
        self, record_id: ObjectId, record: ObjectRecord, *, known: bool
    ) -> _Subject:
        size, get = record.version.size, parse_kept(record.head).get
        check = offered(get, size, whole=record.whole)
        if check is not None and check.algorithm == ETAG_ALGORITHM:
            check = check if self._trust.worth_trying(record.key) else None
        subject = _Subject(record.layout, check)
        subject.start_over()
        self._subjects[record.layout] = subject
        if len(self._subjects) > MAX_OBJECTS:
            self._subjects.popitem(last=False)
        if check is None:
            subject.settled = self._clock.seconds()
            self._outcomes.labels("unoffered").inc(0 if known else 1)
            self._records.set_verdict(record_id, record.layout, Verdict.UNOFFERED)
        return subject

    def _is_stale(self, subject: _Subject) -> bool:
        """
        Tell whether to begin anew: the check is none, or what was verified has been
        forgotten since, and perhaps been fetched again.
        """
        if subject.settled is None:
            return not self._is_checkable(subject)
        age = self._clock.seconds() - subject.settled
        return subject.check is None or age > SETTLED_SECONDS

    def _is_checkable(self, subject: _Subject) -> bool:
        check = subject.check
        if check is None or check.algorithm != ETAG_ALGORITHM:
            return check is not None
        return self._trust.worth_trying(subject.layout.key)

    # --- chunks that were sent

    def _was_sent(self, subject: _Subject, chunk: Chunk) -> None:
        settled = subject.settled is not None
        if self._stopped or settled or len(self._sent) >= _MAX_SENT:
            return
        self._sent.append((subject, chunk))
        if self._gathering is None:
            self._gathering = self._clock.callLater(GATHER_SECONDS, self._look)

    def _look(self) -> None:
        self._gathering = None
        sent, self._sent = self._sent, deque()
        for subject, chunk in sent:
            if subject.crc is not None:
                self._crcs.put(partial(self._sum, subject, chunk))
        for subject in dict.fromkeys(subject for subject, _ in sent):
            if subject.crc is None:
                self._look_at(subject)

    def _look_at(self, subject: _Subject) -> None:
        if subject.queued or subject.settled is not None:
            return
        if self._is_complete(subject):
            subject.queued = True
            if not self._digests.put(partial(self._digest, subject)):
                subject.queued = False

    def _is_complete(self, subject: _Subject) -> bool:
        """
        Tell whether every chunk is held, going on from where one was missing.
        """
        layout = subject.layout
        for _ in range(min(_PROBES, layout.count - subject.held)):
            if not self._held.where(layout.chunk(subject.held).id):
                return False
            subject.held += 1
        return subject.held == layout.count

    # --- computing

    async def _sum(self, subject: _Subject, chunk: Chunk) -> None:
        runs, crc = subject.runs, subject.crc
        if runs is None or crc is None:
            return
        if runs.covers(chunk.start, chunk.length) or len(runs) >= MAX_GAPS:
            return
        value = await self._sums.crc(self._crcs, chunk, crc)
        if value is None or runs is not subject.runs:
            return
        runs.add(chunk.start, chunk.length, value)
        total = runs.value(subject.layout.version.size)
        if total is not None:
            await self._settle(subject, crc.encode(total))

    async def _digest(self, subject: _Subject) -> None:
        assert subject.check is not None
        algorithm = subject.check.algorithm
        try:
            digest = await self._sums.digest(self._digests, subject.layout, algorithm)
            if digest is not None:
                await self._settle(subject, digest)
        finally:
            subject.queued = False
            subject.held = 0

    # --- what comes of it

    async def _settle(self, subject: _Subject, computed: bytes) -> None:
        check, layout = subject.check, subject.layout
        assert check is not None
        by_etag = check.algorithm == ETAG_ALGORITHM
        if computed == check.expected:
            subject.settled = self._clock.seconds()
            subject.runs = None
            self._outcomes.labels("verified").inc()
            if by_etag:
                self._trust.verified(layout.key)
            self._records.judge(layout, Verdict.VERIFIED)
        elif self._is_checkable(subject):
            await self._fail(subject, check, computed)

    async def _fail(self, subject: _Subject, check: Check, computed: bytes) -> None:
        layout = subject.layout
        subject.failures += 1
        subject.start_over()
        self._outcomes.labels("failed").inc()
        _log.error(
            "{bucket}/{key} is not what its store says: {algorithm} {computed} instead "
            "of {expected}; it is dropped",
            bucket=layout.key.bucket.decode("utf-8", "replace"),
            key=layout.key.key.decode("utf-8", "replace"),
            algorithm=check.algorithm,
            computed=computed.hex(),
            expected=check.expected.hex(),
        )
        by_etag = check.algorithm == ETAG_ALGORITHM
        if by_etag and subject.failures == 1:
            self._doubt_etags(layout)
        await self._drop(layout, self._crcs if subject.crc else self._digests)
        if subject.failures < TRIES:
            await self._records.forget(*record_ids(layout.key))
            return
        self._records.disown(layout.key)
        if not by_etag or self._trust.proven(layout.key):
            self._records.judge(layout, Verdict.FAILED)

    def _doubt_etags(self, layout: Layout) -> None:
        self._trust.failed(layout.key)
        if not self._trust.worth_trying(layout.key):
            _log.warn(
                "The ETags in {bucket} do not seem to be MD5s: objects there are not "
                "checked by them any more",
                bucket=layout.key.bucket.decode("utf-8", "replace"),
            )

    async def _drop(self, layout: Layout, lane: Lane) -> None:
        for index in range(layout.count):
            chunk_id = layout.chunk(index).id
            if self._held.where(chunk_id):
                await self._held.drop(chunk_id)
            if index % _PROBES == _PROBES - 1:
                await lane.rest()

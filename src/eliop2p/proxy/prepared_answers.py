"""
Answers that are ready before they are asked for: hits in memory, by the very bytes of
the request.

Whoever reads the same small object again and again sends the same bytes each time, and
nothing of what they mean changes from one time to the next: not where the request goes,
not what it asks for, not the head of the answer but for its date and name. So an answer
that the store need not be asked about, and whose bytes are all in memory, is remembered
as it went out, with everything that it rested on. It is given again as long as all of
that holds.
"""

import random
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from eliop2p.base.metrics import Metrics
from eliop2p.base.request_ids import request_ids
from eliop2p.http1.message import ResponseHead
from eliop2p.interfaces import IBodySender, IChunkViews, IHeldChunks
from eliop2p.model.ranges import Interval
from eliop2p.model.record import ObjectRecord, Verdict
from eliop2p.model.span import Span
from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails
from eliop2p.proxy.one_read import Read
from eliop2p.proxy.prepared import Prepared, Remainder, cut_head
from eliop2p.proxy.records import Records
from eliop2p.proxy.trust import Trust

MAX_BYTES = 8 * 1024 * 1024
"""
The most memory for what is remembered, in bytes.
"""

MAX_HEAD = 4 * 1024
"""
The longest head of a request or an answer that is remembered, in bytes.
"""

_ENTRY_BYTES = 1024
_MAX_SEEN = 16_384
_SETTLED_AFTER = 64
_SETTLED = (Verdict.VERIFIED, Verdict.UNOFFERED)
_ONLY_DATE = (b"date",)

AtOnce = Callable[[bytes, IBodySender], "Deferred[None] | None"]
"""
What :meth:`PreparedAnswers.answer` is.
"""


def not_at_once(raw: bytes, sender: IBodySender) -> "Deferred[None] | None":  # noqa: ARG001
    """
    Know no answer to any request.
    """
    return None


ALL_SENT: Deferred[None] = succeed(None)
"""
What :meth:`PreparedAnswers.answer` gives when nothing is left to be sent.
"""


class PreparedAnswers:
    """
    Remembers answers, and gives them.

    Attributes:
        used: Bytes that it takes at most.
        given: How many answers have been given.
    """

    def __init__(
        self,
        views: IChunkViews,
        held: IHeldChunks,
        records: Records,
        *,
        trust: Trust,
        metrics: Metrics,
        trails: Trails,
        now: Callable[[], float],
        rng: random.Random,
    ) -> None:
        """
        Args:
            views: Shows chunks in memory.
            held: Opens them.
            records: What is believed of objects.
            trust: Knows how long the store's last word counts.
            metrics: Where answers are counted.
            trails: Where it is kept how requests were answered.
            now: Seconds since the epoch.
            rng: For request ids.
        """
        self.used = 0
        self.given = 0
        self._view = views.view
        self._used = held.used
        self._held = held
        self._records = records
        self._still = records.still
        self._trust = trust
        self._metrics = metrics
        self._trails = trails
        self._note = trails.note
        self._now = now
        self._ids = request_ids(rng)
        self._table: OrderedDict[bytes, Prepared] = OrderedDict()
        self._seen: set[int] = set()
        self._counted = self._bytes = self._noted = 0
        self._bounds = metrics.request_seconds.bounds
        self._spread = [0] * (len(self._bounds) + 1)
        self._seconds = 0.0
        metrics.before_reading(self._count)

    def __len__(self) -> int:
        return len(self._table)

    def prepared(self, raw: bytes) -> Prepared | None:
        """
        Give what is remembered of a request.
        """
        return self._table.get(raw)

    def answer(self, raw: bytes, sender: IBodySender) -> "Deferred[None] | None":
        """
        Answer a request, if there is an answer to it.

        Args:
            raw: All that has come since the last answer.
            sender: The client.

        Returns:
            None when there is no answer; :data:`ALL_SENT` when it is on its way;
            otherwise fires when it is.
        """
        found = self._table.get(raw)
        if found is None:
            return None
        started = self._now()
        body = None
        if found.since <= started < found.until and self._still(
            found.record_id, found.belief
        ):
            body = self._body_of(found, started)
        if body is None:
            self.used -= self._table.pop(raw).size
            return None
        if not found.expires - 1 <= started < found.expires:
            found.write(started)
        name = next(self._ids)
        head = b"".join((found.opening, name, found.head[3]))
        taken = sender.offer(head, body)
        seconds = self._now() - started
        if taken != len(head) + found.length:
            rest = Remainder(found, head, name, started, seconds)
            return Deferred.fromCoroutine(self._send_rest(rest, sender, taken))
        self.given += 1
        self._bytes += found.length
        self._spread[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds
        trail = found.trail
        if trail is not None:
            self._note((trail, name, started, seconds))
            self._noted += trail.kept
            if not self.given % _SETTLED_AFTER or self._trails.watcher is not None:
                self._settle(trail, name, started, seconds)
        return ALL_SENT

    def _body_of(self, found: Prepared, now: float) -> Span | None:
        body, valid = found.shown, found.valid
        if body is not None and valid.since <= now < valid.until:
            self._used(found.chunk_id)
            return body
        shown = self._view(found.chunk_id, found.start, found.first_stop)
        if shown is not None:
            found.keep(shown)
        return shown

    def _settle(
        self, trail: RequestTrail, name: bytes, started: float, seconds: float
    ) -> None:
        """
        Have the trails counted, and tell who watches of the last.
        """
        noted, self._noted = self._noted, 0
        self._trails.settle(noted)
        if self._trails.watcher is not None:
            self._trails.watcher(trail.like(name.decode(), started, seconds))

    def learn(
        self, read: Read, record: ObjectRecord, part: Interval, fresh: ResponseHead
    ) -> None:
        """
        Remember an answer that has just been given, if it can be given again.

        Args:
            read: The read that was answered.
            record: The version.
            part: The bytes of it that were sent.
            fresh: What stood for the store's word.
        """
        raw = read.exchange.raw
        if not raw or not self._is_steady(read, record, part, fresh):
            return
        if hash(raw) not in self._seen:
            # Signed requests mostly differ from each other and come only once.
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            self._seen.add(hash(raw))
            return
        made = self._make(read, record, part, fresh)
        if made is None:
            return
        old = self._table.pop(raw, None)
        self.used += made.size - (old.size if old else 0)
        self._table[raw] = made
        while self.used > MAX_BYTES:
            _, oldest = self._table.popitem(last=False)
            self.used -= oldest.size

    def _is_steady(
        self, read: Read, record: ObjectRecord, part: Interval, fresh: ResponseHead
    ) -> bool:
        """
        Tell whether nothing but time and what is held in memory went into an answer.
        """
        exchange = read.exchange
        source = (b"X-Elio-Source", b"memory=%d disk=0 pending=0" % part.length)
        first = part.start // record.chunk_size
        return (
            len(exchange.raw) <= MAX_HEAD
            and len(exchange.written) <= MAX_HEAD
            and not exchange.close_after
            and not read.fixed
            and source in exchange.added
            and (part.stop - 1) // record.chunk_size == first
            and record.verdict in _SETTLED
            and tuple(name.lower() for name, _ in fresh.headers) == _ONLY_DATE
        )

    def _make(
        self, read: Read, record: ObjectRecord, part: Interval, fresh: ResponseHead
    ) -> Prepared | None:
        exchange, record_id = read.exchange, read.plan.record_id
        belief = self._records.belief(record_id)
        counts = self._trust.lasts(read.who, record)
        pieces = cut_head(
            exchange.written, fresh.headers[0][1], exchange.request_id.encode()
        )
        if counts is None or pieces is None or belief != record.encode():
            return None
        since, until = counts
        chunk = record.layout.chunk(part.start // record.chunk_size)
        trail = exchange.trail
        return Prepared(
            record_id,
            belief,
            since,
            until if read.until is None else min(until, read.until),
            chunk.id,
            part.start - chunk.start,
            part.length,
            pieces,
            trail,
            _ENTRY_BYTES
            + len(exchange.raw)
            + len(exchange.written)
            + (trail.size if trail else 0),
        )

    def _count(self) -> None:
        """
        Add what has been counted here to the metrics.
        """
        metrics, hits = self._metrics, self.given - self._counted
        metrics.requests.labels("GET", "hit", "2xx").inc(hits)
        metrics.auth.labels("trusted").inc(hits)
        metrics.served_bytes.labels("memory").inc(self._bytes)
        metrics.first_byte_seconds.add(self._spread, self._seconds)
        metrics.request_seconds.add(self._spread, self._seconds)
        self._counted, self._bytes = self.given, 0
        self._spread = [0] * len(self._spread)
        self._seconds = 0.0

    async def _send_rest(
        self, rest: Remainder, sender: IBodySender, taken: int
    ) -> None:
        """
        Go on with a client that does not take it all at once.
        """
        with rest.noted(self._trails, self._now):
            await rest.send(self._held, sender, taken)
        self.given += 1
        self._bytes += rest.answer.length
        self._metrics.first_byte_seconds.observe(rest.first)
        self._metrics.request_seconds.observe(self._now() - rest.started)

"""
Reads of objects: authorised by the store, answered from chunks.

Every read, hit or miss, first asks the store with the client's own signed request. When
a version of the object is believed in, an unsigned If-None-Match is added: a 304 means
that the client may read the object and that the belief holds.
"""

import random

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    OriginError,
    OriginUnavailable,
    WrongAnswer,
)
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IChunkParts, IChunkReader, IOrigin, IOriginResponse
from eliop2p.model.chunk import MIB
from eliop2p.model.ranges import Interval
from eliop2p.model.record import ObjectRecord
from eliop2p.proxy.at_hand import AtHand
from eliop2p.proxy.body_stream import BodyStream
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.heads import (
    Settle,
    conditions,
    confirms,
    hit_head,
    insists_on,
    learn_settled,
    onward,
    parse_kept,
)
from eliop2p.proxy.integrity import ObjectChecks
from eliop2p.proxy.last_call import LastCall
from eliop2p.proxy.last_known import LastKnown
from eliop2p.proxy.one_read import Read, begin_read, origin_of, wanted_of
from eliop2p.proxy.origin_reads import ClientOrigin, check_part
from eliop2p.proxy.outlook import at_rest, in_chunks, outlook
from eliop2p.proxy.part_style import PartStyles
from eliop2p.proxy.parts import PartReader, Tap, send_part
from eliop2p.proxy.reading import AHEAD, BodyReader
from eliop2p.proxy.records import Records
from eliop2p.proxy.relay import ask_origin, relay_answer
from eliop2p.proxy.request import ReadObject
from eliop2p.proxy.trust import Trust

STREAMED_BYTES = 160 * MIB
"""
Objects of up to so many bytes are read from the store in one answer. Of larger ones
only the first chunk is, and the rest in ranges side by side: what the store has sent
ahead when the answer is cut, up to 3 MiB, is then less than 2% of the object.
"""

_log = Logger()


class ObjectReads:
    """
    Answers reads of objects through the cache.
    """

    def __init__(
        self,
        origin: IOrigin,
        reader: IChunkReader,
        parts: IChunkParts,
        records: Records,
        *,
        at_hand: AtHand,
        checks: ObjectChecks,
        metrics: Metrics,
        clock: IReactorTime,
        trust: Trust,
        settle: Settle,
        chunk_size: int,
        rng: random.Random,
    ) -> None:
        """
        Args:
            origin: The store.
            reader: Opens chunks.
            parts: Opens and keeps parts of chunks.
            records: What is believed of objects.
            at_hand: Sends what is in memory.
            checks: Holds objects against the store's checksums.
            metrics: Where outcomes are counted.
            clock: Tells the seconds since the epoch, and when a signature ends.
            trust: Knows for whom the store's last word still counts.
            settle: What the store takes a range for.
            chunk_size: Length of a chunk in bytes.
            rng: Mixes the order in which nodes get the chunks of large objects.
        """
        self._origin = origin
        self._reader, self._parts = reader, parts
        self._records = records
        self._at_hand = at_hand
        self._checks = checks
        self._metrics = metrics
        self._clock = clock
        self._trust = trust
        self._settle = settle
        self._chunk_size = chunk_size
        self._rng = rng
        self.last_known = LastKnown(records, trust, checks, settle, PartStyles())

    async def answer(self, exchange: Exchange, plan: ReadObject) -> str:
        """
        Answer a read.

        Returns:
            What the cache had to do with it: hit, partial, miss or bypass.

        Raises:
            ElioError: The bytes cannot be had.
        """
        found = await self._records.find(plan.record_id, plan.key)
        read = begin_read(exchange, plan, found.turn, self._trust, self._clock)
        try:
            return await self._answer(read, found.record)
        except (OriginError, ChunkUnavailable, CorruptChunk) as error:
            if exchange.begun and isinstance(error, WrongAnswer):
                # Perhaps of what was believed before: the next read asks anew.
                await self._records.forget(plan.record_id)
            if exchange.begun or found.record is None:
                raise
            _log.info(
                "Reading {target} anew: {error}",
                target=plan.key.key.decode("utf-8", "replace"),
                error=error,
            )
            if not isinstance(error, OriginUnavailable):
                await self._records.forget(plan.record_id)
            return await self._first_read(read)
        finally:
            if found.turn:
                self._records.release(plan.record_id)

    async def _answer(self, read: Read, record: ObjectRecord | None) -> str:
        if record is None or not (record.whole or read.plan.range is not None):
            return await self._first_read(read)
        if self._checks.distrusts(record):
            return await self._past_cache(read, record)
        kept = parse_kept(record.head)
        if not insists_on(read.plan, record, kept):
            # The client knows better, or will be told that it does not.
            return await self._first_read(read)
        return await self._revalidate(read, record, kept)

    async def _revalidate(
        self, read: Read, record: ObjectRecord, kept: ResponseHead
    ) -> str:
        plan = self._settle(read.plan, read.head, record.version.size)
        if plan is None or not (record.whole or plan.range is not None):
            return await self._first_read(read)
        if plan is not read.plan:
            read = attrs.evolve(read, plan=plan)
        head = read.head.adding(*conditions(read.plan, record, kept))
        response = await self._trust.confirm(
            read.who,
            record,
            lambda: self._ask(head, read),
            lambda said: confirms(kept, said),
        )
        if isinstance(response, ResponseHead):
            return await self._send_known(read, record, kept, response)
        if response.head.status in (304, 412):
            response.abort()
            return await self._first_read(read)
        return await self._take(read, response)

    async def _past_cache(self, read: Read, record: ObjectRecord) -> str:
        """
        Pass on what the store sends of a version that failed its checks, until there is
        another version.
        """
        response = await self._ask(read.head, read)
        learnt = self._learn(read, response.head)
        if learnt is None or learnt[0].version == record.version:
            return await self._relay(read, response)
        return await self._take(read, response)

    async def _first_read(self, read: Read) -> str:
        try:
            response = await self._ask(read.head, read)
        except OriginUnavailable:
            known = await self.last_known.find(read.plan, read.head, other=True)
            if known is None:
                raise
            self._metrics.auth.labels("stale").inc()
            read = attrs.evolve(read, plan=known.plan)
            return await self._send_known(read, known.record, known.kept, known.stands)
        return await self._take(read, response)

    async def _ask(self, head: RequestHead, read: Read) -> IOriginResponse:
        try:
            response = await ask_origin(self._origin, head, None, read.exchange)
        except OriginError:
            self._metrics.auth.labels("unreachable").inc()
            raise
        self.last_known.styles.note(read.plan.key.store, response.head)
        return response

    async def _take(self, read: Read, response: IOriginResponse) -> str:
        """
        Use an answer that may carry bytes of the object.
        """
        head = onward(response.head)
        learnt = self._learn(read, head)
        if learnt is None:
            return await self._relay(read, response)
        record, part = learnt
        self._metrics.auth.labels("granted").inc()
        record = self._records.learn(read.plan.record_id, record)
        self._trust.note(read.who, record, read.began)
        if not part.length:
            return await self._relay(read, response)
        layout = record.layout
        if not in_chunks(self._parts, layout, part, fixed=read.fixed):
            tap = Tap(self._reader, self._parts, layout, part)
            return await self._pass_on(read, response, tap, part)
        origin = origin_of(read, record, part, self._origin, self._clock)
        small = record.version.size <= STREAMED_BYTES or read.fixed
        first = layout.chunk(part.start // self._chunk_size)
        over_soon = LastCall(self._clock, read.until).due
        stop = part.stop if small or over_soon else min(first.interval.stop, part.stop)
        if stop < part.stop:
            response.narrow()
        stream = BodyStream(response, part)
        origin.attach(stream, stop)
        if first.start < part.start and first.interval.stop < stop:
            # It is read from its beginning, which is not in this answer.
            stream.skip(first)
        # What one answer of the store brings is claimed at once: a chunk that another
        # node read meanwhile would have left the store twice.
        claimed = min(stop - part.start, STREAMED_BYTES) // self._chunk_size
        return await self._send(
            read,
            record,
            part,
            head=head,
            origin=origin,
            claimed=claimed,
        )

    async def _send_known(
        self,
        read: Read,
        record: ObjectRecord,
        kept: ResponseHead,
        fresh: ResponseHead,
    ) -> str:
        layout, part = record.layout, wanted_of(read.plan, record)
        if not in_chunks(self._parts, layout, part, fixed=read.fixed):
            return await self._claim(read, record, part)
        if not (read.lasts or at_rest(self._parts, layout, part)):
            return await self._first_read(read)
        ranged = None if read.plan.range is None else part
        style = self.last_known.styles.of(record.key.store)
        head = hit_head(kept, fresh, record.version, ranged, style)
        if not part.length:
            read.exchange.begin(head, (b"X-Cache", b"HIT"))
            await read.exchange.flush()
            return "hit"
        if await self._at_hand.send(read, record, part, head, fresh):
            return "hit"
        origin = origin_of(read, record, part, self._origin, self._clock)
        return await self._send(
            read,
            record,
            part,
            head=head,
            origin=origin,
            # A signed range is to be had as one stream only, in order.
            mixed=None if read.fixed else self._rng,
        )

    async def _claim(self, read: Read, record: ObjectRecord, part: Interval) -> str:
        """
        Ask for a range that nobody has; others who want it wait for what comes.
        """
        tap = Tap(self._reader, self._parts, record.layout, part)
        try:
            response = await self._ask(read.head, read)
            learnt = self._learn(read, response.head)
            if learnt and (learnt[0].layout, learnt[1]) == (record.layout, part):
                return await self._pass_on(read, response, tap, part)
        finally:
            tap.close()
        return await self._take(read, response)

    async def _pass_on(
        self, read: Read, response: IOriginResponse, tap: Tap, part: Interval
    ) -> str:
        """
        Send what the store does, and keep it.
        """
        if read.turn:
            self._records.release(read.plan.record_id)
        exchange, before = read.exchange, read.exchange.sent
        if not exchange.begun:
            exchange.begin(
                onward(response.head),
                (b"X-Cache", b"MISS"),
                (b"X-Elio-Source", b"memory=0 disk=0 pending=%d" % part.length),
            )
        try:
            await send_part(exchange, response, tap)
        finally:
            self._count("origin", exchange.sent - before)
        return "miss"

    async def _go_on(self, read: Read, record: ObjectRecord, part: Interval) -> None:
        """
        Read with the client's own request what others have not brought.
        """
        head = read.head
        if head.get(b"if-match") is None:
            head = head.adding((b"If-Match", record.version.etag))
        response = await self._ask(head, read)
        try:
            check_part(response.head, part, record.version)
        except OriginError:
            response.abort()
            raise
        tap = Tap(self._reader, self._parts, record.layout, part)
        await self._pass_on(read, response, tap, part)

    async def _send(
        self,
        read: Read,
        record: ObjectRecord,
        part: Interval,
        *,
        head: ResponseHead,
        origin: ClientOrigin,
        claimed: int = 0,
        mixed: random.Random | None = None,
    ) -> str:
        layout = record.layout
        outcome, sources = outlook(self._parts, layout, part)
        whole = self._reader
        reader = PartReader(whole, self._parts, part) if read.fixed else whole
        body = BodyReader(
            reader,
            layout,
            origin,
            self._count,
            self._checks.follow(read.plan.record_id, record),
            ahead=max(claimed, AHEAD),
            held=outcome == "hit",
            mixed=mixed,
        )
        last_call = LastCall(self._clock, None if read.fixed else read.until)
        last_call.arm(origin, self._reader, layout, part)
        try:
            await body.send(
                read.exchange,
                part,
                lambda: read.exchange.begin(
                    head,
                    (b"X-Cache", outcome.upper().encode()),
                    (b"X-Elio-Source", sources),
                ),
            )
        except (ChunkUnavailable, OriginError):
            # Of what others are reading nothing is sure; but this request is good.
            if not (read.fixed and read.lasts and read.plan.range):
                raise
            await self._go_on(read, record, part)
        finally:
            last_call.disarm()
            origin.release()
        return outcome

    def _count(self, source: str, length: int) -> None:
        self._metrics.served_from[source].inc(length)

    def _learn(
        self, read: Read, head: ResponseHead
    ) -> tuple[ObjectRecord, Interval] | None:
        return learn_settled(self._settle, read.plan, read.head, head, self._chunk_size)

    async def _relay(self, read: Read, response: IOriginResponse) -> str:
        if read.turn:
            self._records.release(read.plan.record_id)
        if response.head.status in (401, 403):
            self._metrics.auth.labels("refused").inc()
        await relay_answer(read.exchange, response, (b"X-Cache", b"BYPASS"))
        self._metrics.served_bytes.labels("relay").inc(read.exchange.sent)
        return "bypass"

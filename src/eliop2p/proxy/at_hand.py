"""
Small hits in memory: sent in one go, without all that is needed for chunks which may
have to come from elsewhere.
"""

from collections.abc import Callable

from eliop2p.base.errors import ChunkUnavailable
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import ResponseHead
from eliop2p.interfaces import IChunkViews, IHeldChunks
from eliop2p.model.chunk import Chunk
from eliop2p.model.ranges import Interval
from eliop2p.model.record import ObjectRecord
from eliop2p.model.trail import ChunkTrail
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.integrity import ObjectChecks
from eliop2p.proxy.one_read import Read
from eliop2p.proxy.prepared import AT_ONCE
from eliop2p.proxy.prepared_answers import PreparedAnswers


class AtHand:
    """
    Sends parts of objects that lie in one chunk in memory.
    """

    def __init__(
        self,
        views: IChunkViews,
        held: IHeldChunks,
        checks: ObjectChecks,
        prepared: PreparedAnswers,
        metrics: Metrics,
    ) -> None:
        """
        Args:
            views: Shows chunks in memory.
            held: Opens them.
            checks: Is told of what was sent.
            prepared: Remembers answers that can be given again.
            metrics: Where bytes are counted.
        """
        self._views = views
        self._held = held
        self._checks = checks
        self._prepared = prepared
        self._served = metrics.served_bytes.labels("memory")

    async def send(
        self,
        read: Read,
        record: ObjectRecord,
        part: Interval,
        head: ResponseHead,
        fresh: ResponseHead,
    ) -> bool:
        """
        Answer a read, if what it asks for is at hand.

        Args:
            read: The read.
            record: The version.
            part: The bytes of it that are wanted; not empty.
            head: The head of the answer.
            fresh: What the store said, or what stands for it.

        Returns:
            Whether the read has been answered.

        Raises:
            twisted.internet.error.ConnectionLost: The client went.
        """
        index = part.start // record.chunk_size
        if read.fixed or part.length > AT_ONCE:
            return False
        if (part.stop - 1) // record.chunk_size != index:
            return False
        chunk, exchange = record.layout.chunk(index), read.exchange
        start = part.start - chunk.start
        span = self._views.view(chunk.id, start, start + part.length)
        if span is None:
            return False
        sent = self._checks.follow(read.plan.record_id, record)
        exchange.begin(
            head,
            (b"X-Cache", b"HIT"),
            (b"X-Elio-Source", b"memory=%d disk=0 pending=0" % part.length),
        )
        taken = exchange.offer(span)
        # Nothing may refer to it when somebody else has his turn.
        del span
        if taken < part.length:
            await self._go_on(exchange, chunk, start + taken, part.length - taken)
        self._note(exchange, chunk, part.length, sent)
        self._prepared.learn(read, record, part, fresh)
        return True

    async def _go_on(
        self, exchange: Exchange, chunk: Chunk, start: int, length: int
    ) -> None:
        handle = await self._held.inspect(chunk.id)
        if handle is None:
            raise ChunkUnavailable("a chunk was dropped while it was sent")
        try:
            await exchange.send(handle.span(start, length))
        finally:
            handle.close()

    def _note(
        self,
        exchange: Exchange,
        chunk: Chunk,
        length: int,
        sent: Callable[[Chunk], None],
    ) -> None:
        self._served.inc(length)
        sent(chunk)
        if exchange.trail is not None:
            values = (chunk.index, length, "memory")
            now = exchange.seconds()
            exchange.trail.add(
                ChunkTrail(*values, joined=False, waited=0.0, arrival=None, ended=now)
            )

"""
What the proxy does with each request.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger

from eliop2p.base.errors import (
    BadRequest,
    Busy,
    ElioError,
    ForbiddenTarget,
    OriginUnavailable,
    WrongAnswer,
)
from eliop2p.base.metrics import Metrics
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IOrigin
from eliop2p.model.chunk import ObjectId, ObjectKey
from eliop2p.model.store import Place, Stores
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.gate import Gate
from eliop2p.proxy.heads import contradicts, error_answer
from eliop2p.proxy.objects import ObjectReads
from eliop2p.proxy.progress import PREHEAT, Progress
from eliop2p.proxy.records import Records
from eliop2p.proxy.refusals import refusal_answer
from eliop2p.proxy.relay import ask_origin, relay_answer
from eliop2p.proxy.request import ReadObject, Relay, classify, forwarded, record_ids
from eliop2p.proxy.routing import find_route, find_tunnel, not_forwarding
from eliop2p.proxy.trust import FAILS, Trust
from eliop2p.proxy.tunnel import Tunnels
from eliop2p.signing.refusal import Refused

_log = Logger()

_METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "CONNECT"))


def _what_went_wrong(error: ElioError) -> tuple[int, str, str]:
    """
    Choose a status and a code; S3 clients retry those of 500 and more.
    """
    if isinstance(error, ForbiddenTarget):
        return 403, "AccessDenied", str(error)
    if isinstance(error, BadRequest):
        return error.status, "InvalidRequest", str(error)
    if isinstance(error, Busy):
        return 503, "SlowDown", str(error)
    if isinstance(error, OriginUnavailable):
        return 503, "ServiceUnavailable", "The object store cannot be reached."
    if isinstance(error, WrongAnswer):
        return 502, "InternalError", "The object store gave an unusable answer."
    return 503, "SlowDown", "The object cannot be read at the moment."


class ProxyService:
    """
    Answers requests: reads of objects through the cache, all else by the store.
    """

    def __init__(
        self,
        origin: IOrigin,
        reads: ObjectReads,
        records: Records,
        metrics: Metrics,
        *,
        gate: Gate,
        trust: Trust,
        seconds: Callable[[], float],
        stores: Stores,
        tunnels: Tunnels | None,
    ) -> None:
        """
        Args:
            origin: The stores.
            reads: Answers reads of objects.
            records: What is believed of objects.
            gate: Lets requests in.
            trust: Knows for whom the store's last word still counts.
            metrics: Where requests are counted.
            seconds: A monotonic clock.
            stores: What the node may reach, the main store's name being the origin's.
            tunnels: Makes tunnels; None for a node that is no forward proxy.
        """
        self._origin = origin
        self._reads = reads
        self._records = records
        self._metrics = metrics
        self._gate = gate
        self._trust = trust
        self._seconds = seconds
        self._stores = stores
        self._tunnels = tunnels

    def answer(self, exchange: Exchange) -> "Deferred[None]":
        """
        Answer one request. Fails only when the connection must be cut.
        """
        return Deferred.fromCoroutine(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            outcome = await self._serve(exchange)
        except (ConnectionLost, ConnectionDone):
            raise
        except Refused as error:
            outcome = "bypass"
            await self._refuse(exchange, error)
        except ElioError as error:
            self._note(exchange, error)
            outcome = "bypass"
            if exchange.begun:
                raise
            await self._explain(exchange, error)
        self._measure(exchange, outcome)

    async def _serve(self, exchange: Exchange) -> str:
        if exchange.head.method == b"CONNECT":
            return await self._connect(exchange)
        forward = self._tunnels is not None
        route = find_route(exchange.head, self._stores, forward=forward)
        exchange.head = self._watched(exchange, route.head)
        if exchange.progress is not None or not self._gate.steady:
            exchange.raw = b""
        place = self._gate.admit(exchange, route.place)
        plan = classify(exchange.head, place)
        try:
            if isinstance(plan, ReadObject):
                return await self._reads.answer(exchange, plan)
            if exchange.progress is not None:
                raise BadRequest("X-Elio-Preheat goes with a plain GET of an object")
            return await self._relay(exchange, plan, place)
        except OriginUnavailable as error:
            checked = exchange.checked
            if checked is None or checked.refused is None or exchange.begun:
                raise
            # The store never got the end of the body: that is why.
            raise checked.refused from error

    def _watched(self, exchange: Exchange, head: RequestHead) -> RequestHead:
        """
        Take out of a request what asks for the progress of a read.
        """
        if head.get(PREHEAT) is None:
            return head
        exchange.progress = Progress()
        return head.without(frozenset((PREHEAT,)))

    async def _connect(self, exchange: Exchange) -> str:
        if self._tunnels is None:
            raise not_forwarding()
        if exchange.body is not None:
            raise BadRequest("a CONNECT has no body")
        store = find_tunnel(exchange.head, self._stores)
        await self._tunnels.open(exchange, store)
        return "bypass"

    def _measure(self, exchange: Exchange, outcome: str) -> None:
        method = exchange.head.method.decode("latin-1")
        self._metrics.requests.labels(
            method if method in _METHODS else "other",
            outcome,
            f"{exchange.status // 100}xx",
        ).inc()
        started = exchange.started
        self._metrics.first_byte_seconds.observe(exchange.answered - started)
        self._metrics.request_seconds.observe(self._seconds() - started)

    async def _relay(self, exchange: Exchange, plan: Relay, place: Place) -> str:
        try:
            response = await ask_origin(
                self._origin, forwarded(exchange.head), exchange.body, exchange
            )
        except OriginUnavailable:
            await self._wrote(plan)
            if not await self._stood_in(exchange, place):
                raise
            return "hit"
        except BaseException:
            # Whether the store did what was asked is unknown, also when the client
            # has gone and waits no more.
            await self._wrote(plan)
            raise
        if not 300 <= response.head.status < 500:
            await self._wrote(plan)
        if plan.shows is not None:
            await self._compare(plan.shows, response.head)
        if response.head.status in FAILS and await self._stood_in(exchange, place):
            response.abort()
            return "hit"
        await relay_answer(exchange, response, (b"X-Cache", b"BYPASS"))
        self._metrics.served_bytes.labels("relay").inc(exchange.sent)
        return "bypass"

    async def _stood_in(self, exchange: Exchange, place: Place) -> bool:
        """
        Answer a HEAD in the place of a store that cannot.

        Returns:
            Whether that was possible.
        """
        if exchange.head.method != b"HEAD" or not self._trust.outlives:
            return False
        known = await self._reads.last_known.answer_head(
            forwarded(exchange.head), place
        )
        if known is None:
            return False
        self._metrics.auth.labels("stale").inc()
        exchange.begin(known, (b"X-Cache", b"HIT"))
        await exchange.flush()
        return True

    async def _wrote(self, plan: Relay) -> None:
        if plan.writes is not None:
            await self._forget(*record_ids(plan.writes))

    async def _compare(self, key: ObjectKey, shown: ResponseHead) -> None:
        """
        Forget what the store has just said to be otherwise. What is not in memory any
        more the next read holds against the store; only its last word could count.
        """
        if shown.status not in (200, 404):
            return
        for record_id in record_ids(key):
            record = self._records.recent(record_id, key)
            if record is None:
                self._trust.drop(record_id)
            elif contradicts(record, shown):
                await self._forget(record_id)

    async def _forget(self, *ids: ObjectId) -> None:
        self._trust.drop(*ids)
        await self._records.forget(*ids)

    def _note(self, exchange: Exchange, error: ElioError) -> None:
        self._metrics.errors.labels(type(error).__name__).inc()
        if isinstance(error, ForbiddenTarget):
            self._metrics.forbidden.labels(error.why).inc()
        _log.warn(
            "Request {request_id} {method} {path} failed: {error}",
            request_id=exchange.request_id,
            method=exchange.head.method.decode("latin-1"),
            path=exchange.head.target.partition(b"?")[0].decode("latin-1"),
            error=error,
        )

    async def _refuse(self, exchange: Exchange, error: Refused) -> None:
        self._metrics.auth.labels("refused").inc()
        _log.info(
            "Request {request_id} {method} {path} was refused: {code}",
            request_id=exchange.request_id,
            method=exchange.head.method.decode("latin-1"),
            path=exchange.head.target.partition(b"?")[0].decode("latin-1"),
            code=error.code,
        )
        await self._answer_alone(exchange, *refusal_answer(error, exchange.request_id))

    async def _explain(self, exchange: Exchange, error: ElioError) -> None:
        status, code, message = _what_went_wrong(error)
        answer = error_answer(status, code, message, exchange.request_id)
        await self._answer_alone(exchange, *answer)

    async def _answer_alone(
        self, exchange: Exchange, head: ResponseHead, body: bytes
    ) -> None:
        """
        Answer without the store.
        """
        exchange.begin(head, (b"X-Cache", b"BYPASS"))
        if exchange.head.method == b"HEAD":
            await exchange.flush()
        else:
            await exchange.send(memoryview(body))

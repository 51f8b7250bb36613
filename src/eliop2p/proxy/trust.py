"""
What the store said a moment ago, and for whom it still counts.

Where the node itself decides who may read, what the store says of an object counts for
everybody who is let in. Where the store decides, its word counts for the very request
that it answered, and only if the operator wants it to. Where nobody decides, what was
last known stands while the store cannot be reached (RFC 9111, section 4.2.4).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import attrs
from twisted.internet.defer import Deferred

from eliop2p.base.errors import OriginUnavailable
from eliop2p.base.metrics import Metrics
from eliop2p.http1.dates import http_date
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.signature import signed_headers
from eliop2p.interfaces import IOriginResponse
from eliop2p.model.chunk import ObjectId
from eliop2p.model.record import ObjectRecord

MAX_REMEMBERED = 65_536
"""
How many answers of the store are remembered.
"""

FAILS = frozenset((500, 502, 503, 504))
"""
What a store answers that cannot answer (RFC 5861, section 4).
"""

_COUNTS = (
    *(b"authorization", b"host", b"date", b"content-type", b"content-md5"),
    *(b"user-agent", b"referer", b"if-match", b"x-amz-", b"x-oss-"),
)
"""
How the names of headers begin that may change what a store answers, signed or not.
"""


@attrs.frozen
class Authority:
    """
    Under what the store answered: the same authority gets the same answer.

    Attributes:
        record_id: About which object.
        request: The one request that it answered; empty when its word counts for all.
    """

    record_id: ObjectId
    request: bytes = b""


def request_authority(record_id: ObjectId, head: RequestHead) -> Authority | None:
    """
    Name the authority of one signed request: method, target, signed headers, signature.

    Returns:
        None for a request without a signature, and for one signed in a way not known.
    """
    covered = signed_headers(head)
    signed = b"ignature" in head.target or head.get(b"authorization") is not None
    if covered is None or not signed:
        return None
    digest = hashlib.sha256(record_id + head.method + b" " + head.target)
    for name, value in head.headers:
        lowered = name.lower()
        if lowered in covered or lowered.startswith(_COUNTS):
            digest.update(b"\n" + lowered + b":" + value)
    return Authority(record_id, digest.digest())


def node_authority(record_id: ObjectId, _: RequestHead) -> Authority | None:
    """
    Name the authority of the node itself.
    """
    return Authority(record_id)


@attrs.frozen
class _Word:
    """
    What the store said.

    Attributes:
        when: When it was asked, in seconds of the clock.
        record: What it confirmed.
    """

    when: float
    record: bytes


class Trust:
    """
    Remembers for whom the store has confirmed which version, and when.

    Attributes:
        outlives: Whether what is known counts while the store cannot be reached.
    """

    def __init__(
        self,
        authority: Callable[[ObjectId, RequestHead], Authority | None],
        now: Callable[[], float],
        metrics: Metrics,
        *,
        fresh: float,
        stale: float,
        outlives: bool = False,
    ) -> None:
        """
        Args:
            authority: Names under what a request is answered.
            now: Seconds since the epoch.
            metrics: Where outcomes are counted.
            fresh: Seconds for which the store is not asked again.
            stale: Seconds for which its word counts while it cannot be reached.
            outlives: Whether what is known of an object counts while it cannot be
                reached, whenever and through whichever node it was learnt.
        """
        self._authority = authority
        self._now = now
        self._metrics = metrics
        self._fresh = fresh
        self._stale = max(stale, fresh) if stale else 0.0
        self.outlives = outlives
        self._words: OrderedDict[Authority, _Word] = OrderedDict()
        self._dropped: dict[ObjectId, float] = {}
        self._asking: dict[Authority, list[Deferred[None]]] = {}

    def of(self, record_id: ObjectId, head: RequestHead) -> Authority | None:
        """
        Name the authority of a request, None when nothing is to be remembered for it.
        """
        if not (self._fresh or self._stale or self.outlives):
            return None
        return self._authority(record_id, head)

    def last(self, who: Authority | None, record: ObjectRecord) -> ResponseHead | None:
        """
        Give what stands for the store's answer while it cannot be reached.

        Returns:
            The head of a 304; None when nothing stands for it.
        """
        if who is None or not self.outlives:
            return self._recall(who, record, self._stale)
        word, dropped = self._words.get(who), self._dropped.get(who.record_id)
        if dropped is not None and (word is None or word.when <= dropped):
            return None
        return self._not_modified()

    def note(self, who: Authority | None, record: ObjectRecord, when: float) -> None:
        """
        Remember that the store has confirmed a version.

        Args:
            who: Under what authority.
            record: What it confirmed.
            when: When it was asked.
        """
        if who is None:
            return
        self._words[who] = _Word(when, _fingerprint(record))
        self._words.move_to_end(who)
        while len(self._words) > MAX_REMEMBERED:
            self._words.popitem(last=False)

    def lasts(
        self, who: Authority | None, record: ObjectRecord
    ) -> tuple[float, float] | None:
        """
        Tell from when until when what the store said of a version counts unasked, in
        seconds since the epoch; None when it does not now.
        """
        if self._recall(who, record, self._fresh) is None or who is None:
            return None
        when = self._words[who].when
        return when, when + self._fresh

    def drop(self, *record_ids: ObjectId) -> None:
        """
        Let nothing count that was said before now of objects that have been written.
        """
        if not (self._fresh or self._stale or self.outlives):
            return
        if len(self._dropped) + len(record_ids) > MAX_REMEMBERED:
            self._dropped.clear()
            self._words.clear()
        self._dropped |= dict.fromkeys(record_ids, self._now())

    async def confirm(
        self,
        who: Authority | None,
        record: ObjectRecord,
        ask: Callable[[], Awaitable[IOriginResponse]],
        confirms: Callable[[ResponseHead], bool],
    ) -> IOriginResponse | ResponseHead:
        """
        Find out whether a version is still the right one, if need be from the store.

        Args:
            who: Under what authority.
            record: The version.
            ask: Asks the store.
            confirms: Whether a 304 speaks of this version.

        Returns:
            The head of a 304 that says so, or what stands for it; any other answer of
            the store as it is.

        Raises:
            OriginError: The store cannot be reached.
        """
        word = await self._lately(who, record)
        if word is not None:
            self._metrics.auth.labels("trusted").inc()
            return word
        joined = self._begin(who)
        try:
            return await self._ask(who, record, ask, confirms)
        finally:
            if joined:
                self._end(who)

    async def _lately(
        self, who: Authority | None, record: ObjectRecord
    ) -> ResponseHead | None:
        """
        Give what stands for the store's answer when it has just been given, or is just
        being given to somebody else.
        """
        word = self._recall(who, record, self._fresh)
        asked = None if word is not None else self._asked(who)
        if asked is None:
            return word
        await asked
        return self._recall(who, record, self._fresh)

    async def _ask(
        self,
        who: Authority | None,
        record: ObjectRecord,
        ask: Callable[[], Awaitable[IOriginResponse]],
        confirms: Callable[[ResponseHead], bool],
    ) -> IOriginResponse | ResponseHead:
        when = self._now()
        stale = self.last(who, record)
        try:
            response = await ask()
        except OriginUnavailable:
            if stale is None:
                raise
            self._metrics.auth.labels("stale").inc()
            return stale
        if response.head.status in FAILS and stale is not None:
            response.abort()
            self._metrics.auth.labels("stale").inc()
            return stale
        if response.head.status != 304 or not confirms(response.head):
            return response
        response.abort()
        self._metrics.auth.labels("granted").inc()
        self.note(who, record, when)
        return response.head

    def _recall(
        self, who: Authority | None, record: ObjectRecord, limit: float
    ) -> ResponseHead | None:
        word = self._words.get(who) if who is not None else None
        now = self._now()
        if who is None or word is None or not 0 <= now - word.when < limit:
            return None
        overtaken = self._dropped.get(who.record_id, -1.0) >= word.when
        if overtaken or word.record != _fingerprint(record):
            return None
        return self._not_modified()

    def _not_modified(self) -> ResponseHead:
        date = (b"Date", http_date(self._now()))
        return ResponseHead(304, b"Not Modified", (date,))

    # --- one question at a time

    def _asked(self, who: Authority | None) -> "Deferred[None] | None":
        """
        Join a question that is under way.

        Returns:
            Fires when it has been answered or not; None when nobody asks.
        """
        waiting = self._asking.get(who) if who is not None else None
        if waiting is None:
            return None
        result: Deferred[None] = Deferred(
            lambda gone: waiting.remove(gone) if gone in waiting else None
        )
        waiting.append(result)
        return result

    def _begin(self, who: Authority | None) -> bool:
        """
        Begin to ask.

        Returns:
            Whether others join; then :meth:`_end` is due.
        """
        if who is None or not self._fresh or who in self._asking:
            return False
        self._asking[who] = []
        return True

    def _end(self, who: Authority | None) -> None:
        """
        The question is over, one way or another.
        """
        if who is not None:
            for waiting in self._asking.pop(who):
                waiting.callback(None)


def _fingerprint(record: ObjectRecord) -> bytes:
    """
    Tell versions, and answers about one version, apart.
    """
    return hashlib.sha256(record.version.etag + b"\n" + record.head).digest()

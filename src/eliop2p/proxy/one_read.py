"""
One read of an object on its way.
"""

import attrs
from twisted.internet.interfaces import IReactorTime

from eliop2p.http1.message import RequestHead
from eliop2p.http1.signature import usable_until
from eliop2p.interfaces import IOrigin
from eliop2p.model.ranges import Interval
from eliop2p.model.record import ObjectRecord
from eliop2p.proxy.exchange import Exchange
from eliop2p.proxy.origin_reads import ClientOrigin
from eliop2p.proxy.request import ReadObject, forwarded
from eliop2p.proxy.trust import Authority, Trust


@attrs.frozen
class Read:
    """
    One read on its way.

    Attributes:
        exchange: The client's request and its answer.
        plan: What is asked for.
        head: The request as it is sent on.
        turn: Whether it falls to this read to learn the object's record.
        until: Until when its signature may be used again, in epoch seconds; None
            without a limit.
        lasts: Whether that is long enough for further requests.
        who: Under what authority the store answers; None when its word counts once.
        began: When it began, in epoch seconds.
    """

    exchange: Exchange
    plan: ReadObject
    head: RequestHead
    turn: bool
    until: float | None
    lasts: bool
    who: Authority | None
    began: float

    @property
    def fixed(self) -> bool:
        """
        Whether no other range may be asked for than the client did.
        """
        return self.plan.range_signed or not self.lasts


def begin_read(
    exchange: Exchange, plan: ReadObject, turn: bool, trust: Trust, clock: IReactorTime
) -> Read:
    """
    Begin a read.

    Args:
        exchange: The client's request.
        plan: What it asks for.
        turn: Whether it falls to this read to learn the object's record.
        trust: Names the authority of requests.
        clock: Tells the seconds since the epoch.
    """
    head, now = forwarded(exchange.head), clock.seconds()
    until = usable_until(head, now)
    lasts = until is None or now < until
    who = trust.of(plan.record_id, head) if lasts else None
    return Read(exchange, plan, head, turn, until, lasts, who, now)


def wanted_of(plan: ReadObject, record: ObjectRecord) -> Interval:
    """
    Give the bytes of a known object that a plan, once settled, asks for.
    """
    size = record.version.size
    part = plan.range.resolve(size) if plan.range else Interval(0, size)
    assert part is not None
    return part


def origin_of(
    read: Read,
    record: ObjectRecord,
    part: Interval,
    origin: IOrigin,
    clock: IReactorTime,
) -> ClientOrigin:
    """
    Give the store as the client of a read may use it.
    """
    return ClientOrigin(
        origin,
        read.head,
        record.version,
        part if read.fixed else None,
        lambda: read.until is None or clock.seconds() < read.until,
    )

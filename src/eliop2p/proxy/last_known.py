"""
What an object was last known to be, for reads while the store cannot be reached.
"""

import attrs

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.ranges import Interval
from eliop2p.model.record import ObjectRecord
from eliop2p.model.store import Place
from eliop2p.proxy.heads import Settle, hit_head, insists_on, parse_kept
from eliop2p.proxy.integrity import ObjectChecks
from eliop2p.proxy.one_read import wanted_of
from eliop2p.proxy.part_style import PartStyles
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import ReadObject, classify, record_ids
from eliop2p.proxy.trust import Trust


@attrs.frozen
class Known:
    """
    What stands for the store's answer.

    Attributes:
        plan: What is asked for, settled.
        record: The object.
        kept: The head that the store gave with it.
        stands: What stands for the store's 304.
    """

    plan: ReadObject
    record: ObjectRecord
    kept: ResponseHead
    stands: ResponseHead


@attrs.frozen
class LastKnown:
    """
    Finds what may be served although the store does not answer.

    Attributes:
        records: What is believed of objects.
        trust: Knows whether that counts.
        checks: Knows which versions failed theirs.
        settle: What the store takes a range for.
        styles: How stores write the heads of parts.
    """

    records: Records
    trust: Trust
    checks: ObjectChecks
    settle: Settle
    styles: PartStyles

    async def find(
        self, plan: ReadObject, head: RequestHead, *, other: bool
    ) -> Known | None:
        """
        Look an object up, under any name: a head that was learnt without the checksums
        that are asked for now is better than none.

        Args:
            plan: What is asked for.
            head: The request.
            other: Whether to leave out the name that the request itself goes by: it
                would wait for its own turn to learn the object.
        """
        for record_id in record_ids(plan.key):
            if other and record_id == plan.record_id:
                continue
            who = self.trust.of(record_id, head)
            if who is None:
                return None
            found = await self.records.find(record_id, plan.key)
            if found.turn:
                self.records.release(record_id)
            if found.record is None or self.checks.distrusts(found.record):
                continue
            stands = self.trust.last(who, found.record)
            known = stands and self._fitting(plan, head, found.record, stands)
            if known:
                return known
        return None

    def _fitting(
        self,
        plan: ReadObject,
        head: RequestHead,
        record: ObjectRecord,
        stands: ResponseHead,
    ) -> Known | None:
        """
        Hold a version against what the client wants.
        """
        settled = self.settle(plan, head, record.version.size)
        if settled is None or not (record.whole or settled.range is not None):
            return None
        kept = parse_kept(record.head)
        if not insists_on(settled, record, kept):
            return None
        return Known(settled, record, kept, stands)

    def head_of(self, known: Known) -> ResponseHead:
        """
        Write the head of the answer.
        """
        part: Interval | None = None
        if known.plan.range is not None:
            part = wanted_of(known.plan, known.record)
        style = self.styles.of(known.record.key.store)
        return hit_head(known.kept, known.stands, known.record.version, part, style)

    async def answer_head(self, head: RequestHead, place: Place) -> ResponseHead | None:
        """
        Answer a HEAD as the GET that it stands for.

        Returns:
            None when the store has to do it.
        """
        plan = classify(attrs.evolve(head, method=b"GET"), place)
        if not isinstance(plan, ReadObject):
            return None
        known = await self.find(plan, head, other=False)
        return None if known is None else self.head_of(known)

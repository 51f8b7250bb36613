"""
Sees to it that there are as many replicas as the policy wants.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.adjusting import (
    Held,
    make_orders,
    plan_evictions,
    plan_replicas,
)
from eliop2p.control.orders import ChunkRef, Kind
from eliop2p.control.policy import Policy, Rule, is_prefix, split_prefix
from eliop2p.control.steering import ISteering
from eliop2p.interfaces import ICatalog, IMembership, Registration
from eliop2p.model.chunk import Layout, ObjectKey
from eliop2p.model.peer import Membership

ROUND_SECONDS = 30.0
"""
Time from one look at everything to the next.
"""

SETTLE_SECONDS = 2.0
"""
Time from a change of members to a look: announcements to new homes come first.
"""

MAX_PLANNED = 2048
"""
Replicas ordered in one round, so that the rest of the cluster's traffic goes on.
"""

CALM_SECONDS = 3600.0
"""
Time without a change of members after which replicas may be given up: homes that are
new do not know yet what is hot.
"""

LISTED_SECONDS = 120.0
"""
Time after which it is listed again what no rule is about: all nodes are asked for it.
"""

MAX_LOOKED_AT = 16_384
"""
Chunks that no rule is about of which the heat is looked at in one round; the next round
goes on from there.
"""

_CHUNKS_AT_ONCE = 256
_log = Logger()


class Adjuster(Service):
    """
    Orders replicas, when it falls to this node to do so.

    Args:
        steering: Knows the policy, and hands commands to nodes.
        catalog: Knows objects and where their chunks are.
        membership: Who is alive.
        clock: The time.

    Attributes:
        adjusts: Whether it falls to this node.
        ordered: Replicas ordered so far.
        given_up: Replicas that nodes were told to give up.
    """

    def __init__(
        self,
        steering: ISteering,
        catalog: ICatalog,
        membership: IMembership,
        clock: IReactorTime,
    ) -> None:
        self.adjusts = False
        self.ordered = 0
        self.given_up = 0
        self._steering = steering
        self._catalog = catalog
        self._membership = membership
        self._clock = clock
        self._changed_at = clock.seconds()
        self._rest: deque[Layout] = deque()
        self._listed_at = -math.inf
        self._next: IDelayedCall | None = None
        self._round: Deferred[None] | None = None
        membership.watch(self._changed)

    def told(self, answer: Registration) -> None:
        """
        Take what the control plane says of this node.
        """
        begins = answer.adjusts and not self.adjusts
        self.adjusts = answer.adjusts
        if begins and self.running:
            _log.info("it falls to this node to adjust the replication")
            self._soon(SETTLE_SECONDS)

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        self._soon(ROUND_SECONDS)

    def stopService(self) -> None:
        """
        Order nothing more.
        """
        super().stopService()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._round is not None:
            self._round.cancel()

    def _changed(self, _: Membership) -> None:
        self._changed_at = self._clock.seconds()
        if self.running and self.adjusts:
            self._soon(SETTLE_SECONDS)

    def _soon(self, seconds: float) -> None:
        due = self._clock.seconds() + seconds
        if self._next is not None:
            if self._next.getTime() <= due:
                return
            self._next.cancel()
        self._next = self._clock.callLater(seconds, self._begin)

    def _begin(self) -> None:
        self._next = None
        self._soon(ROUND_SECONDS)
        if self.adjusts and self._round is None:
            self._round = Deferred.fromCoroutine(self._adjust())
            self._round.addErrback(_failed)
            self._round.addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self._round = None

    async def _adjust(self) -> None:
        policy = await self._steering.policy()
        budget = MAX_PLANNED
        for rule in sorted(policy.rules, key=lambda each: not each.pinned):
            bucket, prefix = split_prefix(rule.prefix)
            layouts = await self._catalog.objects(bucket.encode(), prefix.encode())
            for layout in layouts:
                if policy.rule_for(layout.key.bucket, layout.key.key) is rule:
                    budget -= await self._adjust_object(policy, rule, layout)
                if budget <= 0:
                    return
        await self._adjust_rest(policy, budget)

    async def _adjust_rest(self, policy: Policy, budget: int) -> None:
        """
        Look at what no rule is about, which may be hot: some of it in each round.

        Nothing of it is given up: the nodes that read it make room as they need it.
        """
        now = self._clock.seconds()
        if not self._rest and now - self._listed_at >= LISTED_SECONDS:
            self._listed_at = now
            self._rest.extend(await self._catalog.objects(b"", b""))
        left = MAX_LOOKED_AT
        while self._rest and left > 0 and budget > 0:
            layout = self._rest.popleft()
            key = layout.key
            if policy.rule_for(key.bucket, key.key) is None and _prefix_of(key):
                left -= layout.count
                budget -= await self._adjust_object(policy, None, layout)

    async def _adjust_object(
        self, policy: Policy, rule: Rule | None, layout: Layout
    ) -> int:
        prefix = _prefix_of(layout.key) if rule is None else rule.prefix
        ordered = given_up = 0
        for start in range(0, layout.count, _CHUNKS_AT_ONCE):
            stop = min(start + _CHUNKS_AT_ONCE, layout.count)
            chunks = [layout.chunk(index) for index in range(start, stop)]
            places = await self._catalog.places(tuple(chunk.id for chunk in chunks))
            live = self._membership.current().peers
            held = [
                Held(
                    chunk,
                    tuple(name for name in places[chunk.id].holders if name in live),
                    places[chunk.id].heat,
                )
                for chunk in chunks
                if chunk.id in places
            ]
            plan = plan_replicas(policy, rule, held, tuple(live))
            ordered += await self._give(plan, prefix, Kind.REPLICATE)
            if rule is not None:
                given_up += await self._shrink(policy, rule, held)
        self.ordered += ordered
        self.given_up += given_up
        return ordered + given_up

    async def _shrink(self, policy: Policy, rule: Rule, held: Sequence[Held]) -> int:
        """
        Have replicas given up that nobody asks for.
        """
        if self._clock.seconds() - self._changed_at < CALM_SECONDS:
            return 0
        plan = plan_evictions(policy, rule, held)
        return await self._give(plan, rule.prefix, Kind.EVICT)

    async def _give(
        self, plan: Mapping[str, Sequence[ChunkRef]], prefix: str, kind: Kind
    ) -> int:
        """
        Give the commands of a plan.

        Returns:
            How many replicas they are about.
        """
        count = 0
        now = self._clock.seconds()
        for node_id, order in make_orders(plan, prefix, now, kind):
            await self._steering.order(node_id, order)
            count += len(order.chunks)
        return count


def _prefix_of(key: ObjectKey) -> str:
    """
    Write which object it is; empty for one whose name is no text.
    """
    try:
        prefix = f"s3://{key.bucket.decode()}/{key.key.decode()}"
    except UnicodeDecodeError:
        return ""
    return prefix if is_prefix(prefix) else ""


def _failed(failure: Failure) -> None:
    """
    Leave the rest to the next round.
    """
    if failure.check(ControlPlaneError):
        _log.info("adjusting stopped: {reason}", reason=failure.getErrorMessage())
    elif not failure.check(CancelledError):
        _log.failure("adjusting the replication went wrong", failure=failure)

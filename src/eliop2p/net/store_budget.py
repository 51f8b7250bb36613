"""
A budget for the store that a whole cluster keeps to, without anybody in the middle.

Every node has its share, in proportion to its weight among the members, and keeps to it
by itself. Shares are lent with leases: a home that lets another node read a chunk
gives nearly all of its share away until that is done, and lets nobody else read
meanwhile. Chunks are at home everywhere alike, so that a few readers use the shares of
many, and the sum stays what it was.
"""

import math
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from eliop2p.net.throttle import Throttle

HEADROOM = 0.95
"""
The part of the budget that is given out: shares overlap for the time that messages
take, and for a turn.
"""

LENT = 0.9
"""
The part of its share that a home lends; the rest is for its own reads.
"""

OWN_TURN = 0.25
"""
Seconds that a home keeps its share between two leases while reads of its own wait.
"""

SLOWER = 0.5
LEAST = 1 / 32
"""
What a store that asks for less gets of what it got, and of the budget at least.
"""

CALM = 1.0
"""
Seconds after which being told to slow down counts anew: what was under way is told too.
"""

GROWTH = 0.05
"""
The part of the budget that comes back each second.
"""

LIFTED = 2.0
"""
How many times what the store once refused must pass again, before a node that has no
budget has no limit either.
"""

_LEAST_REQUESTS = 4.0
_LEAST_RATE = 1024.0


class StoreBudget:
    """
    What a node may read of the store, and let others read.

    It is lowered when the store asks for that, and grows back slowly (AIMD, Chiu and
    Jain 1989), also where no budget was set: then what was asked in the second before
    stands for it.

    Args:
        clock: The time.
        rate: Bytes per second for the whole cluster; 0 for no limit.
        requests: Requests per second for the whole cluster; 0 for no limit.
        chunk_size: Bytes that a lease is for, at most.

    Attributes:
        pace: Bytes pass here.
        asking: Requests pass here.
        slowed: How often the store had this node slow down.
        put_off: How often a lease had to wait.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rate: float = 0,
        requests: float = 0,
        chunk_size: int = 8 * 1024 * 1024,
    ) -> None:
        self.slowed = 0
        self.put_off = 0
        self._clock = clock
        self._rate = HEADROOM * rate or math.inf
        self._requests = HEADROOM * requests or math.inf
        self._chunk_size = chunk_size
        self._node_id = ""
        self._shares: Mapping[str, float] = {"": 1.0}
        self._refused = math.inf
        self._factor = 1.0
        self._at = self._halved_at = clock.seconds()
        self._second = (0, 0, 0)
        self._lent: dict[bytes, float] = {}
        self._lent_until = -math.inf
        self._borrowed: dict[object, tuple[float, float]] = {}
        self.pace = Throttle(self._rate, clock)
        self.asking = Throttle(self._requests, clock, least=1)

    @property
    def limited(self) -> bool:
        """
        Whether anything is limited at this moment.
        """
        return self.pace.limited or self.asking.limited

    @property
    def factor(self) -> float:
        """
        The part of the budget that the store lets this node have.
        """
        return min(1.0, self._factor)

    def divide(self, node_id: str, weights: Mapping[str, float]) -> None:
        """
        Share the budget anew.

        Args:
            node_id: This node.
            weights: The weights of all live members by name, it among them.
        """
        total = sum(weights.values())
        if total > 0:
            self._node_id = node_id
            self._shares = {name: each / total for name, each in weights.items()}
            self.refresh()

    # --- what the store says

    def asked(self) -> None:
        """
        Count a request that is sent.
        """
        second = int(self._clock.seconds())
        last, before, count = self._second
        if second != last:
            before, count = (count if second == last + 1 else 0), 0
        self._second = (second, before, count + 1)

    def slow_down(self) -> None:
        """
        The store wants to be asked less.
        """
        self.refresh()
        now = self._clock.seconds()
        if self.slowed and now - self._halved_at < CALM:
            return
        self.slowed += 1
        self._halved_at = now
        if math.isinf(self._requests) and math.isinf(self._refused):
            self._refused = max(*self._second[1:], _LEAST_REQUESTS)
            self._factor = 1.0
        self._factor = max(SLOWER * min(1.0, self._factor), LEAST)
        self.refresh()

    # --- leases

    def lend(self, chunk_id: bytes) -> bool:
        """
        Let another node read a chunk in the place of this one, if it may now.
        """
        self.refresh()
        if self._unshared or chunk_id in self._lent:
            return True
        now = self._clock.seconds()
        own = self.pace.waiting and now - self._lent_until < OWN_TURN
        if self._lent or own or self.asking.waiting:
            self.put_off += 1
            return False
        self._lent[chunk_id] = now + self._lease_seconds(self._node_id)
        self.asking.charge("leases", 1)
        self.refresh()
        return True

    def lent_back(self, chunk_id: bytes) -> None:
        """
        A chunk has been read, or will not be.
        """
        if self._lent.pop(chunk_id, None) is not None:
            self._lent_until = self._clock.seconds()
            self.refresh()

    def borrow(self, home: str) -> Callable[[], None]:
        """
        Read a chunk in the place of its home.

        Returns:
            To be called when that has ended.
        """
        key = object()
        if home != self._node_id and not math.isinf(self._rate):
            rate = LENT * self._rate * self._shares.get(home, 0.0)
            until = self._clock.seconds() + self._lease_seconds(home)
            self._borrowed[key] = (rate, until)
        if home != self._node_id and not self._unshared:
            self.asking.charge("leases", -1)
        self.refresh()

        def end() -> None:
            self._borrowed.pop(key, None)
            self.refresh()

        return end

    # --- what follows from it

    def refresh(self) -> None:
        """
        Go on at what the budget is at this moment.
        """
        now = self._clock.seconds()
        self._factor += GROWTH * max(0.0, now - self._at)
        self._at = now
        if not math.isinf(self._refused) and self._factor >= LIFTED:
            self._refused = math.inf
        self._expire()
        self.asking.change(self._request_rate())
        self.pace.change(self._byte_rate())

    @property
    def _unshared(self) -> bool:
        return math.isinf(self._rate) and math.isinf(self._requests)

    def _lease_seconds(self, home: str) -> float:
        share = self._rate * self._shares.get(home, 0.0)
        if math.isinf(share):
            return 1.0 / max(self._requests * self._shares.get(home, 1.0), 1e-3)
        return self._chunk_size / max(LENT * share, _LEAST_RATE)

    def _expire(self) -> None:
        now = self._clock.seconds()
        for chunk_id, until in list(self._lent.items()):
            if until <= now:
                del self._lent[chunk_id]
                self._lent_until = until
        for key, (_, until) in list(self._borrowed.items()):
            if until <= now:
                del self._borrowed[key]

    def _request_rate(self) -> float:
        if not math.isinf(self._refused):
            return self._refused * self._factor
        return self._requests * self._shares.get(self._node_id, 1.0) * self.factor

    def _byte_rate(self) -> float:
        if math.isinf(self._rate):
            return math.inf
        own = self._rate * self._shares.get(self._node_id, 1.0)
        if self._lent:
            own *= 1.0 - LENT
        own += sum(rate for rate, _ in self._borrowed.values())
        return max(own * self.factor, _LEAST_RATE)

"""
Changes to an LMDB file, many in one transaction.
"""

from collections import deque

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from eliop2p.cache.lmdb_store import Change, Keep, LmdbStore
from eliop2p.interfaces import IWorker

MAX_CHANGES = 256
"""
How many changes go into one transaction, unless one caller has more.
"""

MAX_BYTES = 4 * 1024 * 1024
"""
How many bytes of chunks go into one transaction, unless one chunk has more.
"""


@attrs.frozen
class _Order:
    """
    What one caller wants to have changed; all of one kind.
    """

    changes: tuple[Change, ...]
    done: "Deferred[None]"

    @property
    def keeps(self) -> bool:
        """
        Whether chunks are to be kept, rather than dropped.
        """
        return isinstance(self.changes[0], Keep)

    @property
    def size(self) -> int:
        """
        The bytes to be written.
        """
        return sum(
            change.row.length for change in self.changes if isinstance(change, Keep)
        )


class Changes:
    """
    Has changes made in the order in which they were asked for. There is one writer at
    a time, as LMDB would have it anyway, and what comes while it is busy is done
    together.

    Args:
        worker: Where LMDB runs.
        store: The file.
    """

    def __init__(self, worker: IWorker, store: LmdbStore) -> None:
        self._worker = worker
        self._store = store
        self._waiting: deque[_Order] = deque()
        self._busy = False

    def make(self, changes: tuple[Change, ...]) -> Deferred[None]:
        """
        Make some changes, all of one kind.

        Raises:
            OSError: They could not be made, nor those that went with them (in the
                Deferred).
        """
        order = _Order(changes, Deferred())
        self._waiting.append(order)
        if not self._busy:
            self._next()
        return order.done

    def _next(self) -> None:
        orders = self._take()
        if not orders:
            return
        self._busy = True
        changes = [change for order in orders for change in order.changes]
        made = self._worker.run(self._store.apply, changes)
        made.addBoth(self._made, orders)

    def _take(self) -> list[_Order]:
        """
        Take what goes into one transaction: either chunks to keep or chunks to drop,
        so that a want of space does not hinder the latter.
        """
        orders: list[_Order] = []
        count = size = 0
        while (
            self._waiting
            and count < MAX_CHANGES
            and size < MAX_BYTES
            and (not orders or self._waiting[0].keeps == orders[0].keeps)
        ):
            order = self._waiting.popleft()
            orders.append(order)
            count += len(order.changes)
            size += order.size
        return orders

    def _made(self, result: "Failure | None", orders: list[_Order]) -> None:
        self._busy = False
        self._next()
        for order in orders:
            if isinstance(result, Failure):
                order.done.errback(result)
            else:
                order.done.callback(None)

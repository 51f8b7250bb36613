"""
Objects' records in the cluster: one node at a time learns one, the others wait for it.
"""

from collections import OrderedDict

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from eliop2p.base.errors import PeerError
from eliop2p.interfaces import IMembership, IObjectDirectory, IPeerLinks
from eliop2p.model.chunk import ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.object_table import ObjectTable
from eliop2p.p2p.rendezvous import Homes
from eliop2p.wire.cluster_events import (
    FindObject,
    ForgetObject,
    FoundObject,
    PublishObject,
)

WAIT_SECONDS = 10.0
"""
How long an asker waits for somebody else's turn before it is its own, in seconds.
"""

MAX_WAITERS = 10_000


@attrs.define(eq=False)
class _Waiter:
    """
    An asker that waits for a record.

    Attributes:
        node_id: The asker.
        answer: Fires with the record, or empty when it is the asker's turn.
        timer: Ends the wait.
    """

    node_id: str
    answer: "Deferred[bytes]"
    timer: IDelayedCall


class ObjectHome:
    """
    What a node does as a home of objects, for its peers and for itself.

    Args:
        table: The records and turns.
        clock: The time.
        max_waiters: How many askers may wait; beyond, each gets the turn at once.
    """

    def __init__(
        self, table: ObjectTable, clock: IReactorTime, max_waiters: int = MAX_WAITERS
    ) -> None:
        self._table = table
        self._clock = clock
        self._max_waiters = max_waiters
        self._waiting = 0
        self._waiters: dict[ObjectId, OrderedDict[int, _Waiter]] = {}
        self._arrivals = 0

    @property
    def waiting(self) -> int:
        """
        The number of askers that wait.
        """
        return self._waiting

    def find(self, node_id: str, object_id: ObjectId) -> "Deferred[bytes]":
        """
        Look an object up, waiting while somebody else learns its record.

        Returns:
            Its record, empty when the asker has the turn. May be cancelled.
        """
        now = self._clock.seconds()
        record = self._table.find(object_id, node_id, now)
        if record is not None:
            return succeed(record)
        if self._waiting >= self._max_waiters:
            self._table.give_turn(object_id, node_id, now)
            return succeed(b"")
        self._arrivals += 1
        number = self._arrivals
        timer = self._clock.callLater(WAIT_SECONDS, self._give_turn, object_id, number)
        answer: Deferred[bytes] = Deferred(lambda _: self._leave(object_id, number))
        waiters = self._waiters.setdefault(object_id, OrderedDict())
        waiters[number] = _Waiter(node_id, answer, timer)
        self._waiting += 1
        return answer

    def publish(self, node_id: str, object_id: ObjectId, record: bytes) -> None:
        """
        Keep what a node learnt of an object, and give it to those who wait.
        """
        if not self._table.publish(object_id, node_id, record):
            self._next_turn(object_id)
            return
        for number in list(self._waiters.get(object_id, ())):
            self._remove(object_id, number).answer.callback(record)

    def release(self, node_id: str, object_id: ObjectId) -> None:
        """
        A node gives its turn back: it goes to the next that waits.
        """
        if self._table.release(object_id, node_id):
            self._next_turn(object_id)

    def forget(self, object_id: ObjectId) -> None:
        """
        An object has been written to.
        """
        self._table.forget(object_id)

    def lost(self, node_id: str) -> None:
        """
        A node is gone: its turns go to others.
        """
        for object_id in self._table.turns_of(node_id):
            self.release(node_id, object_id)

    def stop(self) -> None:
        """
        Let those who wait go on by themselves.
        """
        for object_id, waiters in list(self._waiters.items()):
            for number in list(waiters):
                self._remove(object_id, number).answer.callback(b"")

    def _next_turn(self, object_id: ObjectId) -> None:
        waiters = self._waiters.get(object_id)
        if waiters:
            self._give_turn(object_id, next(iter(waiters)))

    def _give_turn(self, object_id: ObjectId, number: int) -> None:
        waiter = self._remove(object_id, number)
        self._table.give_turn(object_id, waiter.node_id, self._clock.seconds())
        waiter.answer.callback(b"")

    def _leave(self, object_id: ObjectId, number: int) -> None:
        self._remove(object_id, number)

    def _remove(self, object_id: ObjectId, number: int) -> _Waiter:
        waiters = self._waiters[object_id]
        waiter = waiters.pop(number)
        if not waiters:
            del self._waiters[object_id]
        self._waiting -= 1
        if waiter.timer.active():
            waiter.timer.cancel()
        return waiter


@implementer(IObjectDirectory)
class ObjectDirectory:
    """
    Asks the homes of objects, this node among them.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where objects are at home.
        links: The way to the other homes.
        home: This node as a home.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        home: ObjectHome,
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._home = home

    def find(self, object_id: ObjectId) -> "Deferred[bytes | None]":
        """
        Ask the first home that answers. When none does, the turn is the caller's.
        """
        return Deferred.fromCoroutine(self._find(object_id))

    def publish(self, object_id: ObjectId, record: bytes) -> None:
        """
        Tell every home what the store said of an object.
        """
        for home in self._homes_of(object_id):
            if home.node_id == self._node_id:
                self._home.publish(self._node_id, object_id, record)
            else:
                self._links.tell(home, PublishObject(object_id, record))

    def release(self, object_id: ObjectId) -> None:
        """
        Give the turn back to whichever home gave it.
        """
        for home in self._homes_of(object_id):
            if home.node_id == self._node_id:
                self._home.release(self._node_id, object_id)
            else:
                self._links.tell(home, PublishObject(object_id, b""))

    def forget(self, object_id: ObjectId) -> None:
        """
        Tell every home that the object has been written to.
        """
        for home in self._homes_of(object_id):
            if home.node_id == self._node_id:
                self._home.forget(object_id)
            else:
                self._links.tell(home, ForgetObject(object_id))

    async def _find(self, object_id: ObjectId) -> bytes | None:
        for home in self._homes_of(object_id):
            if home.node_id == self._node_id:
                return await self._home.find(self._node_id, object_id) or None
            if not self._links.reachable(home.node_id):
                continue
            try:
                found: FoundObject = await self._links.ask(
                    home, FindObject(0, object_id)
                )
            except PeerError:
                continue
            return found.record or None
        return None

    def _homes_of(self, object_id: ObjectId) -> list[PeerInfo]:
        peers = self._membership.current().peers
        return [peers[home] for home in self._homes.of(object_id, peers)]

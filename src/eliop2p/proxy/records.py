"""
What this node believes to be the current version of objects.

A belief is never proof: the store confirms it, under the client's own authority, before
a byte is served on the strength of it.
"""

from collections import OrderedDict
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.interfaces import IObjectDirectory, IRecordStore
from eliop2p.model.chunk import Layout, ObjectId, ObjectKey
from eliop2p.model.record import ObjectRecord, Verdict, decode_record
from eliop2p.proxy.request import record_ids

MAX_IN_MEMORY = 16 * 1024 * 1024
"""
Bytes of encoded records kept in memory; all are kept on disk.
"""

_LASTING = (Verdict.VERIFIED, Verdict.FAILED)

_log = Logger()


@attrs.frozen
class Found:
    """
    What is known of an object.

    Attributes:
        record: The belief, or None.
        turn: Whether it falls to the caller to learn it, while others wait.
    """

    record: ObjectRecord | None
    turn: bool


class Records:
    """
    Beliefs in memory, on disk and in the cluster, asked in this order.
    """

    def __init__(
        self,
        store: IRecordStore | None,
        directory: IObjectDirectory,
        chunk_size: int,
    ) -> None:
        self._store = store
        self._directory = directory
        self._chunk_size = chunk_size
        self._recent: OrderedDict[ObjectId, bytes] = OrderedDict()
        self._bytes = 0
        self._changed: Callable[[ObjectId], None] | None = None

    def watch(self, changed: Callable[[ObjectId], None]) -> None:
        """
        Have somebody told of every object of which something else is believed from now
        on, or of which what is believed is no longer in memory.
        """
        self._changed = changed

    async def find(self, record_id: ObjectId, key: ObjectKey) -> Found:
        """
        Look an object up.
        """
        data = self._recent.get(record_id)
        if data is not None:
            self._recent.move_to_end(record_id)
        elif self._store is not None:
            data = await self._store.get(record_id)
        record = self._decode(data, key)
        if record is not None:
            if record_id not in self._recent:
                self._remember(record_id, record.encode())
            return Found(record, turn=False)
        told = await self._directory.find(record_id)
        if told is None:
            return Found(None, turn=True)
        record = self._decode(told, key)
        if record is not None:
            record = attrs.evolve(record, verdict=self._known_verdict(record))
            self._keep(record_id, record.encode())
        return Found(record, turn=False)

    def recent(self, record_id: ObjectId, key: ObjectKey) -> ObjectRecord | None:
        """
        Give what this node believes of an object, if that is in memory.
        """
        return self._decode(self._recent.get(record_id), key)

    def belief(self, record_id: ObjectId) -> bytes | None:
        """
        Give what is believed of an object as long as it is in memory: another value
        when something has changed, the very same while nothing has.
        """
        return self._recent.get(record_id)

    def still(self, record_id: ObjectId, belief: bytes) -> bool:
        """
        Tell whether a belief has not changed since; that counts as a use of it.
        """
        if self._recent.get(record_id) is not belief:
            return False
        self._recent.move_to_end(record_id)
        return True

    def learn(self, record_id: ObjectId, record: ObjectRecord) -> ObjectRecord:
        """
        Remember what the store said, and tell the cluster.

        Returns:
            The record with the verdict that this node has reached on the version.
        """
        self._directory.publish(record_id, record.encode())
        record = attrs.evolve(record, verdict=self._known_verdict(record))
        self._keep(record_id, record.encode())
        return record

    def set_verdict(
        self, record_id: ObjectId, layout: Layout, verdict: Verdict
    ) -> None:
        """
        Remember what was found out, if the version is still the believed one.
        """
        record = self._decode(self._recent.get(record_id), layout.key)
        if record is not None and record.layout == layout:
            self._keep(record_id, attrs.evolve(record, verdict=verdict).encode())

    def judge(self, layout: Layout, verdict: Verdict) -> None:
        """
        Remember what was found out of a version, under every name of its object.
        """
        for record_id in record_ids(layout.key):
            self.set_verdict(record_id, layout, verdict)

    def disown(self, key: ObjectKey) -> None:
        """
        Let others ask the store, while this node goes on to believe what it does.
        """
        for record_id in record_ids(key):
            self._directory.forget(record_id)

    def release(self, record_id: ObjectId) -> None:
        """
        Give the turn back without having learnt anything.
        """
        self._directory.release(record_id)

    def forget(self, *record_ids: ObjectId) -> "Deferred[None]":
        """
        Drop beliefs that a write has made doubtful, here and in the cluster.
        """
        return Deferred.fromCoroutine(self._forget(record_ids))

    async def _forget(self, record_ids: tuple[ObjectId, ...]) -> None:
        for record_id in record_ids:
            self._bytes -= len(self._recent.pop(record_id, b""))
            self._tell(record_id)
            self._directory.forget(record_id)
        for record_id in record_ids:
            if self._store is not None:
                await self._store.remove(record_id)

    def _known_verdict(self, record: ObjectRecord) -> Verdict:
        """
        Give the verdict on a version that was reached on the strength of another head;
        what that one did not offer, this one may.
        """
        for record_id in record_ids(record.key):
            known = self._decode(self._recent.get(record_id), record.key)
            same = known is not None and known.version == record.version
            if known is not None and same and known.verdict in _LASTING:
                return known.verdict
        return Verdict.UNKNOWN

    def _keep(self, record_id: ObjectId, data: bytes) -> None:
        self._remember(record_id, data)
        if self._store is not None:
            self._store.put(record_id, data).addErrback(
                lambda failure: _log.failure("Keeping an object record", failure)
            )

    def _remember(self, record_id: ObjectId, data: bytes) -> None:
        self._bytes += len(data) - len(self._recent.pop(record_id, b""))
        self._recent[record_id] = data
        self._tell(record_id)
        while self._bytes > MAX_IN_MEMORY:
            oldest, dropped = self._recent.popitem(last=False)
            self._bytes -= len(dropped)
            self._tell(oldest)

    def _tell(self, record_id: ObjectId) -> None:
        if self._changed is not None:
            self._changed(record_id)

    def _decode(self, data: bytes | None, key: ObjectKey) -> ObjectRecord | None:
        """
        Read a record, refusing one of another object or another chunk size.
        """
        if data is None:
            return None
        try:
            record = decode_record(data)
        except RemoteProtocolError as error:
            _log.warn("An object record cannot be read: {error}", error=error)
            return None
        if record.key != key or record.chunk_size != self._chunk_size:
            return None
        return record

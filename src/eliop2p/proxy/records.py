"""
What this node believes to be the current version of objects.

A belief is never proof: the store confirms it, under the client's own authority, before
a byte is served on the strength of it.
"""

from collections import OrderedDict

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.interfaces import IObjectDirectory, IRecordStore
from eliop2p.model.chunk import ObjectId, ObjectKey
from eliop2p.model.record import ObjectRecord, decode_record

MAX_IN_MEMORY = 16 * 1024 * 1024
"""
Bytes of encoded records kept in memory; all are kept on disk.
"""

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
            self._remember(record_id, record.encode())
            return Found(record, turn=False)
        told = await self._directory.find(record_id)
        if told is None:
            return Found(None, turn=True)
        record = self._decode(told, key)
        if record is not None:
            self._keep(record_id, told)
        return Found(record, turn=False)

    def learn(self, record_id: ObjectId, record: ObjectRecord) -> None:
        """
        Remember what the store said, and tell the cluster.
        """
        data = record.encode()
        self._directory.publish(record_id, data)
        self._keep(record_id, data)

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
            self._directory.forget(record_id)
            if self._store is not None:
                await self._store.remove(record_id)

    def _keep(self, record_id: ObjectId, data: bytes) -> None:
        self._remember(record_id, data)
        if self._store is not None:
            self._store.put(record_id, data).addErrback(
                lambda failure: _log.failure("Keeping an object record", failure)
            )

    def _remember(self, record_id: ObjectId, data: bytes) -> None:
        self._bytes += len(data) - len(self._recent.pop(record_id, b""))
        self._recent[record_id] = data
        while self._bytes > MAX_IN_MEMORY:
            _, dropped = self._recent.popitem(last=False)
            self._bytes -= len(dropped)

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

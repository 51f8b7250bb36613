"""
Objects with digests of their own, and tiers that hold them.
"""

import base64
import hashlib
import random

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import (
    IChunkHandle,
    IHeldChunks,
    IObjectDirectory,
    IWorker,
)
from eliop2p.model.chunk import ChunkId, Digest, Layout, ObjectId, ObjectKey
from eliop2p.model.chunk import ObjectVersion as Version
from eliop2p.model.record import ObjectRecord
from eliop2p.model.span import FileSpan, Span
from eliop2p.proxy.integrity import ObjectChecks
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids
from eliop2p.testing.workers import ImmediateWorker

CHUNK = 1000
DATA = random.Random(1).randbytes(5 * CHUNK + 123)


@implementer(IChunkHandle)
class FakeHandle:
    """
    An open chunk.
    """

    digest = Digest(bytes(32))

    def __init__(self, held: "FakeHeld", chunk_id: ChunkId, data: bytes) -> None:
        self.length = len(data)
        self._data = data
        self._held = held
        self._chunk_id = chunk_id

    def span(self, offset: int, limit: int) -> Span:
        """
        Give bytes, from a file if the test says so.
        """
        length = min(limit, self.length - offset)
        self._held.longest = max(self._held.longest, length)
        if self._held.fd >= 0:
            start = self._held.offsets[self._chunk_id]
            return FileSpan(self._held.fd, start + offset, length)
        return memoryview(self._data)[offset : offset + length]

    def close(self) -> None:
        """
        Count.
        """
        self._held.open -= 1


@implementer(IHeldChunks)
class FakeHeld:
    """
    Chunks in a dictionary.
    """

    def __init__(self) -> None:
        self.chunks: dict[ChunkId, bytes] = {}
        self.offsets: dict[ChunkId, int] = {}
        self.fd = -1
        self.open = 0
        self.most_open = 0
        self.longest = 0
        self.looks = 0
        self.dropped: list[ChunkId] = []

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell whether it is there.
        """
        return "memory" if chunk_id in self.chunks else ""

    def used(self, chunk_id: ChunkId) -> None:
        """
        Count nothing.
        """

    def inspect(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open a chunk.
        """
        data = self.chunks.get(chunk_id)
        if data is None:
            return succeed(None)
        self.looks += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return succeed(FakeHandle(self, chunk_id, data))

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Forget a chunk.
        """
        del self.chunks[chunk_id]
        self.dropped.append(chunk_id)
        return succeed(None)


@implementer(IObjectDirectory)
class FakeDirectory:
    """
    A cluster that knows what the test says.
    """

    def __init__(self) -> None:
        self.known: dict[ObjectId, bytes] = {}
        self.forgotten: list[ObjectId] = []

    def find(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Look it up.
        """
        return succeed(self.known.get(object_id))

    def publish(self, object_id: ObjectId, record: bytes) -> None:
        """
        Keep it.
        """
        self.known[object_id] = record

    def release(self, object_id: ObjectId) -> None:
        """
        Do nothing: nobody waits.
        """

    def forget(self, object_id: ObjectId) -> None:
        """
        Drop it, and note so.
        """
        self.known.pop(object_id, None)
        self.forgotten.append(object_id)


def key_of(name: bytes, bucket: bytes = b"bucket") -> ObjectKey:
    """
    Name an object.
    """
    return ObjectKey(b"http://store:9000", bucket, name)


def md5_etag(data: bytes) -> bytes:
    """
    Give the ETag of an upload in one part.
    """
    return b'"' + hashlib.md5(data).hexdigest().encode() + b'"'


def coded(value: bytes) -> bytes:
    """
    Write a checksum as S3 does.
    """
    return base64.b64encode(value)


class ChecksCase(SynchronousTestCase):
    """
    Checks over chunks that the test puts there.
    """

    worker: IWorker = ImmediateWorker()

    def setUp(self) -> None:
        """
        Make the checks of a node that holds nothing.
        """
        self.clock = Clock()
        self.held = FakeHeld()
        self.directory = FakeDirectory()
        self.records = Records(None, self.directory, CHUNK)
        self.metrics = Metrics()
        self.checks = ObjectChecks(
            self.held, self.records, self.worker, self.clock, self.metrics
        )

    def learn(
        self,
        key: ObjectKey,
        data: bytes = DATA,
        etag: bytes = b"",
        **headers: bytes,
    ) -> ObjectRecord:
        """
        Believe in an object, as after its head has come.
        """
        etag = etag or md5_etag(data)
        lines = [b"HTTP/1.1 200 OK", b"ETag: " + etag]
        lines += [
            name.replace("_", "-").encode() + b": " + value
            for name, value in headers.items()
        ]
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        record = ObjectRecord(key, Version(etag, len(data)), CHUNK, head, whole=True)
        return self.records.learn(record_ids(key)[0], record)

    def hold(self, layout: Layout, data: bytes, *indexes: int) -> None:
        """
        Hold chunks of an object, all if not told otherwise.
        """
        for index in indexes or range(layout.count):
            chunk = layout.chunk(index)
            self.held.chunks[chunk.id] = data[chunk.start : chunk.interval.stop]

    def send(self, record: ObjectRecord, *indexes: int) -> None:
        """
        Send chunks to a client, all if not told otherwise.
        """
        sent = self.checks.follow(record_ids(record.key)[0], record)
        for index in indexes or range(record.layout.count):
            sent(record.layout.chunk(index))

    def settle(self, seconds: float = 1.0) -> None:
        """
        Let time pass.
        """
        self.clock.pump([0.01] * round(seconds * 100))

    def read(self, record: ObjectRecord, data: bytes = DATA) -> None:
        """
        Hold and send the whole object, and let it be checked.
        """
        self.hold(record.layout, data)
        self.send(record)
        self.settle()

    def believed(self, key: ObjectKey) -> ObjectRecord | None:
        """
        Give the belief in an object.
        """
        return self.successResultOf(
            Deferred.fromCoroutine(self.records.find(record_ids(key)[0], key))
        ).record

    def outcomes(self) -> dict[str, int]:
        """
        Give what was counted.
        """
        return {
            sample.labels["outcome"]: int(sample.value)
            for family in self.metrics.integrity.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }

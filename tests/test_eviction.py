"""
Tests for :mod:`eliop2p.eviction`.
"""

from collections.abc import Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.admin.evict import Evicted
from eliop2p.cache.records import RecordStore
from eliop2p.eviction import Eviction
from eliop2p.interfaces import IChunkHandle, IHeldChunks, IObjectDirectory
from eliop2p.model.chunk import ChunkId, ObjectId, ObjectKey, ObjectVersion
from eliop2p.model.record import ObjectRecord
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids
from tests.cache.doubles import InlineWorker

CHUNK = 1024


@implementer(IObjectDirectory)
class FakeDirectory:
    """
    Notes what the cluster is told.
    """

    def __init__(self) -> None:
        self.forgotten: list[ObjectId] = []

    def find(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Know nothing.
        """
        return succeed(None)

    def publish(self, object_id: ObjectId, record: bytes) -> None:
        """
        Take no note.
        """

    def release(self, object_id: ObjectId) -> None:
        """
        Take no note.
        """

    def forget(self, object_id: ObjectId) -> None:
        """
        Take note.
        """
        self.forgotten.append(object_id)


@implementer(IHeldChunks)
class FakeChunks:
    """
    Chunks that are held, or just being written, until they are dropped.
    """

    def __init__(self) -> None:
        self.held: set[ChunkId] = set()
        self.writing: set[ChunkId] = set()

    def where(self, chunk_id: ChunkId) -> str:
        """
        Tell whether it is held.
        """
        return "disk" if chunk_id in self.held else ""

    def used(self, chunk_id: ChunkId) -> None:
        """
        Count nothing.
        """

    def inspect(self, chunk_id: ChunkId) -> Deferred[IChunkHandle | None]:
        """
        Open nothing.
        """
        return succeed(None)

    def drop(self, chunk_id: ChunkId) -> Deferred[None]:
        """
        Drop a chunk.
        """
        self.held.discard(chunk_id)
        self.writing.discard(chunk_id)
        return succeed(None)


def record_of(
    key: bytes, size: int, bucket: bytes = b"b", version_id: bytes = b""
) -> ObjectRecord:
    """
    Make up what is remembered of an object.
    """
    name = ObjectKey(b"http://s", bucket, key, version_id)
    return ObjectRecord(name, ObjectVersion(b'"e"', size), CHUNK, b"", whole=True)


class EvictionTests(SynchronousTestCase):
    """
    Objects that an operator wants gone.
    """

    def setUp(self) -> None:
        """
        Remember a few objects and hold their chunks.
        """
        worker = InlineWorker()
        self.store = RecordStore(self.mktemp(), worker)
        self.directory = FakeDirectory()
        self.records = Records(self.store, self.directory, CHUNK)
        self.chunks = FakeChunks()
        self.eviction = Eviction(self.store, self.records, self.chunks, worker)

    def tearDown(self) -> None:
        """
        Close the store.
        """
        self.successResultOf(self.store.close())

    def learn(self, record: ObjectRecord, variant: int = 0) -> None:
        """
        Remember an object and hold every chunk of it.
        """
        self.records.learn(record_ids(record.key)[variant], record)
        layout = record.layout
        self.chunks.held |= {layout.chunk(n).id for n in range(layout.count)}

    def evict(self, prefix: bytes, bucket: bytes = b"b") -> Evicted:
        """
        Evict objects.
        """
        return self.successResultOf(self.eviction.evict(bucket, prefix))

    def known(self, records: Iterable[ObjectRecord]) -> list[bytes]:
        """
        Tell of which objects something is believed.
        """
        names = []
        for record in records:
            looking = self.records.find(record.key.object_id, record.key)
            found = self.successResultOf(Deferred.fromCoroutine(looking))
            if found.record is not None:
                names.append(record.key.key)
        return names

    def test_prefix(self) -> None:
        """
        Objects whose keys begin with the prefix lose their records, here and in the
        cluster, and their chunks; others lose nothing.
        """
        keys = [b"a", b"m/", b"m/1", b"m/2", b"m/\xff", b"m0", b"n"]
        records = [record_of(key, 2 * CHUNK + 1) for key in keys]
        records.append(record_of(b"m/1", 10, bucket=b"other"))
        for record in records:
            self.learn(record)
        gone = {record.key.object_id for record in records[1:5]}
        self.assertEqual(self.evict(b"m/"), Evicted(4, 12, 4 * (2 * CHUNK + 1)))
        self.assertEqual(set(self.directory.forgotten), gone)
        self.assertEqual(self.known(records), [b"a", b"m0", b"n", b"m/1"])
        self.assertEqual(len(self.chunks.held), 3 * 3 + 1)
        self.assertEqual(self.evict(b"m/"), Evicted(0, 0, 0))

    def test_whole_bucket(self) -> None:
        """
        Everything of a bucket goes, however much it is.
        """
        records = [record_of(b"%d" % number, 1) for number in range(600)]
        for record in records:
            self.learn(record)
        self.assertEqual(self.evict(b""), Evicted(600, 600, 600))
        self.assertEqual((self.known(records), self.chunks.held), ([], set()))

    def test_variants(self) -> None:
        """
        An object that is remembered under several names counts once; its versions
        count as objects.
        """
        self.learn(record_of(b"k", 1))
        self.learn(record_of(b"k", 1), variant=1)
        self.learn(record_of(b"k", 1, version_id=b"v1"))
        self.assertEqual(self.evict(b"k"), Evicted(2, 2, 2))

    def test_not_held(self) -> None:
        """
        Only chunks that are held count.
        """
        record = record_of(b"k", 5 * CHUNK)
        self.learn(record)
        self.chunks.held.discard(record.layout.chunk(3).id)
        self.assertEqual(self.evict(b"k"), Evicted(1, 4, 4 * CHUNK))

    def test_being_written(self) -> None:
        """
        A chunk that is not held yet, but would be in a moment, goes too.
        """
        record = record_of(b"k", CHUNK)
        self.records.learn(record.key.object_id, record)
        self.chunks.writing.add(record.layout.chunk(0).id)
        self.assertEqual(self.evict(b"k"), Evicted(1, 0, 0))
        self.assertEqual(self.chunks.writing, set())

    def test_absurd_record(self) -> None:
        """
        A record of an impossible object is forgotten without naming its chunks.
        """
        record = record_of(b"k", 1 << 63)
        self.records.learn(record.key.object_id, record)
        self.assertEqual(self.evict(b"k"), Evicted(0, 0, 0))
        self.assertEqual(self.known([record]), [])

    def test_unreadable_store(self) -> None:
        """
        Where records cannot be removed the end is reached nevertheless.
        """
        self.learn(record_of(b"k", 1))

        def keep(object_id: ObjectId) -> Deferred[None]:
            return succeed(None)

        self.patch(self.store, "remove", keep)
        self.assertEqual(self.evict(b"k"), Evicted(1, 1, 1))

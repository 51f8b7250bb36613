"""
Tests for :mod:`eliop2p.proxy.records`.
"""

from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.interfaces import IObjectDirectory, IRecordStore
from eliop2p.model.chunk import ObjectId, ObjectKey, ObjectVersion
from eliop2p.model.record import ObjectRecord, Verdict
from eliop2p.proxy.records import MAX_IN_MEMORY, Found, Records

SIZE = 64
NOTHING = Found(None, turn=True)


def key(number: int = 0) -> ObjectKey:
    """
    Name an object.
    """
    return ObjectKey(b"http://s", b"b", b"%d" % number)


def record(number: int = 0, etag: bytes = b'"e"', length: int = 10) -> ObjectRecord:
    """
    Make a belief.
    """
    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * length + b"\r\n\r\n"
    return ObjectRecord(key(number), ObjectVersion(etag, 100), SIZE, head, True)


@implementer(IRecordStore)
class Disk:
    """
    Records on disk.
    """

    def __init__(self) -> None:
        self.records: dict[ObjectId, bytes] = {}
        self.asked = 0

    def get(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Give one.
        """
        self.asked += 1
        return succeed(self.records.get(object_id))

    def put(self, object_id: ObjectId, record: bytes) -> Deferred[None]:
        """
        Keep one.
        """
        self.records[object_id] = record
        return succeed(None)

    def remove(self, object_id: ObjectId) -> Deferred[None]:
        """
        Drop one.
        """
        self.records.pop(object_id, None)
        return succeed(None)

    def below(
        self, bucket: bytes, prefix: bytes, limit: int
    ) -> Deferred[tuple[tuple[ObjectId, bytes], ...]]:
        """
        Find none: nobody here looks.
        """
        return succeed(())


@implementer(IObjectDirectory)
class Cluster:
    """
    Records in the cluster.
    """

    def __init__(self) -> None:
        self.records: dict[ObjectId, bytes] = {}
        self.asked = 0

    def find(self, object_id: ObjectId) -> Deferred[bytes | None]:
        """
        Give one.
        """
        self.asked += 1
        return succeed(self.records.get(object_id))

    def publish(self, object_id: ObjectId, record: bytes) -> None:
        """
        Keep one.
        """
        self.records[object_id] = record

    def release(self, object_id: ObjectId) -> None:
        """
        Do nothing.
        """

    def forget(self, object_id: ObjectId) -> None:
        """
        Drop one.
        """
        self.records.pop(object_id, None)


class RecordsTests(SynchronousTestCase):
    """
    What a node believes of objects.
    """

    def setUp(self) -> None:
        """
        Know nothing.
        """
        self.disk, self.cluster = Disk(), Cluster()
        self.records = Records(self.disk, self.cluster, SIZE)

    def find(self, number: int = 0) -> Found:
        """
        Look an object up.
        """
        found = self.records.find(key(number).object_id, key(number))
        return self.successResultOf(Deferred.fromCoroutine(found))

    def learn(self, what: ObjectRecord) -> None:
        """
        Learn an object's record.
        """
        self.records.learn(what.key.object_id, what)

    def test_unknown(self) -> None:
        """
        Of an object that nobody knows the asker has the turn to learn.
        """
        self.assertEqual(self.find(), NOTHING)

    def test_learnt(self) -> None:
        """
        What was learnt is known from then on, and told to disk and cluster; a later
        version takes its place.
        """
        for etag in (b'"1"', b'"2"'):
            self.learn(record(etag=etag))
            found = self.find()
            assert found.record is not None
            self.assertEqual((found.record.version.etag, found.turn), (etag, False))
        self.assertEqual((self.disk.asked, self.cluster.asked), (0, 0))
        for kept in (self.disk.records, self.cluster.records):
            self.assertIn(b'"2"', kept[key().object_id])

    def test_from_disk(self) -> None:
        """
        A node that was restarted knows it from disk, and reads it once.
        """
        self.learn(record())
        self.records = Records(self.disk, Cluster(), SIZE)
        for _ in range(2):
            self.assertEqual(self.find().record, record())
        self.assertEqual(self.disk.asked, 1)

    def test_from_cluster(self) -> None:
        """
        Another node knows it from the cluster, and keeps it.
        """
        self.learn(record())
        self.records = Records(Disk(), self.cluster, SIZE)
        for _ in range(2):
            self.assertEqual(self.find().record, record())
        self.assertEqual(self.cluster.asked, 1)

    def test_forgotten(self) -> None:
        """
        What is forgotten is so everywhere.
        """
        self.learn(record())
        self.successResultOf(self.records.forget(key().object_id))
        self.assertEqual(self.find(), NOTHING)
        self.assertEqual((self.disk.records, self.cluster.records), ({}, {}))
        self.successResultOf(self.records.forget(key().object_id))

    def test_watched(self) -> None:
        """
        Who watches is told before anybody can act on it of an object of which something
        else is believed, or nothing any more, or which is only on disk now.
        """
        told: list[tuple[ObjectId, bytes | None]] = []

        def changed(record_id: ObjectId) -> None:
            told.append((record_id, self.records.belief(record_id)))

        self.records.watch(changed)
        name = key().object_id
        self.learn(record(etag=b'"1"'))
        self.find()
        self.assertEqual(told, [(name, record(etag=b'"1"').encode())])
        self.records.set_verdict(name, record(etag=b'"1"').layout, Verdict.FAILED)
        self.assertEqual(len(told), 2)
        self.records.forget(name)
        self.assertEqual(told[2:], [(name, None)])
        half = MAX_IN_MEMORY // 2
        for number in range(1, 3):
            self.learn(record(number, length=half))
        self.assertEqual(told[-1], (key(1).object_id, None))

    def test_of_another_object(self) -> None:
        """
        A record of another object, of other chunks, or none at all, is not believed,
        wherever it comes from.
        """
        other = ObjectRecord(key(), ObjectVersion(b'"e"', 100), 2 * SIZE, b"", True)
        for wrong in (record(1).encode(), other.encode(), b"", b"nonsense"):
            with capturedLogs():
                self.disk.records[key().object_id] = wrong
                self.assertEqual(self.find(), NOTHING)
                self.disk.records.clear()
                self.cluster.records[key().object_id] = wrong
                self.assertEqual(self.find(), Found(None, turn=False))
                self.cluster.records.clear()

    def test_bounded(self) -> None:
        """
        Memory holds so many bytes of records, those that were used last; the disk has
        the others.
        """
        length = 60_000
        count = MAX_IN_MEMORY // length + 10
        for number in range(count):
            self.learn(record(number, length=length))
            self.find(0)
        self.assertEqual(self.disk.asked, 0)
        self.find(count - 1)
        self.assertEqual(self.disk.asked, 0)
        self.assertEqual(self.find(1).record, record(1, length=length))
        self.assertEqual(self.disk.asked, 1)

    def test_without_disk(self) -> None:
        """
        It works without a disk as well.
        """
        self.records = Records(None, self.cluster, SIZE)
        self.learn(record())
        self.assertEqual(self.find().record, record())
        self.successResultOf(self.records.forget(key().object_id))
        self.assertEqual(self.find(), NOTHING)

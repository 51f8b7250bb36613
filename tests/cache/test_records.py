"""
Tests for :mod:`eliop2p.cache.records`.
"""

from pathlib import Path
from threading import Thread

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.cache.records import RecordStore
from eliop2p.interfaces import IRecordStore
from eliop2p.model.chunk import ObjectId, ObjectKey, ObjectVersion
from eliop2p.model.record import ObjectRecord, decode_record
from tests.cache.doubles import InlineWorker


def object_of(number: int) -> ObjectId:
    """
    Make up an object.
    """
    return ObjectId(number.to_bytes(32, "big"))


class RecordTests(SynchronousTestCase):
    """
    What is remembered of objects.
    """

    def setUp(self) -> None:
        """
        Make a store of at most ten records.
        """
        self.path = self.mktemp()
        self.store = self.opened()

    def tearDown(self) -> None:
        """
        Close the file.
        """
        self.successResultOf(self.store.close())

    def opened(self) -> RecordStore:
        """
        Open the file.
        """
        return RecordStore(self.path, InlineWorker(), limit=10)

    def reopen(self) -> None:
        """
        Close the file and open it again.
        """
        self.successResultOf(self.store.close())
        self.store = self.opened()

    def get(self, number: int) -> bytes | None:
        """
        Look a record up.
        """
        return self.successResultOf(self.store.get(object_of(number)))

    def put(self, number: int, record: bytes = b"record") -> None:
        """
        Keep a record.
        """
        self.successResultOf(self.store.put(object_of(number), record))

    def kept(self, numbers: range) -> list[int]:
        """
        Tell which of the records are there.
        """
        return [number for number in numbers if self.get(number) is not None]

    def test_interface(self) -> None:
        """
        It provides IRecordStore.
        """
        verifyObject(IRecordStore, self.store)

    def test_round_trip(self) -> None:
        """
        A record is there until it is replaced or removed, also after a restart.
        """
        self.assertIsNone(self.get(1))
        self.put(1, b"one")
        self.put(2, b"two")
        self.put(1, b"uno")
        self.reopen()
        self.assertEqual((self.get(1), self.get(2)), (b"uno", b"two"))
        self.successResultOf(self.store.remove(object_of(1)))
        self.reopen()
        self.assertEqual((self.get(1), self.get(2)), (None, b"two"))

    def test_limit(self) -> None:
        """
        The records used longest ago give way, and a restart does not forget the uses.
        """
        for number in range(10):
            self.put(number)
        self.get(0)
        self.put(1)
        self.reopen()
        for number in range(10, 15):
            self.put(number)
        self.assertEqual(self.kept(range(15)), [0, 1, *range(7, 15)])

    def test_removed_makes_room(self) -> None:
        """
        A removed record counts no more.
        """
        for number in range(10):
            self.put(number)
        self.successResultOf(self.store.remove(object_of(5)))
        self.put(10)
        self.assertEqual(len(self.kept(range(11))), 10)

    def test_by_name(self) -> None:
        """
        Records are found by bucket and the beginning of a key, no more than asked for.
        """
        names = [b"", b"a", b"ab", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"]
        for number, name in enumerate(names[1:]):
            key = ObjectKey(b"s", b"bucket", name)
            record = ObjectRecord(key, ObjectVersion(b'"e"', 1), 1, b"", whole=True)
            self.put(number, record.encode())
        for prefix in names:
            found = self.successResultOf(self.store.below(b"bucket", prefix, 100))
            self.assertEqual(
                sorted(decode_record(record).key.key for _, record in found),
                sorted(name for name in names[1:] if name.startswith(prefix)),
            )
        some = self.successResultOf(self.store.below(b"bucket", b"", 2))
        self.assertEqual(len(some), 2)
        self.assertEqual(self.successResultOf(self.store.below(b"bucke", b"", 9)), ())

    def test_all_buckets(self) -> None:
        """
        Without a bucket, those records are found that were used last.
        """
        for number in range(5):
            self.put(number)
        self.successResultOf(self.store.get(object_of(1)))
        found = self.successResultOf(self.store.below(b"", b"", 3))
        self.assertEqual(
            [name for name, _ in found], [object_of(1), object_of(4), object_of(3)]
        )

    def test_damaged_file(self) -> None:
        """
        A file that is no database is put aside, and said so; all works without it.
        """
        self.successResultOf(self.store.close())
        Path(self.path).write_bytes(b"nothing that SQLite knows" * 1000)
        self.store = self.opened()
        with capturedLogs() as logs:
            self.assertIsNone(self.get(1))
            self.put(1)
            self.assertEqual(self.get(1), b"record")
        self.assertEqual(len(logs), 1)
        self.assertTrue(Path(self.path + ".damaged").exists())

    def test_damaged_pages(self) -> None:
        """
        A file that turns out to be damaged later is replaced as well.
        """
        for number in range(10):
            self.put(number, bytes(3000))
        self.successResultOf(self.store.close())
        content = bytearray(Path(self.path).read_bytes())
        content[4096:] = b"\xa5" * (len(content) - 4096)
        Path(self.path).write_bytes(content)
        self.store = self.opened()
        with capturedLogs():
            for number in range(10):
                self.put(number)
        self.assertEqual(len(self.kept(range(10))), 10)

    def test_no_directory(self) -> None:
        """
        A file that cannot be made costs the records, not the node; it is said once.
        """
        store = RecordStore(self.mktemp() + "/absent/file", InlineWorker())
        with capturedLogs() as logs:
            self.assertIsNone(self.successResultOf(store.put(object_of(1), b"")))
            self.assertIsNone(self.successResultOf(store.get(object_of(1))))
        self.assertEqual(len(logs), 1)

    def test_after_close(self) -> None:
        """
        A closed store finds and keeps nothing.
        """
        self.put(1)
        self.successResultOf(self.store.close())
        self.put(2)
        self.assertIsNone(self.get(1))

    def test_threads(self) -> None:
        """
        Calls from several threads do not disturb each other.
        """

        def work(first: int) -> None:
            for number in range(first, first + 5):
                self.store.put(object_of(number), b"%d" % number)
                self.store.get(object_of(number))

        threads = [Thread(target=work, args=(first,)) for first in (0, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.kept(range(10)), list(range(10)))

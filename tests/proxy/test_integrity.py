"""
Tests for :mod:`eliop2p.proxy.integrity`.
"""

import base64
import hashlib
import os
import random
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import (
    IChunkHandle,
    IHeldChunks,
    IObjectDirectory,
    IWorker,
)
from eliop2p.model.checksum import CRCS
from eliop2p.model.chunk import ChunkId, Digest, Layout, ObjectId, ObjectKey
from eliop2p.model.chunk import ObjectVersion as Version
from eliop2p.model.record import ObjectRecord, Verdict, decode_record
from eliop2p.model.span import FileSpan, Span
from eliop2p.proxy import etag_trust, held_sums, integrity
from eliop2p.proxy.held_sums import PIECE
from eliop2p.proxy.integrity import GATHER_SECONDS, ObjectChecks
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids
from eliop2p.testing.workers import ImmediateWorker, SteppedWorker

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


class VerifiedTests(ChecksCase):
    """
    Objects that are what their store says.
    """

    def test_interfaces(self) -> None:
        """
        The doubles provide what they stand for.
        """
        verifyObject(IHeldChunks, self.held)
        verifyObject(IObjectDirectory, self.directory)
        verifyObject(IChunkHandle, FakeHandle(self.held, ChunkId(b""), b"x"))

    def test_every_algorithm(self) -> None:
        """
        Every checksum that a store may give is computed, over chunks in order.
        """
        crcs = {name: crc.encode(crc.compute(DATA)) for name, crc in CRCS.items()}
        offers = [
            {f"x_amz_checksum_{name}": coded(crcs[name])}
            for name in ("crc32", "crc32c", "crc64nvme")
        ]
        offers += [
            {f"x_amz_checksum_{name}": coded(hashlib.new(name, DATA).digest())}
            for name in ("sha1", "sha256")
        ]
        ecma = int.from_bytes(crcs["crc64ecma"], "big")
        offers += [{"x_oss_hash_crc64ecma": b"%d" % ecma}, {}]
        for number, headers in enumerate(offers):
            key = key_of(b"%d" % number)
            etag = b"" if not headers else b'"parts-2"'
            self.read(self.learn(key, DATA, etag, **headers))
            belief = self.believed(key)
            assert belief is not None
            self.assertIs(belief.verdict, Verdict.VERIFIED, headers)
        self.assertEqual(self.outcomes(), {"verified": len(offers)})
        self.assertEqual(self.held.open, 0)
        self.assertEqual(self.held.dropped, [])

    def test_large_chunks(self) -> None:
        """
        Chunks of many pieces are gone through piece by piece.
        """
        self.patch(held_sums, "AT_ONCE", 0)
        self.patch(held_sums, "PIECE", 77)
        crc = CRCS["crc64nvme"]
        value = coded(crc.encode(crc.compute(DATA)))
        self.read(self.learn(key_of(b"c"), x_amz_checksum_crc64nvme=value))
        self.read(self.learn(key_of(b"m")))
        self.assertEqual(self.outcomes(), {"verified": 2})

    def test_from_files(self) -> None:
        """
        Chunks on disk are read from their files.
        """
        path = Path(self.mktemp())
        path.write_bytes(DATA)
        self.held.fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, self.held.fd)
        crc = CRCS["crc32c"]
        record = self.learn(
            key_of(b"c"), x_amz_checksum_crc32c=coded(crc.encode(crc.compute(DATA)))
        )
        for other in (record, self.learn(key_of(b"m"))):
            for chunk in map(other.layout.chunk, range(other.layout.count)):
                self.held.offsets[chunk.id] = chunk.start
            self.read(other)
        self.assertEqual(self.outcomes(), {"verified": 2})

    def test_once(self) -> None:
        """
        A verified version is not looked at again, under none of its names, nor is it
        when its record is learnt anew.
        """
        record = self.learn(key_of(b"k"))
        self.read(record)
        looks = self.held.looks
        belief = self.believed(record.key)
        assert belief is not None
        self.read(belief)
        self.read(record)
        self.read(self.learn(key_of(b"k"), x_amz_meta_a=b"b"))
        other = self.records.learn(record_ids(record.key)[1], record)
        self.assertIs(other.verdict, Verdict.VERIFIED)
        self.assertEqual(self.held.looks, looks)
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_another_version(self) -> None:
        """
        A new version of a verified object is checked.
        """
        self.read(self.learn(key_of(b"k")))
        self.read(self.learn(key_of(b"k"), b"new" * 999), b"new" * 999)
        self.assertEqual(self.outcomes(), {"verified": 2})

    def test_forgotten(self) -> None:
        """
        A version whose record was forgotten, and that may have been fetched again, is
        verified again.
        """
        record = self.learn(key_of(b"k"))
        self.read(record)
        self.successResultOf(self.records.forget(*record_ids(record.key)))
        self.settle(1.1 * integrity.SETTLED_SECONDS)
        self.read(self.learn(key_of(b"k")))
        self.assertEqual(self.outcomes(), {"verified": 2})

    def test_unoffered(self) -> None:
        """
        A version for which its store gives no checksum is counted once and not read.
        """
        record = self.learn(key_of(b"k"), DATA, b'"abc-2"')
        self.read(record)
        self.read(record)
        belief = self.believed(record.key)
        assert belief is not None
        self.assertIs(belief.verdict, Verdict.UNOFFERED)
        self.read(belief)
        self.assertEqual(self.outcomes(), {"unoffered": 1})
        self.assertEqual(self.held.looks, 0)

    def test_offered_later(self) -> None:
        """
        A version without a checksum is checked when another answer has one.
        """
        record = self.learn(key_of(b"k"), DATA, b'"abc-2"')
        self.read(record)
        crc = CRCS["crc64nvme"]
        value = coded(crc.encode(crc.compute(DATA)))
        later = self.learn(
            key_of(b"k"), DATA, b'"abc-2"', x_amz_checksum_crc64nvme=value
        )
        self.read(later)
        self.assertEqual(self.outcomes(), {"unoffered": 1, "verified": 1})

    def test_verdict_is_not_told(self) -> None:
        """
        What one node found out of its copy is neither told to others nor believed.
        """
        record = self.learn(key_of(b"k"))
        self.read(record)
        name = record_ids(record.key)[0]
        belief = self.believed(record.key)
        assert belief is not None
        self.records.learn(name, belief)
        self.directory.known[name] = belief.encode()
        self.records = Records(None, self.directory, CHUNK)
        told = self.believed(record.key)
        assert told is not None
        self.assertIs(told.verdict, Verdict.UNKNOWN)


class OrderTests(ChecksCase):
    """
    Chunks that come in parts, out of order, or not at all.
    """

    def crc_record(self, name: bytes = b"k") -> ObjectRecord:
        """
        Learn an object with a CRC.
        """
        value = CRCS["crc64ecma"].compute(DATA)
        return self.learn(key_of(name), x_oss_hash_crc64ecma=b"%d" % value)

    def test_crcs_out_of_order(self) -> None:
        """
        CRCs are combined in whatever order chunks come, each read once, even if no two
        of them are held at a time.
        """
        record = self.crc_record()
        for index in (3, 0, 5, 1, 4, 2):
            self.hold(record.layout, DATA, index)
            self.send(record, index, index)
            self.settle()
            self.held.chunks.clear()
        self.assertEqual(self.outcomes(), {"verified": 1})
        self.assertEqual(self.held.looks, record.layout.count)

    def test_crc_of_chunk_not_held(self) -> None:
        """
        A chunk that no tier took is taken into account when it comes again.
        """
        record = self.crc_record()
        self.hold(record.layout, DATA, 0, 1, 2, 3, 4)
        self.send(record)
        self.settle()
        self.assertEqual(self.outcomes(), {})
        self.hold(record.layout, DATA, 5)
        self.send(record, 5)
        self.settle()
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_digest_waits_for_all(self) -> None:
        """
        A digest is not begun before every chunk is held.
        """
        record = self.learn(key_of(b"k"))
        self.hold(record.layout, DATA, 0, 1, 2, 4, 5)
        self.send(record)
        self.settle()
        self.assertEqual(self.held.looks, 0)
        self.hold(record.layout, DATA, 3)
        self.send(record, 0)
        self.settle()
        self.assertEqual(self.outcomes(), {"verified": 1})
        self.assertEqual(self.held.looks, record.layout.count)

    def test_tiers_take_their_time(self) -> None:
        """
        A chunk that the tiers take in after it was sent is checked all the same.
        """
        record = self.learn(key_of(b"k"))
        self.send(record)
        self.clock.advance(GATHER_SECONDS / 2)
        self.hold(record.layout, DATA)
        self.settle()
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_evicted_meanwhile(self) -> None:
        """
        A digest for which a chunk has gone is given up, and begun again by a read.
        """
        data = random.Random(2).randbytes(4 * CHUNK)
        record = self.learn(key_of(b"k"), data)
        self.patch(integrity, "DIGEST_RATE", CHUNK)
        self.checks = ObjectChecks(
            self.held, self.records, self.worker, self.clock, self.metrics
        )
        self.hold(record.layout, data)
        self.send(record)
        self.settle(1.5)
        del self.held.chunks[record.layout.chunk(3).id]
        self.settle(5)
        self.assertEqual(self.outcomes(), {})
        self.assertEqual(self.held.open, 0)
        self.hold(record.layout, data)
        self.send(record)
        self.settle(5)
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_unreadable(self) -> None:
        """
        A chunk whose file ends early is no verdict on the object.
        """
        path = Path(self.mktemp())
        path.write_bytes(DATA[:-1])
        self.held.fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, self.held.fd)
        record = self.learn(key_of(b"k"))
        for chunk in map(record.layout.chunk, range(record.layout.count)):
            self.held.offsets[chunk.id] = chunk.start
        self.read(record)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual((self.outcomes(), self.held.open), ({}, 0))
        path.write_bytes(DATA)
        self.send(record)
        self.settle()
        self.assertEqual(self.outcomes(), {"verified": 1})


class FailedTests(ChecksCase):
    """
    Objects that are not what their store says.
    """

    wrong = DATA[:2500] + b"?" + DATA[2501:]

    def fail_once(self, record: ObjectRecord) -> None:
        """
        Read wrong bytes.
        """
        with capturedLogs():
            self.read(record, self.wrong)

    def test_dropped(self) -> None:
        """
        Every chunk is dropped, the belief is forgotten here and in the cluster, and
        the log names object, expectation and finding.
        """
        record = self.learn(key_of(b"k"))
        with capturedLogs() as events:
            self.read(record, self.wrong)
        layout = record.layout
        self.assertEqual(
            sorted(self.held.dropped),
            sorted(layout.chunk(index).id for index in range(layout.count)),
        )
        self.assertIsNone(self.believed(record.key))
        self.assertEqual(self.directory.forgotten, list(record_ids(record.key)))
        self.assertEqual(self.outcomes(), {"failed": 1})
        (event,) = events
        self.assertEqual((event["bucket"], event["key"]), ("bucket", "k"))
        self.assertEqual(event["expected"], hashlib.md5(DATA).hexdigest())
        self.assertEqual(event["computed"], hashlib.md5(self.wrong).hexdigest())
        self.assertFalse(self.checks.distrusts(record))

    def test_right_after_wrong(self) -> None:
        """
        An object that is right when it has been fetched anew is verified.
        """
        for headers in (
            {},
            {"x_oss_hash_crc64ecma": b"%d" % CRCS["crc64ecma"].compute(DATA)},
        ):
            self.fail_once(self.learn(key_of(b"k"), **headers))
            record = self.learn(key_of(b"k"), **headers)
            self.read(record)
            belief = self.believed(record.key)
            assert belief is not None
            self.assertIs(belief.verdict, Verdict.VERIFIED)
            self.successResultOf(self.records.forget(*record_ids(record.key)))
            self.checks = ObjectChecks(
                self.held, self.records, self.worker, self.clock, self.metrics
            )
        self.assertEqual(self.outcomes(), {"failed": 2, "verified": 2})

    def test_wrong_again(self) -> None:
        """
        A version that fails twice is not to be kept any more, even after a restart;
        another version is.
        """
        value = {"x_oss_hash_crc64ecma": b"%d" % CRCS["crc64ecma"].compute(DATA)}
        self.fail_once(self.learn(key_of(b"k"), **value))
        self.fail_once(self.learn(key_of(b"k"), **value))
        belief = self.believed(key_of(b"k"))
        assert belief is not None
        self.assertIs(decode_record(belief.encode()).verdict, Verdict.FAILED)
        self.assertTrue(self.checks.distrusts(belief))
        self.assertEqual(self.directory.known, {})
        other = self.learn(key_of(b"k"), b"other")
        self.assertFalse(self.checks.distrusts(other))

    def test_lone_etag(self) -> None:
        """
        An object whose ETag is not its MD5 is passed by as long as nothing says that
        the bucket's ETags are something else.
        """
        key = key_of(b"k")
        self.fail_once(self.learn(key))
        self.fail_once(self.learn(key))
        belief = self.believed(key)
        assert belief is not None
        self.assertTrue(self.checks.distrusts(belief))
        self.assertIs(belief.verdict, Verdict.UNKNOWN)
        for number in range(etag_trust.TRIES - 1):
            self.fail_once(self.learn(key_of(b"%d" % number)))
        self.assertFalse(self.checks.distrusts(belief))
        self.read(belief, self.wrong)
        self.assertEqual(self.outcomes(), {"failed": etag_trust.TRIES + 1})

    def test_etags_that_are_no_md5(self) -> None:
        """
        When the first objects of a bucket all fail by their ETags, the others are kept
        without being checked by theirs; other buckets are not concerned.
        """
        for number in range(etag_trust.TRIES):
            self.fail_once(self.learn(key_of(b"%d" % number)))
        self.held.dropped.clear()
        self.fail_once(self.learn(key_of(b"more")))
        self.assertEqual(self.held.dropped, [])
        self.read(self.learn(key_of(b"k", b"other")))
        self.assertEqual(
            self.outcomes(),
            {"failed": etag_trust.TRIES, "unoffered": 1, "verified": 1},
        )

    def test_etags_that_are_md5(self) -> None:
        """
        One object whose ETag is its MD5 is enough to believe the bucket's ETags.
        """
        self.read(self.learn(key_of(b"right")))
        for number in range(etag_trust.TRIES + 2):
            self.fail_once(self.learn(key_of(b"%d" % number)))
            self.fail_once(self.learn(key_of(b"%d" % number)))
            belief = self.believed(key_of(b"%d" % number))
            assert belief is not None
            self.assertIs(belief.verdict, Verdict.FAILED)


class BoundTests(ChecksCase):
    """
    Memory, speed, and the end.
    """

    def test_one_chunk_at_a_time(self) -> None:
        """
        However many objects wait, one chunk per kind of check is open, and what is
        digested at a time is bounded.
        """
        crc = CRCS["crc32"]
        records = [self.learn(key_of(b"m%d" % number)) for number in range(20)]
        value = coded(crc.encode(crc.compute(DATA)))
        records += [
            self.learn(key_of(b"c%d" % number), x_amz_checksum_crc32=value)
            for number in range(20)
        ]
        for record in records:
            self.hold(record.layout, DATA)
            self.send(record)
        self.settle()
        self.assertEqual(self.outcomes(), {"verified": 40})
        self.assertLessEqual(self.held.most_open, 2)
        self.assertLessEqual(self.held.longest, PIECE)

    def test_rate(self) -> None:
        """
        Digests take as long as their rate makes them.
        """
        self.patch(integrity, "DIGEST_RATE", 1000)
        self.checks = ObjectChecks(
            self.held, self.records, self.worker, self.clock, self.metrics
        )
        record = self.learn(key_of(b"k"))
        self.hold(record.layout, DATA)
        self.send(record)
        self.settle(5.1)
        self.assertEqual(self.outcomes(), {})
        self.settle(0.3)
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_objects_remembered(self) -> None:
        """
        The objects seen in part are bounded; one that was left out can be begun anew.
        """
        self.patch(integrity, "MAX_OBJECTS", 2)
        records = [self.learn(key_of(b"%d" % number)) for number in range(5)]
        for record in records:
            self.send(record, 0)
        self.assertEqual(len(self.checks._subjects), 2)
        self.settle()
        self.read(records[0])
        self.assertEqual(self.outcomes(), {"verified": 1})

    def test_gaps(self) -> None:
        """
        The CRCs of scattered chunks are bounded.
        """
        self.patch(integrity, "MAX_GAPS", 2)
        value = CRCS["crc64ecma"].compute(DATA)
        record = self.learn(key_of(b"k"), x_oss_hash_crc64ecma=b"%d" % value)
        self.hold(record.layout, DATA)
        self.send(record, 0, 2, 4)
        self.settle()
        self.assertEqual(self.held.looks, 2)

    def test_sent_remembered(self) -> None:
        """
        Chunks that wait to be looked at are bounded.
        """
        self.patch(integrity, "_MAX_SENT", 3)
        self.send(self.learn(key_of(b"k")))
        self.assertEqual(len(self.checks._sent), 3)

    def test_stop_before(self) -> None:
        """
        What has not been begun when the node stops is not begun, and nothing stays
        scheduled.
        """
        record = self.learn(key_of(b"k"))
        self.hold(record.layout, DATA)
        self.send(record)
        self.successResultOf(self.checks.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.send(record)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.held.looks, 0)


class StoppingTests(ChecksCase):
    """
    The end, with work in a thread.
    """

    def setUp(self) -> None:
        """
        Let the test say when the thread works.
        """
        self.patch(held_sums, "AT_ONCE", 0)
        self.stepped = SteppedWorker()
        self.worker = self.stepped
        super().setUp()

    def test_stop_in_thread(self) -> None:
        """
        Stopping waits until no thread reads a chunk any more, then closes it.
        """
        value = CRCS["crc64ecma"].compute(DATA)
        for record in (
            self.learn(key_of(b"m")),
            self.learn(key_of(b"c"), x_oss_hash_crc64ecma=b"%d" % value),
        ):
            self.hold(record.layout, DATA)
            self.send(record)
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual((self.stepped.pending, self.held.open), (2, 2))
        stopping = self.checks.stop()
        self.assertNoResult(stopping)
        self.assertEqual(self.held.open, 2)
        self.stepped.step()
        self.stepped.step()
        self.successResultOf(stopping)
        self.assertEqual((self.stepped.pending, self.held.open), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.outcomes(), {})

"""
Tests for what a failed check costs, and for the bounds of checking.
"""

import hashlib

from twisted.logger import capturedLogs

from eliop2p.model.checksum import CRCS
from eliop2p.model.record import ObjectRecord, Verdict, decode_record
from eliop2p.proxy import etag_trust, held_sums, integrity
from eliop2p.proxy.held_sums import PIECE
from eliop2p.proxy.integrity import GATHER_SECONDS, ObjectChecks
from eliop2p.proxy.request import record_ids
from eliop2p.testing.workers import SteppedWorker
from tests.proxy.integrity_case import DATA, ChecksCase, coded, key_of


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

"""
Tests for :mod:`eliop2p.proxy.integrity`.
"""

import hashlib
import os
import random
from pathlib import Path

from zope.interface.verify import verifyObject

from eliop2p.interfaces import (
    IChunkHandle,
    IHeldChunks,
    IObjectDirectory,
)
from eliop2p.model.checksum import CRCS
from eliop2p.model.chunk import ChunkId
from eliop2p.model.record import ObjectRecord, Verdict
from eliop2p.proxy import held_sums, integrity
from eliop2p.proxy.integrity import GATHER_SECONDS, ObjectChecks
from eliop2p.proxy.records import Records
from eliop2p.proxy.request import record_ids
from tests.proxy.integrity_case import (
    CHUNK,
    DATA,
    ChecksCase,
    FakeHandle,
    coded,
    key_of,
)


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

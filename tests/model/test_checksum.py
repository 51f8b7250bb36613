"""
Tests for :mod:`eliop2p.model.checksum`.
"""

import random
import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.checksum import CRCS, Crc, CrcRuns

NAMES = st.sampled_from(sorted(CRCS))
DATA = st.binary(min_size=1, max_size=300)


def bit_by_bit(crc: Crc, data: bytes) -> int:
    """
    Compute a CRC as its definition has it.
    """
    ones = (1 << crc.width) - 1
    register = ones
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (crc.polynomial if register & 1 else 0)
    return register ^ ones


class CrcTests(SynchronousTestCase):
    """
    CRCs of bytes.
    """

    def test_check_values(self) -> None:
        """
        The CRCs of the digits are those in the catalogue of CRC algorithms.
        """
        values = {name: crc.compute(b"123456789") for name, crc in CRCS.items()}
        self.assertEqual(
            values,
            {
                "crc32": 0xCBF43926,
                "crc32c": 0xE3069283,
                "crc64nvme": 0xAE8B14860A799888,
                "crc64ecma": 0x995DC9BBDF1939FA,
            },
        )

    def test_published_crc32c(self) -> None:
        """
        CRC-32C gives the values of RFC 3720, appendix B.4.
        """
        crc = CRCS["crc32c"]
        self.assertEqual(crc.compute(bytes(32)), 0x8A9136AA)
        self.assertEqual(crc.compute(b"\xff" * 32), 0x62A8AB43)
        self.assertEqual(crc.compute(bytes(range(32))), 0x46DD794E)

    def test_published_crc64nvme(self) -> None:
        """
        CRC-64/NVME gives the values of the NVM Command Set Specification.
        """
        crc = CRCS["crc64nvme"]
        self.assertEqual(crc.compute(bytes(4096)), 0x6482D367EB22B64E)
        self.assertEqual(crc.compute(b"\xff" * 4096), 0xC0DDBA7302ECA3AC)
        self.assertEqual(crc.compute(bytes(range(256)) * 16), 0x3E729F5F6750449C)

    @given(NAMES, DATA)
    def test_definition(self, name: str, data: bytes) -> None:
        """
        A CRC is what the definition makes of the bytes, one bit at a time.
        """
        crc = CRCS[name]
        self.assertEqual(crc.compute(data), bit_by_bit(crc, data))

    @given(NAMES, DATA, DATA)
    def test_going_on(self, name: str, first: bytes, second: bytes) -> None:
        """
        A CRC can be gone on with, and be combined out of those of two pieces.
        """
        crc = CRCS[name]
        whole = crc.compute(first + second)
        begun, other = crc.compute(first), crc.compute(second)
        self.assertEqual(crc.compute(memoryview(second), begun), whole)
        self.assertEqual(crc.combine(begun, other, len(second)), whole)

    def test_long(self) -> None:
        """
        Bytes of more than one piece of work have the CRC of all of them.
        """
        data = random.Random(1).randbytes(2 * 1024 * 1024 + 5)
        for crc in CRCS.values():
            halves = crc.compute(data[:1_000_000]), crc.compute(data[1_000_000:])
            combined = crc.combine(*halves, len(data) - 1_000_000)
            self.assertEqual(crc.compute(data), combined)
        self.assertEqual(CRCS["crc32"].compute(data), zlib.crc32(data))

    def test_far_apart(self) -> None:
        """
        Pieces of any length are combined without looking at them: five tebibytes.
        """
        length = 5 * 1024**4
        for crc in CRCS.values():
            half = crc.combine(0, 0, length // 2)
            doubled = crc.combine(crc.combine(1, 0, length // 2), half, length // 2)
            self.assertEqual(doubled, crc.combine(1, 0, length))

    def test_encode(self) -> None:
        """
        A CRC is written in as many bytes as it has, highest first.
        """
        self.assertEqual(CRCS["crc32c"].encode(1), b"\0\0\0\1")
        self.assertEqual(CRCS["crc64ecma"].encode(1), b"\0\0\0\0\0\0\0\1")


class CrcRunsTests(SynchronousTestCase):
    """
    CRCs of an object's pieces.
    """

    @given(NAMES, st.lists(DATA, min_size=1, max_size=12), st.randoms())
    def test_any_order(
        self, name: str, pieces: list[bytes], order: random.Random
    ) -> None:
        """
        Pieces in any order make up the CRC of the whole, and none before the last.
        """
        crc, whole = CRCS[name], b"".join(pieces)
        starts = [sum(map(len, pieces[:index])) for index in range(len(pieces))]
        indexes = list(range(len(pieces)))
        order.shuffle(indexes)
        runs = CrcRuns(crc)
        for index in indexes:
            self.assertIsNone(runs.value(len(whole)))
            self.assertFalse(runs.covers(starts[index], len(pieces[index])))
            runs.add(starts[index], len(pieces[index]), crc.compute(pieces[index]))
            self.assertTrue(runs.covers(starts[index], len(pieces[index])))
        self.assertEqual(runs.value(len(whole)), bit_by_bit(crc, whole))

    def test_memory(self) -> None:
        """
        What is kept grows with the gaps, not with the pieces.
        """
        runs = CrcRuns(CRCS["crc32"])
        for index in range(0, 1000, 2):
            runs.add(index * 8, 8, index)
        self.assertEqual(len(runs), 500)
        for index in range(1, 1000, 2):
            runs.add(index * 8, 8, index)
        self.assertEqual(len(runs), 1)

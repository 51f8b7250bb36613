"""
Checksums of whole objects, from the bytes or from the checksums of the parts.
"""

import zlib
from collections.abc import Callable
from functools import lru_cache

import anycrc
import attrs

from eliop2p.model.ranges import Extents

Bytes = bytes | memoryview

_PIECE = 1024 * 1024
"""
The libraries keep the interpreter's lock, so that they are given no more at a time.
"""


@attrs.frozen
class Crc:
    """
    A reflected CRC whose register begins with all bits set and is inverted at the end,
    as all those that stores use are.

    Attributes:
        name: What it is called here.
        width: Its length in bits.
        polynomial: Its generator without the highest term, lowest power in the highest
            bit.
        extend: Goes on from the CRC of what came before, 0 for nothing.
    """

    name: str
    width: int
    polynomial: int
    extend: Callable[[Bytes, int], int] = attrs.field(repr=False)

    def compute(self, data: Bytes, before: int = 0) -> int:
        """
        Give the CRC of what came before and data; runs in a thread.

        Args:
            data: At least one byte.
            before: The CRC of what came before, 0 for nothing.
        """
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            before = self.extend(view[start : start + _PIECE], before)
        return before

    def combine(self, first: int, second: int, length: int) -> int:
        """
        Give the CRC of two pieces, one after the other, from theirs.

        Args:
            first: The CRC of the first.
            second: The CRC of the second.
            length: The length of the second in bytes.
        """
        power = _power_of_x(self.polynomial, self.width, 8 * length)
        return _multiply(self.polynomial, self.width, power, first) ^ second

    def encode(self, value: int) -> bytes:
        """
        Write a CRC as stores do, before they put it into Base64.
        """
        return value.to_bytes(self.width // 8, "big")


def _multiply(polynomial: int, width: int, one: int, other: int) -> int:
    """
    Multiply two polynomials over GF(2), modulo a third; the highest bit is x^0.
    """
    product = 0
    bit = 1 << (width - 1)
    while one:
        if one & bit:
            product ^= other
            one ^= bit
        bit >>= 1
        other = (other >> 1) ^ (polynomial if other & 1 else 0)
    return product


@lru_cache(maxsize=1024)
def _power_of_x(polynomial: int, width: int, exponent: int) -> int:
    """
    Give x^exponent modulo the polynomial, by repeated squaring.
    """
    power = 1 << (width - 1)
    square = power >> 1
    while exponent:
        if exponent & 1:
            power = _multiply(polynomial, width, power, square)
        square = _multiply(polynomial, width, square, square)
        exponent >>= 1
    return power


def _library(model: str) -> Callable[[Bytes, int], int]:
    extend: Callable[[Bytes, int], int] = anycrc.Model(model).calc
    return extend


CRCS = {
    crc.name: crc
    for crc in (
        Crc("crc32", 32, 0xEDB88320, zlib.crc32),
        Crc("crc32c", 32, 0x82F63B78, _library("CRC32C")),
        Crc("crc64nvme", 64, 0x9A6C9329AC4BC9B5, _library("CRC64-NVME")),
        Crc("crc64ecma", 64, 0xC96C5795D7870F42, _library("CRC64-XZ")),
    )
}
"""
The CRCs that stores give, by name; ``crc64ecma`` is the one of Alibaba Cloud OSS.
"""


class CrcRuns:
    """
    The CRCs of an object's pieces, which come in any order: those of neighbours are
    combined at once, so that what is kept grows with the number of gaps alone.

    Args:
        crc: Which CRC.
    """

    def __init__(self, crc: Crc) -> None:
        self._crc = crc
        self._extents = Extents()
        self._by_start: dict[int, tuple[int, int]] = {}
        self._by_stop: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._by_start)

    def covers(self, start: int, length: int) -> bool:
        """
        Tell whether a piece is known.
        """
        return self._extents.covers(start, start + length)

    def add(self, start: int, length: int, value: int) -> None:
        """
        Take the CRC of a piece of which nothing is known yet.
        """
        stop = start + length
        self._extents.add(start, stop)
        if start in self._by_stop:
            start, before = self._take(self._by_stop[start])
            value = self._crc.combine(before, value, length)
        if stop in self._by_start:
            after_stop, after = self._by_start[stop]
            self._take(stop)
            value = self._crc.combine(value, after, after_stop - stop)
            stop = after_stop
        self._by_start[start] = (stop, value)
        self._by_stop[stop] = start

    def value(self, size: int) -> int | None:
        """
        Give the CRC of the whole object, None as long as pieces are missing.

        Args:
            size: The length of the object in bytes.
        """
        stop, value = self._by_start.get(0, (0, 0))
        return value if stop == size else None

    def _take(self, start: int) -> tuple[int, int]:
        stop, value = self._by_start.pop(start)
        del self._by_stop[stop]
        return start, value

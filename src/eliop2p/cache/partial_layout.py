"""
What the file of a partial chunk says, and which partial chunks are given up first.

The file has the chunk's bytes in their places, and holes where none came yet. Behind
them, from the next block on, there is a list of extents, each with the digest of its
bytes: only what matches is believed, so that it does not matter what a crash has left::

    partial/<chunk id>-<length>
        the chunk's bytes
        first byte, byte behind the last, origin (1) or peer (0), digest, check
        ...

When the chunk is whole the list is cut off and the file gets a chunk's name.
"""

import re
import struct
from collections.abc import Iterable
from typing import NamedTuple

import attrs
from blake3 import blake3

from eliop2p.cache.layout import BLOCK, decode_id, encode_id, size_on_disk
from eliop2p.model.chunk import ChunkId
from eliop2p.model.ranges import Extents, Interval

PARTIAL = "partial"

MOST_RECORDS = 2048
"""
How many extents a file lists at most: ranges of 4 KiB make up 8 MiB.
"""

_RECORD = struct.Struct(">QQB7x32s8s")
RECORD = _RECORD.size
_CHECK = 8

_NAME = re.compile(
    r"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])-([1-9a-f][0-9a-f]{0,11})\Z", re.ASCII
)


class PartialName(NamedTuple):
    """
    What the name of a file says.

    Attributes:
        chunk_id: Which chunk.
        length: Its length in bytes when it is whole.
    """

    chunk_id: ChunkId
    length: int

    def __str__(self) -> str:
        return f"{encode_id(self.chunk_id)}-{self.length:x}"

    @property
    def path(self) -> str:
        """
        Where the file is, from the root of the tier.
        """
        return f"{PARTIAL}/{self}"

    @property
    def records_at(self) -> int:
        """
        Where the list of extents begins in the file.
        """
        return size_on_disk(self.length)


def parse_partial(text: str) -> PartialName | None:
    """
    Read the name of a file; None when it is not ours.
    """
    found = _NAME.match(text)
    if found is None:
        return None
    return PartialName(ChunkId(decode_id(found.group(1))), int(found.group(2), 16))


@attrs.frozen
class Record:
    """
    One extent.

    Attributes:
        extent: Which bytes of the chunk.
        from_store: Whether they came from the store, not from a peer.
        digest: BLAKE3 of them.
    """

    extent: Interval
    from_store: bool
    digest: bytes

    def encode(self) -> bytes:
        """
        Write the record.
        """
        extent = self.extent
        fields = (extent.start, extent.stop, self.from_store, self.digest)
        packed = _RECORD.pack(*fields, bytes(_CHECK))
        return packed[:-_CHECK] + blake3(packed).digest(_CHECK)


def decode_records(data: bytes, length: int) -> tuple[Record, ...]:
    """
    Read a list of extents, up to the first that was not written to its end.

    Args:
        data: The list.
        length: Length of the chunk in bytes.
    """
    records = []
    for position in range(0, len(data) - RECORD + 1, RECORD):
        start, stop, source, digest, _ = _RECORD.unpack_from(data, position)
        record = Record(Interval(start, stop), bool(source), digest)
        if record.encode() != data[position : position + RECORD]:
            break
        if start < stop <= length:
            records.append(record)
    return tuple(records)


def bytes_taken(extents: Iterable[Interval], records: int) -> int:
    """
    Give the bytes that a file takes: its blocks with bytes in them, and the list.
    """
    blocks = Extents()
    for extent in extents:
        blocks.add(extent.start // BLOCK, -(-extent.stop // BLOCK))
    return blocks.total * BLOCK + size_on_disk(records * RECORD)


@attrs.frozen
class Standing:
    """
    What counts when partial chunks have to go.

    Attributes:
        chunk_id: Which one.
        size: The bytes it takes.
        part: How much of the chunk is there, 0 to 1.
        used: When it grew or was read last: a number that goes up.
    """

    chunk_id: ChunkId
    size: int
    part: float
    used: int


def to_give_up(standings: Iterable[Standing], amount: int) -> tuple[ChunkId, ...]:
    """
    Choose partial chunks to drop: of the half that was not used for longest, those of
    which least is there; so that what is nearly whole has a chance to become so.

    Args:
        standings: Those that may be dropped.
        amount: The bytes that must become free.

    Returns:
        Enough of them, none when there are not enough.
    """
    left = sorted(standings, key=lambda each: each.used)
    if sum(each.size for each in left) < amount:
        return ()
    chosen = []
    while amount > 0:
        older = left[: max(1, len(left) // 2)]
        victim = min(older, key=lambda each: each.part)
        left.remove(victim)
        chosen.append(victim.chunk_id)
        amount -= victim.size
    return tuple(chosen)

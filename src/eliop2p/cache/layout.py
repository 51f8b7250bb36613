"""
What the files of the directory tier are called.

A name says all there is to know of a chunk, so that a list of names is the index::

    FORMAT                                 the number of the format
    LOCK                                   locked by the process that uses the directory
    CEILING                                bytes that the directory does not exceed
    RECENT, RECENT.old                     the chunks that were used last
    tmp/                                   files that are being written
    partial/                               chunks that are not whole: partial_layout.py
    00/ ... ff/                            by the first byte of the chunk id
        <chunk id>-<length>-<digest>       base64url, hexadecimal, base64url
"""

import base64
import re
from binascii import a2b_base64
from collections.abc import Iterator
from typing import NamedTuple

import attrs

from eliop2p.model.chunk import ChunkId, Digest

FORMAT = 1
"""
The number of this format; goes up when an older program could not use the directory.
"""

FORMAT_FILE = "FORMAT"
LOCK_FILE = "LOCK"
CEILING_FILE = "CEILING"
RECENT_FILE = "RECENT"
RECENT_OLD_FILE = "RECENT.old"
TEMPORARY = "tmp"
FOLDERS = tuple(f"{number:02x}" for number in range(256))

BLOCK = 4096
"""
A file takes its length rounded up to this many bytes.
"""

# 32 bytes leave two unused bits in the last of 43 digits; only zeros are ours.
_NAME = (
    r"^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"
    r"-(0|[1-9a-f][0-9a-f]{0,11})-"
    r"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$"
)
_NAMES = re.compile(_NAME, re.MULTILINE)
_ALPHABET = bytes.maketrans(b"-_", b"+/")


class ChunkName(NamedTuple):
    """
    What the name of a file says.

    Attributes:
        chunk_id: Which chunk.
        length: Its length in bytes.
        digest: BLAKE3 of its content.
    """

    chunk_id: ChunkId
    length: int
    digest: Digest

    def __str__(self) -> str:
        return f"{encode_id(self.chunk_id)}-{self.length:x}-{encode_id(self.digest)}"

    @property
    def path(self) -> str:
        """
        Where the file is, from the root of the tier.
        """
        return f"{self.chunk_id[0]:02x}/{self}"


@attrs.frozen
class ParsedNames:
    """
    What the names in a folder say, in columns: the n-th of each belong together.

    Attributes:
        chunk_ids: Which chunks.
        lengths: Their lengths; equal ones are the same object.
        digests: Their digests.
        others: The names that are not ours.
    """

    chunk_ids: list[ChunkId]
    lengths: list[int]
    digests: list[Digest]
    others: list[str]

    def __iter__(self) -> Iterator[ChunkName]:
        return map(ChunkName, self.chunk_ids, self.lengths, self.digests)


def encode_id(value: bytes) -> str:
    """
    Write 32 bytes as 43 digits.
    """
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode_id(text: str) -> bytes:
    """
    Read 43 digits, of which the last leaves no bits unused.
    """
    return base64.urlsafe_b64decode(f"{text}=")


def _decode(texts: list[str]) -> list[bytes]:
    """
    Decode texts of 43 digits. A 44th digit makes each of them 33 whole bytes.
    """
    digits = "".join([f"{text}A" for text in texts]).encode("ascii")
    data = a2b_base64(digits.translate(_ALPHABET))
    return [data[start : start + 32] for start in range(0, len(data), 33)]


def parse_names(number: int, names: list[str]) -> ParsedNames:
    """
    Read the names of the files in a folder: all at once, since there may be a million.

    Args:
        number: The folder: the first byte of the chunk ids in it.
        names: The names.
    """
    text = "\n".join(names)
    found: list[tuple[str, str, str]] = _NAMES.findall(text)
    others: list[str] = []
    if len(found) != len(names) or text.count("\n") != max(0, len(names) - 1):
        ours = [name for name in names if len(_NAMES.findall(name)) == 1]
        ours = [name for name in ours if "\n" not in name]
        others = list(set(names).difference(ours))
        found = _NAMES.findall("\n".join(ours))
    chunk_ids = _decode([each[0] for each in found])
    digests = _decode([each[2] for each in found])
    lengths = {each[1]: int(each[1], 16) for each in found}
    parsed = ParsedNames(
        [ChunkId(chunk_id) for chunk_id in chunk_ids],
        [lengths[each[1]] for each in found],
        [Digest(digest) for digest in digests],
        others,
    )
    if any(chunk_id[0] != number for chunk_id in chunk_ids):
        return _without_strays(number, parsed)
    return parsed


def _without_strays(number: int, parsed: ParsedNames) -> ParsedNames:
    """
    Count files that are in the wrong folder among the others.
    """
    kept = [name for name in parsed if name.chunk_id[0] == number]
    strays = [str(name) for name in parsed if name.chunk_id[0] != number]
    return ParsedNames(
        [name.chunk_id for name in kept],
        [name.length for name in kept],
        [name.digest for name in kept],
        [*parsed.others, *strays],
    )


def size_on_disk(length: int) -> int:
    """
    Round a length up to whole blocks.
    """
    return -(-length // BLOCK) * BLOCK

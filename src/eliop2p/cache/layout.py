"""
What the files of the directory tier are called.

A name says all there is to know of a chunk, so that a list of names is the index::

    FORMAT                                 the number of the format
    LOCK                                   locked by the process that uses the directory
    tmp/                                   files that are being written
    00/ ... ff/                            by the first byte of the chunk id
        <chunk id>-<length>-<digest>       base64url, hexadecimal, base64url
"""

import base64
import re

import attrs

from eliop2p.model.chunk import ChunkId, Digest

FORMAT = 1
"""
The number of this format; goes up when an older program could not use the directory.
"""

FORMAT_FILE = "FORMAT"
LOCK_FILE = "LOCK"
TEMPORARY = "tmp"
FOLDERS = tuple(f"{number:02x}" for number in range(256))

BLOCK = 4096
"""
A file takes its length rounded up to this many bytes.
"""

# 32 bytes leave two unused bits in the last of 43 digits; only zeros are ours.
_NAME = re.compile(
    r"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"
    r"-(0|[1-9a-f][0-9a-f]{0,11})-"
    r"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])\Z"
)


@attrs.frozen
class ChunkName:
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
        return f"{_encode(self.chunk_id)}-{self.length:x}-{_encode(self.digest)}"

    @property
    def path(self) -> str:
        """
        Where the file is, from the root of the tier.
        """
        return f"{self.chunk_id[0]:02x}/{self}"


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=")


def parse_name(folder: str, name: str) -> ChunkName | None:
    """
    Read the name of a file.

    Args:
        folder: The folder it is in.
        name: Its name there.

    Returns:
        What it says, or None when the file is not one of ours.
    """
    found = _NAME.match(name)
    if found is None:
        return None
    chunk_id = _decode(found[1])
    if FOLDERS[chunk_id[0]] != folder:
        return None
    return ChunkName(ChunkId(chunk_id), int(found[2], 16), Digest(_decode(found[3])))


def size_on_disk(length: int) -> int:
    """
    Round a length up to whole blocks.
    """
    return -(-length // BLOCK) * BLOCK

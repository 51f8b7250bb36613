"""
Objects, their versions, and the chunks that they are cut into.
"""

import hashlib
from functools import cached_property, lru_cache
from typing import NewType

import attrs

from eliop2p.model.ranges import Interval

ChunkId = NewType("ChunkId", bytes)
"""
32 bytes: SHA-256 over all that makes the bytes of a chunk what they are.
"""

ObjectId = NewType("ObjectId", bytes)
"""
32 bytes: SHA-256 over an object's name, whatever its version.
"""

Digest = NewType("Digest", bytes)
"""
32 bytes: BLAKE3 of a chunk's content.
"""

MIB = 1024 * 1024


_NAMED = 16
"""
How many of an object's first chunks are named only once.
"""


@lru_cache(1024)
def _object_id(key: "ObjectKey") -> ObjectId:
    return ObjectId(
        _identity(b"object", key.store, key.bucket, key.key, key.version_id)
    )


def _identity(*parts: bytes) -> bytes:
    return _hashed(hashlib.sha256(), *parts).digest()


def _hashed(hasher: "hashlib._Hash", *parts: bytes) -> "hashlib._Hash":
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher


@attrs.frozen
class ObjectKey:
    """
    The name of an object.

    Attributes:
        store: Which store, as its operator names it: scheme, host and port.
        bucket: The bucket.
        key: The key, percent-decoded and otherwise as sent: ``.``, ``..`` and ``//``
            are literal in S3.
        version_id: The version the client asked for, empty for the current one.
    """

    store: bytes
    bucket: bytes
    key: bytes
    version_id: bytes = b""

    @property
    def object_id(self) -> ObjectId:
        """
        What the cluster calls the object.
        """
        return _object_id(self)


@attrs.frozen
class ObjectVersion:
    """
    Which bytes an object had.

    Attributes:
        etag: The strong ETag with its quotes, as the store sent it.
        size: Length in bytes.
    """

    etag: bytes
    size: int


@attrs.frozen
class Chunk:
    """
    One piece of one version of one object.

    Attributes:
        id: Its name in every cache and on the wire.
        index: Its place in the object, from 0.
        start: Where it starts in the object, in bytes.
        length: Its length in bytes.
    """

    id: ChunkId
    index: int
    start: int
    length: int

    @property
    def interval(self) -> Interval:
        """
        The bytes of the object that the chunk holds.
        """
        return Interval(self.start, self.start + self.length)


@attrs.frozen
class Layout:
    """
    How one version of an object is cut into chunks.

    An overwritten object has another ETag, hence other chunks: a mix of old and new
    bytes cannot be asked for.

    Attributes:
        key: The object.
        version: The version.
        chunk_size: Length of every chunk but the last, in bytes.
    """

    key: ObjectKey
    version: ObjectVersion
    chunk_size: int
    _named: dict[int, Chunk] = attrs.field(
        init=False, factory=dict, eq=False, repr=False
    )

    @cached_property
    def _common(self) -> "hashlib._Hash":
        """
        What the names of all chunks have in common.
        """
        return _hashed(
            hashlib.sha256(),
            b"chunk",
            self.key.store,
            self.key.bucket,
            self.key.key,
            self.key.version_id,
            self.version.etag,
            b"%d" % self.version.size,
            b"%d" % self.chunk_size,
        )

    @property
    def count(self) -> int:
        """
        The number of chunks; 0 for an empty object.
        """
        return -(-self.version.size // self.chunk_size)

    def chunk(self, index: int) -> Chunk:
        """
        Name one chunk.

        Args:
            index: From 0 to count - 1.

        Raises:
            IndexError: There is no such chunk.
        """
        named = self._named.get(index)
        if named is not None:
            return named
        if not 0 <= index < self.count:
            raise IndexError(index)
        start = index * self.chunk_size
        name = _hashed(self._common.copy(), b"%d" % index).digest()
        length = min(self.chunk_size, self.version.size - start)
        chunk = Chunk(ChunkId(name), index, start, length)
        if index < _NAMED:
            self._named[index] = chunk
        return chunk

    def covering(self, interval: Interval) -> range:
        """
        Give the indexes of the chunks that hold an interval of the object.
        """
        return range(
            interval.start // self.chunk_size, -(-interval.stop // self.chunk_size)
        )

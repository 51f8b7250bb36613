"""
What a node remembers of an object between two requests.
"""

import struct
from enum import IntEnum
from functools import cached_property, lru_cache

import attrs

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.chunk import Layout, ObjectKey, ObjectVersion

MAX_RECORD = 96 * 1024
"""
The longest encoded record, in bytes: a head is at most 64 KiB.
"""

_FORMAT = 1
_FIXED = struct.Struct(">BBQQ")
_LENGTH = struct.Struct(">I")
_MAX_FLAGS = 0b111


class Verdict(IntEnum):
    """
    What came of holding a version's bytes against the store's own checksum of them.
    """

    UNKNOWN = 0
    VERIFIED = 1
    UNOFFERED = 2
    FAILED = 3


@attrs.frozen
class ObjectRecord:
    """
    The version of an object that the store last told us of.

    Attributes:
        key: The object.
        version: Which bytes it had.
        chunk_size: The length of its chunks in bytes.
        head: The store's answer to a GET of the whole object: status line and headers,
            as bytes.
        whole: Whether the head answered a GET without Range; that of a 206 lacks what
            stores only say of whole objects, such as checksums.
        verdict: What this node found out about its own copy; not for others.
    """

    key: ObjectKey
    version: ObjectVersion
    chunk_size: int
    head: bytes
    whole: bool
    verdict: Verdict = Verdict.UNKNOWN

    @cached_property
    def layout(self) -> Layout:
        """
        How the version is cut into chunks.
        """
        return Layout(self.key, self.version, self.chunk_size)

    def encode(self) -> bytes:
        """
        Write the record for a disk or a peer.
        """
        flags = self.whole | self.verdict << 1
        parts = [
            _FIXED.pack(_FORMAT, flags, self.version.size, self.chunk_size),
        ]
        for field in (
            self.key.store,
            self.key.bucket,
            self.key.key,
            self.key.version_id,
            self.version.etag,
            self.head,
        ):
            parts += (_LENGTH.pack(len(field)), field)
        return b"".join(parts)


@lru_cache(256)
def decode_record(data: bytes) -> ObjectRecord:
    """
    Read what :meth:`ObjectRecord.encode` wrote.

    Raises:
        RemoteProtocolError: The bytes are not such a record.
    """
    if len(data) > MAX_RECORD or len(data) < _FIXED.size:
        raise RemoteProtocolError(f"object record of {len(data)} bytes")
    form, flags, size, chunk_size = _FIXED.unpack_from(data)
    if form != _FORMAT or flags > _MAX_FLAGS or not chunk_size:
        raise RemoteProtocolError(f"object record of format {form}")
    fields = []
    position = _FIXED.size
    for _ in range(6):
        stop = position + _LENGTH.size
        if stop > len(data):
            raise RemoteProtocolError("object record ends early")
        (length,) = _LENGTH.unpack_from(data, position)
        position = stop + length
        fields.append(data[stop:position])
    if position != len(data):
        raise RemoteProtocolError("object record has a wrong length")
    store, bucket, key, version_id, etag, head = fields
    return ObjectRecord(
        ObjectKey(store, bucket, key, version_id),
        ObjectVersion(etag, size),
        chunk_size,
        head,
        bool(flags & 1),
        Verdict(flags >> 1),
    )

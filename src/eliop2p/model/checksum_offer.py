"""
What a store says that the bytes of a whole object sum up to.
"""

import base64
import binascii
import re
from collections.abc import Callable

import attrs

from eliop2p.model.checksum import CRCS

ETAG_ALGORITHM = "md5"
"""
The algorithm of the checksum that many ETags are, though none promises to be it.
"""

MAX_DIGESTED = 5 * 1024**3
"""
The largest object whose MD5 or SHA is computed, in bytes: what S3 takes in one part.
"""

_LENGTHS = {
    "crc64nvme": 8,
    "crc32c": 4,
    "crc32": 4,
    "sha256": 32,
    "sha1": 20,
}
"""
What may follow ``x-amz-checksum-``, best first, and how many bytes its value has.
"""

_MD5_ETAG = re.compile(rb'"([0-9a-fA-F]{32})"\Z')
_DECIMAL = re.compile(rb"\d{1,20}\Z")


@attrs.frozen
class Check:
    """
    A checksum that a store gives for an object.

    Attributes:
        algorithm: A name in :data:`eliop2p.model.checksum.CRCS`, or what hashlib
            calls it.
        expected: Its value.
    """

    algorithm: str
    expected: bytes


Get = Callable[[bytes], bytes | None]


def offered(get: Get, size: int, *, whole: bool) -> Check | None:
    """
    Choose the check that costs least: a CRC, which can be combined out of those of the
    chunks, before those that need all bytes in order.

    Args:
        get: Gives the value of a header of the store's answer, by lower-case name.
        size: The length of the object in bytes.
        whole: Whether the answer was a 200. The checksums of a 206 may be those of a
            part.

    Returns:
        None when the store offers nothing that can be checked: in particular not for
        the ETag or the composite checksums of an upload in parts.
    """
    check = _ecma(get) or (_amz(get) if whole else None) or _etag(get)
    if check is None or (check.algorithm not in CRCS and size > MAX_DIGESTED):
        return None
    return check


def _ecma(get: Get) -> Check | None:
    value = get(b"x-oss-hash-crc64ecma") or b""
    if not _DECIMAL.match(value) or int(value) >= 1 << 64:
        return None
    return Check("crc64ecma", int(value).to_bytes(8, "big"))


def _amz(get: Get) -> Check | None:
    if (get(b"x-amz-checksum-type") or b"FULL_OBJECT").upper() != b"FULL_OBJECT":
        return None
    for algorithm, length in _LENGTHS.items():
        value = get(b"x-amz-checksum-" + algorithm.encode())
        expected = _decode(value) if value else b""
        if len(expected) == length:
            return Check(algorithm, expected)
    return None


def _decode(value: bytes) -> bytes:
    """
    Read Base64; what is none, such as ``...==-3`` of a composite, is empty.
    """
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return b""


def _etag(get: Get) -> Check | None:
    found = _MD5_ETAG.match(get(b"etag") or b"")
    if found is None or not _etag_may_be_md5(get):
        return None
    return Check(ETAG_ALGORITHM, bytes.fromhex(found.group(1).decode()))


def _etag_may_be_md5(get: Get) -> bool:
    """
    Tell whether nothing says that the ETag is none: a key of the client's or of KMS,
    or an object that grows.
    """
    if get(b"x-amz-server-side-encryption-customer-algorithm") is not None:
        return False
    encryption = get(b"x-amz-server-side-encryption") or b"AES256"
    kinds = (get(b"x-oss-object-type"), get(b"x-rgw-object-type"))
    return encryption == b"AES256" and all(
        kind is None or kind.lower() == b"normal" for kind in kinds
    )

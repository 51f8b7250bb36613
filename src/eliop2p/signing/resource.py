"""
What a request is about.
"""

from urllib.parse import unquote_to_bytes

import attrs


@attrs.frozen
class Resource:
    """
    A bucket or an object.

    Attributes:
        bucket: Decoded; empty for the store as a whole.
        key: Decoded; empty for the bucket as a whole.
        by_host: Whether Host names the bucket, and the path only the key.
    """

    bucket: bytes
    key: bytes
    by_host: bool = False


def path_style(target: bytes) -> Resource:
    """
    Read the resource of ``/bucket/key``.
    """
    path = target.partition(b"?")[0].removeprefix(b"/")
    bucket, _, key = path.partition(b"/")
    return Resource(unquote_to_bytes(bucket), unquote_to_bytes(key))

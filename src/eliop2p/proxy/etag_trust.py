"""
Whether the ETags of a bucket are MD5s, which no store says.
"""

from collections import OrderedDict

from eliop2p.model.chunk import ObjectKey

TRIES = 3
"""
After so many objects of a bucket whose ETag is not their MD5, and none whose is, ETags
mean something else there.
"""

_MAX_BUCKETS = 4096

_PROVEN = -1


class EtagTrust:
    """
    Learns from what was computed; remembers the buckets last asked for.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()

    def worth_trying(self, key: ObjectKey) -> bool:
        """
        Tell whether an ETag of the object's bucket may be an MD5.
        """
        return self._failures(key) < TRIES

    def proven(self, key: ObjectKey) -> bool:
        """
        Tell whether one was.
        """
        return self._failures(key) == _PROVEN

    def verified(self, key: ObjectKey) -> None:
        """
        The object's ETag is its MD5.
        """
        self._set(key, _PROVEN)

    def failed(self, key: ObjectKey) -> None:
        """
        The object's ETag is not the MD5 of the bytes that came.
        """
        if not self.proven(key):
            self._set(key, self._failures(key) + 1)

    def _failures(self, key: ObjectKey) -> int:
        return self._buckets.get((key.store, key.bucket), 0)

    def _set(self, key: ObjectKey, failures: int) -> None:
        bucket = (key.store, key.bucket)
        self._buckets[bucket] = failures
        self._buckets.move_to_end(bucket)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)

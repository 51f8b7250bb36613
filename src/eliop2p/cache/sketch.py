"""
How often chunks were asked for, approximately, in a few bytes for each.
"""

from struct import Struct

from eliop2p.model.chunk import ChunkId

USE = 4
"""
What one use counts. Halved once or twice it is still something: what waits for its next
use is told from what has none for long.
"""

MOST = 15 * USE
"""
A chunk counts as no more frequent than this.
"""

_SAMPLE = 4
_SMALLEST = 1024
_PLACES = Struct(">4Q")
_HALVED = bytes(count >> 1 for count in range(256))


class FrequencySketch:
    """
    A count-min sketch of four rows, without hashing: the name of a chunk is a hash.

    Counts are never too low, and halve when four times as many uses were counted as
    chunks are kept: the paper has ten times, by which what was popular long ago stays
    too long. A row has at least twice as many counters as there are chunks, and fewer
    than four times as many, of one byte each; a thousand at least.
    """

    def __init__(self) -> None:
        self._rows = [bytearray(_SMALLEST) for _ in range(4)]
        self._mask = _SMALLEST - 1
        self._counted = 0
        self._chunks = 1

    def make_room(self, chunks: int) -> None:
        """
        Grow to hold so many chunks; what has been counted stays.
        """
        self._chunks = max(self._chunks, chunks)
        while 2 * chunks > len(self._rows[0]):
            self._rows = [row * 2 for row in self._rows]
            self._mask = len(self._rows[0]) - 1

    def count(self, chunk_id: ChunkId) -> None:
        """
        Count a use.
        """
        mask = self._mask
        a, b, c, d = self._rows
        p, q, r, s = _PLACES.unpack(chunk_id)
        p, q, r, s = p & mask, q & mask, r & mask, s & mask
        low = min(a[p], b[q], c[r], d[s])
        if low < MOST:
            high = min(low + USE, MOST)
            a[p] = max(a[p], high)
            b[q] = max(b[q], high)
            c[r] = max(c[r], high)
            d[s] = max(d[s], high)
        self._counted += 1
        if self._counted >= _SAMPLE * self._chunks:
            self._halve()

    def frequency(self, chunk_id: ChunkId) -> int:
        """
        Estimate how often a chunk was used lately, times :data:`USE`, up to
        :data:`MOST`.
        """
        mask = self._mask
        a, b, c, d = self._rows
        p, q, r, s = _PLACES.unpack(chunk_id)
        low: int = min(a[p & mask], b[q & mask], c[r & mask], d[s & mask])
        return low

    def _halve(self) -> None:
        self._counted //= 2
        self._rows = [row.translate(_HALVED) for row in self._rows]

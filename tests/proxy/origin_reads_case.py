"""
An object in chunks, for tests of reads from the store.
"""

from eliop2p.base.errors import (
    CorruptChunk,
)
from eliop2p.http1.message import ResponseHead
from eliop2p.model.chunk import Chunk, Layout, ObjectKey, ObjectVersion
from eliop2p.model.ranges import Interval
from tests.proxy.fakes import FakeSink

ETAG = b'"e1"'
DATA = bytes(range(100))
LAYOUT = Layout(ObjectKey(b"http://s", b"b", b"k"), ObjectVersion(ETAG, len(DATA)), 32)
CHUNKS = [LAYOUT.chunk(index) for index in range(LAYOUT.count)]
WHOLE = Interval(0, len(DATA))
OK = ResponseHead(200, b"OK", ((b"Content-Length", b"100"), (b"ETag", ETAG)))


def content(chunk: Chunk) -> bytes:
    """
    Give what a chunk must hold.
    """
    return DATA[chunk.start : chunk.interval.stop]


class ContradictedSink(FakeSink):
    """
    Has other bytes than the store, from a position on.
    """

    def __init__(self, chunk: Chunk, position: int) -> None:
        super().__init__(chunk)
        self.position = position

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """
        Refuse bytes that differ.
        """
        if offset + len(data) > self.position:
            raise CorruptChunk("others came before")
        super().write(offset, data)

"""
Tests for :mod:`eliop2p.cache.shared_origin`, through the chunk manager.
"""

from twisted.internet.defer import Deferred

from eliop2p.base.errors import (
    ChunkUnavailable,
    OriginRefused,
    OriginUnavailable,
)
from eliop2p.interfaces import IChunkSink
from eliop2p.model.chunk import Chunk
from tests.cache.doubles import FakeOrigin, chunk_of
from tests.cache.flight_case import LENGTH, FlightCase


class RightsTests(FlightCase):
    """
    With whose right the store is read.
    """

    def read_store(self) -> Deferred[None]:
        """
        Have the source read the store.
        """
        fetch = self.source.fetches[0]
        return fetch.origin.read(fetch.sink)

    def sink(self) -> IChunkSink:
        """
        Give the sink of the first fetch.
        """
        return self.source.fetches[0].sink

    def chunk(self) -> Chunk:
        """
        Give the chunk that is read.
        """
        return chunk_of(1, LENGTH)

    def test_first(self) -> None:
        """
        The first right that allows it is used; the others are passed over in the end.
        """
        origins = [FakeOrigin() for _ in range(3)]
        readings = [self.open(1, origin) for origin in origins]
        origins[0].readable = False
        self.read_store()
        self.assertEqual([len(origin.reads) for origin in origins], [0, 1, 0])
        self.source.serve(1, LENGTH)
        self.assertEqual([len(origin.passed) for origin in origins], [1, 0, 1])
        for reading in readings:
            reading.close()

    def test_taken_over(self) -> None:
        """
        When the store refuses one client, or it goes away, the right of the next one is
        used.
        """
        origins = [FakeOrigin() for _ in range(3)]
        readings = [self.open(1, origin) for origin in origins]
        done = self.read_store()
        origins[0].reads[0].errback(OriginRefused(403, "expired"))
        readings[1].close()
        origins[1].reads[0].errback(OriginUnavailable("the client has gone"))
        self.assertNoResult(done)
        origins[2].reads[0].callback(None)
        self.assertIsNone(self.successResultOf(done))
        readings[0].close()
        readings[2].close()

    def test_store_down(self) -> None:
        """
        When the store does not answer, the others do not ask it all over again.
        """
        origins = [FakeOrigin() for _ in range(2)]
        readings = [self.open(1, origin) for origin in origins]
        done = self.read_store()
        origins[0].reads[0].errback(OriginUnavailable("timed out"))
        self.failureResultOf(done, OriginUnavailable)
        self.assertEqual(origins[1].reads, [])
        for reading in readings:
            reading.close()

    def test_none(self) -> None:
        """
        Without a right that allows it the chunk cannot be read.
        """
        origin = FakeOrigin()
        reading = self.open(1, origin)
        origin.readable = False
        shared = self.source.fetches[0].origin
        self.assertFalse(shared.can_read(self.chunk()))
        self.failureResultOf(self.read_store(), ChunkUnavailable)
        reading.close()

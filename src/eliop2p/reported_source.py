"""
The chunks that a node holds, as the control plane hears of them.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.control.service import ControlService
from eliop2p.interfaces import Fetched, IChunkOrigin, IChunkSink, IChunkSource
from eliop2p.model.chunk import ChunkId, Digest


@implementer(IChunkSource)
class ReportedSource:
    """
    The swarm as a source of chunks; the control plane hears of what is held.

    Attributes:
        opened: See :meth:`IChunkSource.opened`; homes are told.
    """

    def __init__(self, source: IChunkSource) -> None:
        self._source = source
        # Asked for every small hit, so that a call less counts.
        self.opened = source.opened
        self.control: ControlService | None = None

    def fetch(self, sink: IChunkSink, origin: IChunkOrigin) -> "Deferred[Fetched]":
        """
        Get a chunk.
        """
        return self._source.fetch(sink, origin)

    def announce(self, chunk_id: ChunkId, digest: Digest) -> None:
        """
        Tell homes and control plane.
        """
        self._source.announce(chunk_id, digest)
        if self.control is not None:
            self.control.note_held(chunk_id)

    def withdraw(self, chunk_id: ChunkId) -> None:
        """
        Tell homes and control plane.
        """
        self._source.withdraw(chunk_id)
        if self.control is not None:
            self.control.note_gone(chunk_id)

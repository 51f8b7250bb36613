"""
The rights of all who wait for the same chunk.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import ChunkUnavailable, OriginError, OriginRefused
from eliop2p.interfaces import IChunkOrigin, IChunkSink
from eliop2p.model.chunk import Chunk

_TRIES = 3


@implementer(IChunkOrigin)
class SharedOrigin:
    """
    Reads from the store with the right of whoever still has one.

    A client that goes away, or that the store refuses, does not take the chunk with it
    while others wait for it.

    Args:
        chunk: The one they wait for.
    """

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._origins: list[IChunkOrigin] = []
        self._told: list[IChunkOrigin] = []
        self._finished = False

    def join(self, origin: IChunkOrigin) -> None:
        """
        Somebody waits, too.
        """
        if self._finished:
            origin.passed_over(self._chunk)
        else:
            self._origins.append(origin)

    def leave(self, origin: IChunkOrigin) -> None:
        """
        Somebody waits no more; the last right is kept for what goes on without readers.
        """
        if len(self._origins) > 1 and origin in self._origins:
            self._origins.remove(origin)

    def can_read(self, chunk: Chunk) -> bool:
        """
        Tell whether one of the rights allows to read the chunk at this moment.
        """
        return self._usable(chunk) is not None

    def read(self, sink: IChunkSink) -> Deferred[None]:
        """
        Fill the chunk, going on with another right when one is refused or ends.
        """
        return Deferred.fromCoroutine(self._read(sink))

    def passed_over(self, chunk: Chunk) -> None:
        """
        Tell everybody who was not told and has not read.
        """
        for origin in tuple(self._origins):
            if origin not in self._told:
                self._told.append(origin)
                origin.passed_over(chunk)

    def finish(self) -> None:
        """
        The chunk is there: rights that have not been used are not needed any more.
        """
        self._finished = True
        self.passed_over(self._chunk)
        self._origins.clear()

    def _usable(self, chunk: Chunk) -> IChunkOrigin | None:
        return next(
            (origin for origin in self._origins if origin.can_read(chunk)), None
        )

    async def _read(self, sink: IChunkSink) -> None:
        for last in (False,) * (_TRIES - 1) + (True,):
            origin = self._usable(sink.chunk)
            if origin is None:
                raise ChunkUnavailable("no client's request allows to read it")
            if origin not in self._told:
                self._told.append(origin)
            try:
                await origin.read(sink)
            except OriginError as error:
                refused = isinstance(error, OriginRefused)
                if last or not self._replace(origin, refused=refused):
                    raise
            else:
                return

    def _replace(self, failed: IChunkOrigin, *, refused: bool) -> bool:
        """
        Put a right aside that is worth no more, if there is another one.
        """
        if not refused and failed in self._origins and failed.can_read(self._chunk):
            return False
        others = [origin for origin in self._origins if origin is not failed]
        if not any(origin.can_read(self._chunk) for origin in others):
            return False
        self._origins = others
        return True

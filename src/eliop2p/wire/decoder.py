"""
Bytes to messages, bounded.

The decoder refuses a frame by its header, before it holds any of it, and never holds
the bytes of a chunk: those come out in the pieces in which they arrive.
"""

from collections.abc import Iterator
from typing import cast

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.wire.cluster_events import Last
from eliop2p.wire.codec import BY_KIND, HEADER, MAX_CONTROL, MAX_DATA, Frame
from eliop2p.wire.events import MINOR, Data, Done, Message
from eliop2p.wire.fields import Reader


class FrameDecoder:
    """
    Finds the messages in a stream of bytes that may be cut anywhere.

    Holds at most one frame without bytes of a chunk, and no such bytes. After it has
    raised an error it must not be used any more.

    Attributes:
        peer_minor: The minor version that the other side speaks: of a newer one than
            ours, unknown frames are skipped.
        limit: The longest payload accepted at the moment, in bytes.
    """

    def __init__(self, peer_minor: int = MINOR, limit: int = MAX_DATA) -> None:
        self.peer_minor = peer_minor
        self.limit = limit
        self._gathered = bytearray()
        self._wanted = HEADER.size
        self._frame: Frame | None = None
        self._following = 0  # Bytes of the frame that come after what is wanted.
        self._passing = 0  # Bytes that go by without being gathered...
        self._request_id = 0  # ...as DATA of this request, or nowhere when it is 0.
        self._ending: Done | None = None  # What comes out after them.

    @property
    def buffered(self) -> int:
        """
        The number of bytes held.
        """
        return len(self._gathered)

    @property
    def awaited(self) -> tuple[int, int] | None:
        """
        The request whose bytes of a chunk come next, and how many of them; None when
        they are anything else.
        """
        if self._passing and self._request_id:
            return self._request_id, self._passing
        return None

    def passed(self, size: int) -> Done | None:
        """
        Take note of bytes that were awaited and have been taken by somebody else.

        Args:
            size: At most as many as were awaited.

        Returns:
            What ends the request, when they were the last ones.

        Raises:
            LocalProtocolError: They are more.
        """
        if size > self._passing:
            raise LocalProtocolError(f"{size} bytes of the {self._passing} awaited")
        self._passing -= size
        return self._end()

    def feed(self, data: bytes | memoryview) -> Iterator[Message]:
        """
        Take what has arrived.

        Args:
            data: Any number of bytes. They are not copied for :class:`Data`, which
                gives views of them.

        Returns:
            The messages that are complete; each is decoded only when it is asked for,
            and all must be before the next call.

        Raises:
            RemoteProtocolError: The bytes are not frames as they should be (while
                iterating).
        """
        view = memoryview(data)
        while True:
            if self._passing:
                piece = view[: self._passing]
                if not piece:
                    return
                self._passing -= len(piece)
                view = view[len(piece) :]
                if self._request_id:
                    yield Data(self._request_id, piece)
                ended = self._end()
                if ended is not None:
                    yield ended
                continue
            block, view = self._gather(view)
            if block is None:
                return
            message = self._step(block)
            if message is not None:
                yield message

    @property
    def midway(self) -> bool:
        """
        Whether a frame has begun whose end is waited for; bytes of chunks aside.
        """
        return bool(self._gathered) or self._frame is not None

    def _gather(self, view: memoryview) -> tuple[memoryview | None, memoryview]:
        """
        Take the block that is wanted off the view, or keep the view for later.
        """
        if not self._gathered and len(view) >= self._wanted:
            return view[: self._wanted], view[self._wanted :]
        missing = self._wanted - len(self._gathered)
        self._gathered += view[:missing]
        if len(self._gathered) < self._wanted:
            return None, view[missing:]
        block = memoryview(self._gathered)
        self._gathered = bytearray()
        return block, view[missing:]

    def _step(self, block: memoryview) -> Message | None:
        if self._frame is None:
            self._begin(*HEADER.unpack(block))
            return None
        frame, self._frame = self._frame, None
        self._wanted = HEADER.size
        reader = Reader(block)
        message = cast("Message", frame.layout.read(reader))
        reader.finish()
        if isinstance(message, Data | Last):
            self._request_id, self._passing = message.request_id, self._following
            if isinstance(message, Last):
                self._ending = Done(message.request_id, message.digest)
            return None
        return message

    def _end(self) -> Done | None:
        """
        Tell what comes out after the bytes that go by, once they all have.
        """
        if self._passing:
            return None
        ending, self._ending = self._ending, None
        return ending

    def _begin(self, length: int, kind: int, flags: int, reserved: int) -> None:
        if flags or reserved:
            raise RemoteProtocolError("a frame has flags that mean nothing")
        frame = BY_KIND.get(kind)
        if length > min(self.limit, frame.maximum if frame else MAX_CONTROL):
            raise RemoteProtocolError(f"a frame of type {kind} has {length} bytes")
        if frame is None:
            self._skip(kind, length)
            return
        self._frame, self._wanted = frame, length
        if frame.streamed:
            self._wanted = frame.layout.maximum
            self._following = length - self._wanted
            if self._following < 1:
                raise RemoteProtocolError(f"{frame.message.__name__} without bytes")

    def _skip(self, kind: int, length: int) -> None:
        if self.peer_minor <= MINOR:
            raise RemoteProtocolError(f"there is no frame of type {kind}")
        self._request_id, self._passing = 0, length

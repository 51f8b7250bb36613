"""
Messages to bytes and back, bounded.

A frame is ``length:u32 | type:u8 | flags:u8 | reserved:u16`` and a payload of that
length. The decoder refuses a frame by its header, before it holds any of it, and never
holds the bytes of a chunk: those come out in the pieces in which they arrive.
"""

import struct
from collections.abc import Iterator
from typing import cast

import attrs

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.model.peer import PeerInfo
from eliop2p.model.record import MAX_RECORD
from eliop2p.wire.cluster_events import (
    MAX_ASKED,
    MAX_HELD,
    MAX_LISTED,
    MAX_NAMED,
    MAX_RECORD_LISTED,
    MAX_UPDATES,
    AskHolders,
    AskTally,
    FindObject,
    ForgetObject,
    FoundObject,
    HeldBy,
    ListedObjects,
    ListObjects,
    MemberUpdate,
    Probe,
    Probed,
    PublishObject,
    Rumour,
    Standing,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    MAX_BATCH,
    MAX_HOLDERS,
    MINOR,
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Gone,
    Goodbye,
    Have,
    Hello,
    Holder,
    Leased,
    Locate,
    Located,
    Message,
    Opened,
    Ping,
    Pong,
    Proof,
    Verdict,
)
from eliop2p.wire.fields import (
    Field,
    Reader,
    blob,
    choice,
    fixed,
    flag,
    label,
    name,
    number,
    optional,
    pair,
    record,
    several,
    thousandths,
)

MAX_CONTROL = 128 * 1024
"""
The longest payload of any frame but DATA, in bytes.
"""

MAX_DATA = 1024 * 1024
"""
The longest payload of a DATA frame, in bytes.
"""

_HEADER = struct.Struct(">IBBH")
_MAJOR = ("major", number(2))
_MINOR = ("minor", number(2))
_NODE = ("node_id", name())
_REQUEST = ("request_id", number(4, least=1))
_CHUNK = ("chunk_id", fixed(32))
_OBJECT = ("object_id", fixed(32))
_TICKET = ("ticket", number(8))
_RECORD = ("record", blob(MAX_RECORD))
_HOLDER = record(
    Holder, _NODE, ("complete", flag()), ("host", label(253)), ("port", number(2))
)
_PEER = record(
    PeerInfo,
    _NODE,
    ("host", label(253)),
    ("port", number(2)),
    ("proxy_port", number(2)),
    ("zone", label(255)),
    ("weight", thousandths()),
)
_UPDATE = record(
    MemberUpdate,
    ("standing", choice(Standing)),
    ("incarnation", number(8)),
    ("node", _PEER),
)
_UPDATES = ("updates", several(_UPDATE, MAX_UPDATES))
_HELD = record(HeldBy, ("holders", blob(MAX_HELD)), ("heat", number(4)))


@attrs.frozen
class Frame:
    """
    One type of frame.

    Attributes:
        kind: Its type number.
        message: The class of its message.
        parts: The fields of its payload, by name.
        layout: The fields in one.
        streamed: Whether bytes of a chunk follow the fields, to the end of the frame.
    """

    kind: int
    message: type[Message]
    parts: tuple[tuple[str, Field], ...]
    layout: Field
    streamed: bool = False

    @property
    def maximum(self) -> int:
        """
        The longest payload, in bytes.
        """
        return MAX_DATA if self.streamed else self.layout.maximum


def _frame(kind: int, message: type[Message], *parts: tuple[str, Field]) -> Frame:
    return Frame(kind, message, parts, record(message, *parts))


def _data_frame(kind: int) -> Frame:
    layout = record(lambda request_id: Data(request_id, b""), _REQUEST)
    return Frame(kind, Data, (_REQUEST,), layout, streamed=True)


FRAMES = (
    _frame(1, Hello, _MAJOR, _MINOR, _NODE, ("nonce", fixed(32))),
    _frame(2, Proof, ("mac", fixed(32))),
    _frame(
        3,
        Locate,
        _REQUEST,
        _CHUNK,
        ("filled", number(8)),
        ("can_read", flag()),
        ("rejected", several(name(), MAX_HOLDERS)),
    ),
    _frame(
        4,
        Located,
        _REQUEST,
        ("verdict", choice(Verdict)),
        _TICKET,
        ("digest", optional(32)),
        ("holders", several(_HOLDER, MAX_HOLDERS)),
    ),
    _frame(5, Have, ("chunks", several(pair(fixed(32), fixed(32)), MAX_BATCH))),
    _frame(6, Gone, ("chunk_ids", several(fixed(32), MAX_BATCH))),
    _frame(7, Leased, _CHUNK, _NODE),
    _frame(8, Get, _REQUEST, _CHUNK, ("offset", number(8)), _TICKET),
    _data_frame(9),
    _frame(10, Done, _REQUEST, ("digest", fixed(32))),
    _frame(11, Cancel, _REQUEST),
    _frame(12, Fail, _REQUEST, ("fault", choice(Fault))),
    _frame(13, FindObject, _REQUEST, _OBJECT),
    _frame(14, FoundObject, _REQUEST, _RECORD),
    _frame(15, PublishObject, _OBJECT, _RECORD),
    _frame(16, ForgetObject, _OBJECT),
    _frame(17, Ping, _REQUEST),
    _frame(18, Pong, _REQUEST),
    _frame(19, Goodbye),
    _frame(
        20,
        Probe,
        _REQUEST,
        ("target", name()),
        ("whole", flag()),
        _UPDATES,
    ),
    _frame(21, Probed, _REQUEST, ("reached", flag()), _UPDATES),
    _frame(22, Rumour, _UPDATES),
    _frame(
        23,
        ListObjects,
        _REQUEST,
        ("bucket", blob(255)),
        ("prefix", blob(1024)),
        ("skip", number(4)),
    ),
    _frame(
        24,
        ListedObjects,
        _REQUEST,
        ("more", number(4)),
        ("records", several(pair(fixed(32), blob(MAX_RECORD_LISTED)), MAX_LISTED)),
    ),
    _frame(25, AskHolders, _REQUEST, ("chunk_ids", several(fixed(32), MAX_ASKED))),
    _frame(
        26,
        ToldHolders,
        _REQUEST,
        ("names", several(name(), MAX_NAMED)),
        ("held", several(_HELD, MAX_ASKED)),
    ),
    _frame(27, AskTally, _REQUEST),
    _frame(
        28,
        ToldTally,
        _REQUEST,
        *((each, number(8)) for each in ("seconds", "served", "store")),
    ),
    _frame(29, Opened, ("chunks", several(pair(fixed(32), number(4)), MAX_BATCH))),
)
"""
Every type of frame: the protocol as a table.
"""

_BY_KIND = {frame.kind: frame for frame in FRAMES}
_BY_MESSAGE = {frame.message: frame for frame in FRAMES}
_DATA = _BY_MESSAGE[Data]
MAX_HELLO = _BY_MESSAGE[Hello].maximum
"""
The longest payload before a connection is established, in bytes.
"""


def encode(message: Message) -> bytes:
    """
    Write a message, header included.

    Raises:
        LocalProtocolError: A value does not fit its field, or the message is a DATA,
            whose bytes are not to be copied: see :func:`encode_data_header`.
    """
    frame = _BY_MESSAGE[type(message)]
    if frame.streamed:
        raise LocalProtocolError("DATA is sent as a header and a payload")
    payload = frame.layout.write(message)
    return _HEADER.pack(len(payload), frame.kind, 0, 0) + payload


def encode_data_header(request_id: int, length: int) -> bytes:
    """
    Write what goes before some bytes of a chunk.

    Args:
        request_id: Of the GET.
        length: How many bytes of the chunk follow.

    Raises:
        LocalProtocolError: They do not fit into one frame, or there are none.
    """
    size = _DATA.layout.maximum + length
    if length < 1 or size > MAX_DATA:
        raise LocalProtocolError(f"DATA of {length} bytes")
    header = _HEADER.pack(size, _DATA.kind, 0, 0)
    return header + _DATA.layout.write(Data(request_id, b""))


class FrameDecoder:
    """
    Finds the messages in a stream of bytes that may be cut anywhere.

    Holds at most one frame that is not DATA, and no bytes of chunks. After it has
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
        self._wanted = _HEADER.size
        self._frame: Frame | None = None
        self._following = 0  # Bytes of the frame that come after what is wanted.
        self._passing = 0  # Bytes that go by without being gathered...
        self._request_id = 0  # ...as DATA of this request, or nowhere when it is 0.

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

    def passed(self, size: int) -> None:
        """
        Take note of bytes that were awaited and have been taken by somebody else.

        Args:
            size: At most as many as were awaited.

        Raises:
            LocalProtocolError: They are more.
        """
        if size > self._passing:
            raise LocalProtocolError(f"{size} bytes of the {self._passing} awaited")
        self._passing -= size

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
            self._begin(*_HEADER.unpack(block))
            return None
        frame, self._frame = self._frame, None
        self._wanted = _HEADER.size
        reader = Reader(block)
        message = cast("Message", frame.layout.read(reader))
        reader.finish()
        if isinstance(message, Data):
            self._request_id, self._passing = message.request_id, self._following
            return None
        return message

    def _begin(self, length: int, kind: int, flags: int, reserved: int) -> None:
        if flags or reserved:
            raise RemoteProtocolError("a frame has flags that mean nothing")
        frame = _BY_KIND.get(kind)
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
                raise RemoteProtocolError("DATA without bytes")

    def _skip(self, kind: int, length: int) -> None:
        if self.peer_minor <= MINOR:
            raise RemoteProtocolError(f"there is no frame of type {kind}")
        self._request_id, self._passing = 0, length

"""
Messages to bytes: the protocol as a table.

A frame is ``length:u32 | type:u8 | flags:u8 | reserved:u16`` and a payload of that
length.
"""

import struct

import attrs

from eliop2p.base.errors import LocalProtocolError
from eliop2p.model.chunk import Digest
from eliop2p.model.peer import PeerInfo
from eliop2p.model.record import MAX_RECORD
from eliop2p.wire.cluster_events import (
    MAX_ASKED,
    MAX_HELD,
    MAX_INLINED,
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
    Inlined,
    Last,
    ListedObjects,
    ListObjects,
    MemberUpdate,
    Probe,
    Probed,
    PublishObject,
    Rate,
    Rumour,
    Standing,
    ToldHolders,
    ToldTally,
)
from eliop2p.wire.events import (
    MAX_BATCH,
    MAX_HOLDERS,
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
The longest payload of any frame without bytes of a chunk, in bytes.
"""

MAX_DATA = 2 * 1024 * 1024
"""
The longest payload of a frame with bytes of a chunk, in bytes.
"""

HEADER = struct.Struct(">IBBH")
"""
What every frame begins with: length of the payload, type, flags, reserved.
"""

_MAJOR = ("major", number(2))
_MINOR = ("minor", number(2))
_NODE = ("node_id", name())
_REQUEST = ("request_id", number(4, least=1))
_CHUNK = ("chunk_id", fixed(32))
_OBJECT = ("object_id", fixed(32))
_DIGEST = ("digest", fixed(32))
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
    _frame(10, Done, _REQUEST, _DIGEST),
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
    _frame(30, Inlined, _REQUEST, _DIGEST, ("data", blob(MAX_INLINED))),
    Frame(
        31, Last, (_REQUEST, _DIGEST), record(Last, _REQUEST, _DIGEST), streamed=True
    ),
    _frame(32, Rate, ("rate", number(8)), ("wanted", flag()), ("slow", flag())),
)
"""
Every type of frame: the protocol as a table.
"""

BY_KIND = {frame.kind: frame for frame in FRAMES}
"""
The same by their numbers.
"""

_BY_MESSAGE = {frame.message: frame for frame in FRAMES}
_DATA = _BY_MESSAGE[Data]
_LAST = _BY_MESSAGE[Last]
MAX_HELLO = _BY_MESSAGE[Hello].maximum
"""
The longest payload before a connection is established, in bytes.
"""

MAX_PIECE = MAX_DATA - _LAST.layout.maximum
"""
The most bytes of a chunk that fit into either frame for them.
"""


def encode(message: Message) -> bytes:
    """
    Write a message, header included.

    Raises:
        LocalProtocolError: A value does not fit its field, or bytes of a chunk follow,
            which are not to be copied: see :func:`encode_data_header`.
    """
    frame = _BY_MESSAGE[type(message)]
    if frame.streamed:
        raise LocalProtocolError("bytes of a chunk are sent after their header")
    payload = frame.layout.write(message)
    return HEADER.pack(len(payload), frame.kind, 0, 0) + payload


def encode_data_header(
    request_id: int, length: int, digest: Digest | None = None
) -> bytes:
    """
    Write what goes before some bytes of a chunk.

    Args:
        request_id: Of the GET.
        length: How many bytes of the chunk follow.
        digest: Of the chunk, when they are its last and end the answer.

    Raises:
        LocalProtocolError: They do not fit into one frame, or there are none.
    """
    frame = _DATA if digest is None else _LAST
    size = frame.layout.maximum + length
    if length < 1 or size > MAX_DATA:
        raise LocalProtocolError(f"DATA of {length} bytes")
    begin = Data(request_id, b"") if digest is None else Last(request_id, digest)
    return HEADER.pack(size, frame.kind, 0, 0) + frame.layout.write(begin)

"""
The messages that two nodes exchange.

Requests carry a request id that is unique among the open requests of the side that
asks; answers repeat it. Messages without one are one-way: they may be lost with the
connection, and nothing waits for them.
"""

from enum import IntEnum

import attrs

from eliop2p.model.chunk import ChunkId, Digest, ObjectId
from eliop2p.model.peer import PeerInfo

MAJOR = 1
MINOR = 0
"""
The version of the protocol: nodes of different majors do not talk; of a newer minor,
unknown frames are skipped.
"""

MAX_BATCH = 512
"""
The most chunks in one HAVE or GONE.
"""

MAX_HOLDERS = 16
"""
The most holders in one LOCATED, and rejected nodes in one LOCATE.
"""


MAX_UPDATES = 128
"""
The most members that one message tells of.
"""


class Verdict(IntEnum):
    """
    What a home says of a chunk.
    """

    HOLDERS = 1
    """
    Ask these nodes. When there are none, nobody has the chunk or will have it: that is
    what an asker is told that cannot read the store.
    """
    LEASE = 2
    """
    Read it from the store; others will be sent to you.
    """
    WAIT = 3
    """
    Ask again shortly: somebody else has the lease and cannot be asked.
    """
    NOT_HOME = 4
    """
    The node that was asked does not believe to be a home of the chunk.
    """


class Fault(IntEnum):
    """
    Why a request was not fulfilled.
    """

    MISSING = 1
    """
    The chunk is not here.
    """
    BEHIND = 2
    """
    The chunk is arriving here, but not ahead of the one who asks.
    """
    BUSY = 3
    """
    No upload slot is free.
    """
    FAILED = 4
    """
    The chunk was arriving here and will not arrive.
    """
    BAD = 5
    """
    The request makes no sense.
    """


@attrs.frozen
class Hello:
    """
    The first message each way.

    Attributes:
        major: :data:`MAJOR` of the sender.
        minor: :data:`MINOR` of the sender.
        node_id: Who sends.
        nonce: 32 fresh random bytes.
    """

    major: int
    minor: int
    node_id: str
    nonce: bytes


@attrs.frozen
class Proof:
    """
    Shows that the sender knows the cluster secret, without showing the secret. The side
    that connected proves first.

    Attributes:
        mac: 32 bytes, HMAC-SHA-256 over role, nonces and node ids.
    """

    mac: bytes


@attrs.frozen
class Locate:
    """
    Asks a home who has a chunk, and registers the asker as receiving it.

    Attributes:
        request_id: For the answer.
        chunk_id: Which chunk.
        filled: Bytes of it that the asker has, from its start.
        can_read: Whether the asker could read it from the store.
        rejected: Node ids that just failed the asker.
    """

    request_id: int
    chunk_id: ChunkId
    filled: int
    can_read: bool
    rejected: tuple[str, ...]


@attrs.frozen
class Holder:
    """
    A node worth asking.

    Attributes:
        node_id: Who.
        complete: Whether it holds the whole chunk; else the chunk is arriving there.
    """

    node_id: str
    complete: bool


@attrs.frozen
class Located:
    """
    Answers :class:`Locate`.

    Attributes:
        request_id: Of the question.
        verdict: What to do.
        ticket: The asker's place in the order of those receiving the chunk.
        digest: BLAKE3 of the chunk, empty while nobody has said.
        holders: Best first; only with ``HOLDERS``.
    """

    request_id: int
    verdict: Verdict
    ticket: int
    digest: bytes
    holders: tuple[Holder, ...]

    @property
    def is_hopeless(self) -> bool:
        """
        Whether nobody has the chunk or will have it, as far as the home knows.
        """
        return self.verdict is Verdict.HOLDERS and not self.holders


@attrs.frozen
class Have:
    """
    One-way: the sender holds these chunks.

    Attributes:
        chunks: Ids and digests, at most :data:`MAX_BATCH`.
    """

    chunks: tuple[tuple[ChunkId, Digest], ...]


@attrs.frozen
class Gone:
    """
    One-way: the sender holds these chunks no longer, or stopped receiving them.

    Attributes:
        chunk_ids: At most :data:`MAX_BATCH`.
    """

    chunk_ids: tuple[ChunkId, ...]


@attrs.frozen
class Leased:
    """
    One-way, from the first home of a chunk to the next: this node reads it from the
    store now.

    Attributes:
        chunk_id: Which chunk.
        node_id: Who reads.
    """

    chunk_id: ChunkId
    node_id: str


@attrs.frozen
class Get:
    """
    Asks for bytes of a chunk.

    Attributes:
        request_id: For the answer.
        chunk_id: Which chunk.
        offset: The first byte wanted.
        ticket: The asker's place among those receiving it; 0 when it has none.
    """

    request_id: int
    chunk_id: ChunkId
    offset: int
    ticket: int


@attrs.frozen
class Data:
    """
    Bytes of a chunk, in order, following those of the message before.

    The decoder gives a long frame in several such events as its bytes come in.

    Attributes:
        request_id: Of the :class:`Get`.
        payload: Valid until the next call of the decoder.
    """

    request_id: int
    payload: bytes | memoryview


@attrs.frozen
class Done:
    """
    All bytes of a chunk have been sent.

    Attributes:
        request_id: Of the :class:`Get`.
        digest: BLAKE3 of the whole chunk.
    """

    request_id: int
    digest: Digest


@attrs.frozen
class Cancel:
    """
    The answer to a request is no longer wanted.

    Attributes:
        request_id: Of the request.
    """

    request_id: int


@attrs.frozen
class Fail:
    """
    Ends a request without success.

    Attributes:
        request_id: Of the request.
        fault: Why.
    """

    request_id: int
    fault: Fault


@attrs.frozen
class FindObject:
    """
    Asks the home of an object for its record.

    Attributes:
        request_id: For the answer.
        object_id: Which object.
    """

    request_id: int
    object_id: ObjectId


@attrs.frozen
class FoundObject:
    """
    Answers :class:`FindObject`.

    Attributes:
        request_id: Of the question.
        record: The record, or empty: it is the asker's turn to learn it.
    """

    request_id: int
    record: bytes


@attrs.frozen
class PublishObject:
    """
    One-way: what the store said of an object.

    Attributes:
        object_id: Which object.
        record: The record; empty gives the turn back.
    """

    object_id: ObjectId
    record: bytes


@attrs.frozen
class ForgetObject:
    """
    One-way: the object has been written to.

    Attributes:
        object_id: Which object.
    """

    object_id: ObjectId


@attrs.frozen
class Ping:
    """
    Asks for a :class:`Pong`.

    Attributes:
        request_id: For the answer.
    """

    request_id: int


@attrs.frozen
class Pong:
    """
    Answers :class:`Ping`.

    Attributes:
        request_id: Of the question.
    """

    request_id: int


@attrs.frozen
class Goodbye:
    """
    One-way: the sender is leaving; everything it held is gone.
    """


class Standing(IntEnum):
    """
    What a node believes of a member.
    """

    ALIVE = 1
    SUSPECT = 2
    """
    It did not answer; unless it contradicts soon it counts as dead.
    """
    DEAD = 3
    LEFT = 4
    """
    It said that it goes.
    """


@attrs.frozen
class MemberUpdate:
    """
    News of a member.

    Attributes:
        standing: How it is.
        incarnation: Only the member itself raises it: of two beliefs the one about the
            later incarnation holds.
        node: The member.
    """

    standing: Standing
    incarnation: int
    node: PeerInfo


@attrs.frozen
class Probe:
    """
    Asks whether a member is alive, and tells of members.

    Attributes:
        request_id: For the answer.
        target: Who is meant; when that is another than the one who is asked, it is to
            find out.
        whole: Whether the asker wants to be told of every member.
        updates: News, at most :data:`MAX_UPDATES`.
    """

    request_id: int
    target: str
    whole: bool
    updates: tuple[MemberUpdate, ...]


@attrs.frozen
class Probed:
    """
    Answers :class:`Probe`.

    Attributes:
        request_id: Of the question.
        reached: Whether the target is alive.
        updates: News, at most :data:`MAX_UPDATES`.
    """

    request_id: int
    reached: bool
    updates: tuple[MemberUpdate, ...]


@attrs.frozen
class Rumour:
    """
    One-way: news of members.

    Attributes:
        updates: At most :data:`MAX_UPDATES`.
    """

    updates: tuple[MemberUpdate, ...]


MAX_LISTED = 32
MAX_RECORD_LISTED = 3000
"""
The most objects that one message lists, and the bytes of each.
"""

MAX_ASKED = 256
MAX_NAMED = 200
MAX_HELD = 64
"""
The most chunks that one question is about, nodes that its answer names, and holders
that it gives for one chunk.
"""


@attrs.frozen
class ListObjects:
    """
    Asks a node which objects it remembers.

    Attributes:
        request_id: For the answer.
        bucket: In which bucket.
        prefix: What their keys begin with.
        skip: How many to leave out, having been told of them.
    """

    request_id: int
    bucket: bytes
    prefix: bytes
    skip: int


@attrs.frozen
class ListedObjects:
    """
    Answers :class:`ListObjects`.

    Attributes:
        request_id: Of the question.
        more: How many records were looked at; 0 when there are no further ones.
        records: A name and a record for each, at most :data:`MAX_LISTED`; without its
            head when it is long.
    """

    request_id: int
    more: int
    records: tuple[tuple[ObjectId, bytes], ...]


@attrs.frozen
class AskHolders:
    """
    Asks a home who holds chunks, without wanting them.

    Attributes:
        request_id: For the answer.
        chunk_ids: Which, at most :data:`MAX_ASKED`.
    """

    request_id: int
    chunk_ids: tuple[ChunkId, ...]


@attrs.frozen
class HeldBy:
    """
    Who holds one chunk.

    Attributes:
        holders: For each holder, its place in the list of names; one byte each.
        heat: Questions for the chunk within the last hour.
    """

    holders: bytes
    heat: int


@attrs.frozen
class ToldHolders:
    """
    Answers :class:`AskHolders`.

    Attributes:
        request_id: Of the question.
        names: Nodes that hold any of the chunks, at most :data:`MAX_NAMED`.
        held: For each chunk, in the order of the question.
    """

    request_id: int
    names: tuple[str, ...]
    held: tuple[HeldBy, ...]


Message = (
    Hello
    | Proof
    | Locate
    | Located
    | Have
    | Gone
    | Leased
    | Get
    | Data
    | Done
    | Cancel
    | Fail
    | FindObject
    | FoundObject
    | PublishObject
    | ForgetObject
    | Ping
    | Pong
    | Goodbye
    | Probe
    | Probed
    | Rumour
    | ListObjects
    | ListedObjects
    | AskHolders
    | ToldHolders
)

"""
What two nodes tell each other of the cluster: who its members are, and who holds what.
"""

from enum import IntEnum

import attrs

from eliop2p.model.chunk import ChunkId, Digest, ObjectId
from eliop2p.model.peer import PeerInfo

MAX_UPDATES = 128
"""
The most members that one message tells of.
"""

MAX_INLINED = 64 * 1024
"""
The longest chunk, in bytes, that a home sends with its answer.
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
class Rate:
    """
    One-way: how fast chunks come to the sender. Only nodes that speak 1.2 or later know
    it; others skip it.

    Attributes:
        rate: Bytes per second of late, all chunks together; 0 while that is unknown.
        wanted: Whether the other side is to say the same of itself.
        slow: Whether the sender found its link much slower than those of others: it
            does not pass on what is only arriving there.
    """

    rate: int
    wanted: bool
    slow: bool


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


News = Rumour | Rate
"""
What nodes say of members and of themselves, unasked.
"""


@attrs.frozen
class ListObjects:
    """
    Asks a node which objects it remembers.

    Attributes:
        request_id: For the answer.
        bucket: In which bucket; empty for those of all that were used last.
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


@attrs.frozen
class AskTally:
    """
    Asks a node what it has served, and what it read of the store for it.

    Attributes:
        request_id: For the answer.
    """

    request_id: int


@attrs.frozen
class ToldTally:
    """
    Answers :class:`AskTally`.

    Attributes:
        request_id: Of the question.
        seconds: For how long the node has run.
        served: Bytes that it has sent to clients since.
        store: Bytes that it has read of the store since.
    """

    request_id: int
    seconds: int
    served: int
    store: int


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
class Inlined:
    """
    Answers :class:`Locate` when the home holds the chunk and it is small. The asker is
    not registered as receiving it. Only for nodes that speak 1.1 or later.

    Attributes:
        request_id: Of the question.
        digest: BLAKE3 of the chunk.
        data: The chunk, at most :data:`MAX_INLINED` bytes.
    """

    request_id: int
    digest: Digest
    data: bytes


@attrs.frozen
class Last:
    """
    The last bytes of a chunk, with its digest: :class:`Data` and :class:`Done` in one.
    Only for nodes that speak 1.2 or later.

    The decoder gives those two, as the bytes come in.

    Attributes:
        request_id: Of the :class:`Get`.
        digest: BLAKE3 of the whole chunk.
    """

    request_id: int
    digest: Digest

"""
The messages that two nodes exchange.

Requests carry an id that is unique among the open requests of the side that asks;
answers repeat it. Messages without one are one-way: nothing waits for them.
"""

from collections.abc import Mapping
from enum import IntEnum

import attrs

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.peer import PeerInfo
from eliop2p.wire.cluster_events import (
    AskHolders,
    AskTally,
    FindObject,
    ForgetObject,
    FoundObject,
    Inlined,
    Last,
    ListedObjects,
    ListObjects,
    News,
    Probe,
    Probed,
    PublishObject,
    ToldHolders,
    ToldTally,
)

MAJOR = 1
MINOR = 2
"""
The version: nodes of different majors do not talk; of a newer minor, unknown frames are
skipped. 1.1 brought :class:`Inlined`, 1.2 :class:`Last` and ``Rate``.
"""

MAX_BATCH = 512
"""
The most chunks in one HAVE or GONE.
"""

MAX_HOLDERS = 16
"""
The most holders in one LOCATED, and rejected nodes in one LOCATE.
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
    Ask these nodes the same: they rank better as homes of the chunk. A home that is not
    the first says so before it would let anybody read the store.
    """
    LATER = 5
    """
    Ask again shortly: the budget of the store allows no lease now.
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
        rejected: Node ids that just failed the asker, homes among them.
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
        host: Where it can be reached, for askers that do not know it; empty when the
            home does not know it either.
        port: Its port there.
    """

    node_id: str
    complete: bool
    host: str = ""
    port: int = 0

    def resolve(self, peers: Mapping[str, PeerInfo]) -> PeerInfo:
        """
        Say where the node is: as the asker knows itself, else as it was told.
        """
        known = peers.get(self.node_id)
        return known or PeerInfo(self.node_id, self.host, self.port)


@attrs.frozen
class Located:
    """
    Answers :class:`Locate`.

    Attributes:
        request_id: Of the question.
        verdict: What to do.
        ticket: The asker's place in the order of those receiving the chunk.
        digest: BLAKE3 of the chunk, empty while nobody has said.
        holders: Best first; only with ``HOLDERS`` and, as homes, ``NOT_HOME``.
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
class Opened:
    """
    One-way: clients of the sender have read these chunks, which it holds, since it said
    so last.

    Attributes:
        chunks: Ids, and how often, at most :data:`MAX_BATCH`.
    """

    chunks: tuple[tuple[ChunkId, int], ...]


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


Message = (
    Hello
    | Proof
    | Locate
    | Located
    | Inlined
    | Have
    | Gone
    | Opened
    | Leased
    | Get
    | Data
    | Done
    | Last
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
    | News
    | ListObjects
    | ListedObjects
    | AskHolders
    | ToldHolders
    | AskTally
    | ToldTally
)

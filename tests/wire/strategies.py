"""
Hypothesis strategies for every message.
"""

from hypothesis import strategies as st

from eliop2p.model.chunk import ChunkId, Digest, ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.model.record import MAX_RECORD
from eliop2p.wire import cluster_events, events

BYTES_32 = st.binary(min_size=32, max_size=32)
CHUNK_IDS = BYTES_32.map(ChunkId)
DIGESTS = BYTES_32.map(Digest)
OBJECT_IDS = BYTES_32.map(ObjectId)
REQUEST_IDS = st.integers(1, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
NODE_IDS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    st.text(min_size=1, max_size=60).filter(
        lambda text: text.isprintable() and len(text.encode()) < 256
    ),
)
RECORDS = st.one_of(st.binary(max_size=300), st.just(b"r" * MAX_RECORD))
LABELS = st.text(max_size=60).filter(
    lambda text: text.isprintable() and len(text.encode()) < 250
)
PORTS = st.integers(0, 2**16 - 1)
HOLDERS = st.builds(events.Holder, NODE_IDS, st.booleans(), LABELS, PORTS)
PEERS = st.builds(
    PeerInfo,
    NODE_IDS,
    LABELS,
    PORTS,
    PORTS,
    LABELS,
    st.integers(1, 2**32 - 1).map(lambda whole: whole / 1000),
)
UPDATES = st.builds(
    cluster_events.MemberUpdate, st.sampled_from(cluster_events.Standing), U64, PEERS
)


def tuples(items: st.SearchStrategy[object], most: int) -> st.SearchStrategy[object]:
    """
    Tuples of up to so many items.
    """
    return st.lists(items, max_size=most).map(tuple)


MESSAGES: dict[type[object], st.SearchStrategy[events.Message]] = {
    events.Hello: st.builds(
        events.Hello,
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**16 - 1),
        NODE_IDS,
        BYTES_32,
    ),
    events.Proof: st.builds(events.Proof, BYTES_32),
    events.Locate: st.builds(
        events.Locate,
        REQUEST_IDS,
        CHUNK_IDS,
        U64,
        st.booleans(),
        tuples(NODE_IDS, events.MAX_HOLDERS),
    ),
    events.Located: st.builds(
        events.Located,
        REQUEST_IDS,
        st.sampled_from(events.Verdict),
        U64,
        st.one_of(st.just(b""), BYTES_32),
        tuples(HOLDERS, events.MAX_HOLDERS),
    ),
    events.Have: st.builds(
        events.Have, tuples(st.tuples(CHUNK_IDS, DIGESTS), events.MAX_BATCH)
    ),
    events.Gone: st.builds(events.Gone, tuples(CHUNK_IDS, events.MAX_BATCH)),
    events.Opened: st.builds(
        events.Opened,
        tuples(st.tuples(CHUNK_IDS, st.integers(0, 2**32 - 1)), events.MAX_BATCH),
    ),
    events.Leased: st.builds(events.Leased, CHUNK_IDS, NODE_IDS),
    events.Get: st.builds(events.Get, REQUEST_IDS, CHUNK_IDS, U64, U64),
    events.Data: st.builds(
        events.Data, REQUEST_IDS, st.binary(min_size=1, max_size=2000)
    ),
    events.Done: st.builds(events.Done, REQUEST_IDS, DIGESTS),
    cluster_events.Last: st.builds(cluster_events.Last, REQUEST_IDS, DIGESTS),
    events.Cancel: st.builds(events.Cancel, REQUEST_IDS),
    events.Fail: st.builds(events.Fail, REQUEST_IDS, st.sampled_from(events.Fault)),
    cluster_events.Rate: st.builds(
        cluster_events.Rate, U64, st.booleans(), st.booleans()
    ),
    cluster_events.FindObject: st.builds(
        cluster_events.FindObject, REQUEST_IDS, OBJECT_IDS
    ),
    cluster_events.Inlined: st.builds(
        cluster_events.Inlined, REQUEST_IDS, DIGESTS, st.binary(max_size=200)
    ),
    cluster_events.FoundObject: st.builds(
        cluster_events.FoundObject, REQUEST_IDS, RECORDS
    ),
    cluster_events.PublishObject: st.builds(
        cluster_events.PublishObject, OBJECT_IDS, RECORDS
    ),
    cluster_events.ForgetObject: st.builds(cluster_events.ForgetObject, OBJECT_IDS),
    events.Ping: st.builds(events.Ping, REQUEST_IDS),
    events.Pong: st.builds(events.Pong, REQUEST_IDS),
    events.Goodbye: st.builds(events.Goodbye),
    cluster_events.Probe: st.builds(
        cluster_events.Probe,
        REQUEST_IDS,
        NODE_IDS,
        st.booleans(),
        tuples(UPDATES, 4),
    ),
    cluster_events.Probed: st.builds(
        cluster_events.Probed, REQUEST_IDS, st.booleans(), tuples(UPDATES, 4)
    ),
    cluster_events.Rumour: st.builds(cluster_events.Rumour, tuples(UPDATES, 4)),
    cluster_events.ListObjects: st.builds(
        cluster_events.ListObjects,
        REQUEST_IDS,
        st.binary(max_size=255),
        st.binary(max_size=1024),
        st.integers(0, 2**32 - 1),
    ),
    cluster_events.ListedObjects: st.builds(
        cluster_events.ListedObjects,
        REQUEST_IDS,
        st.integers(0, 2**32 - 1),
        tuples(
            st.tuples(OBJECT_IDS, st.binary(max_size=cluster_events.MAX_RECORD_LISTED)),
            4,
        ),
    ),
    cluster_events.AskHolders: st.builds(
        cluster_events.AskHolders,
        REQUEST_IDS,
        tuples(CHUNK_IDS, cluster_events.MAX_ASKED),
    ),
    cluster_events.ToldHolders: st.builds(
        cluster_events.ToldHolders,
        REQUEST_IDS,
        tuples(NODE_IDS, 4),
        tuples(
            st.builds(
                cluster_events.HeldBy,
                st.binary(max_size=cluster_events.MAX_HELD),
                st.integers(0, 2**32 - 1),
            ),
            4,
        ),
    ),
    cluster_events.AskTally: st.builds(cluster_events.AskTally, REQUEST_IDS),
    cluster_events.ToldTally: st.builds(
        cluster_events.ToldTally, REQUEST_IDS, *[st.integers(0, 2**64 - 1)] * 3
    ),
}
"""
A strategy for each class of message.
"""

ANY_MESSAGE = st.sampled_from(list(MESSAGES.values())).flatmap(lambda chosen: chosen)

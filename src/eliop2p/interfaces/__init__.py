"""
What the components know of each other: every interface, in one place.

Methods that may wait return a Deferred; a caller that no longer wants the result
cancels it. Unless a method says otherwise it runs, and calls back, in the reactor
thread, and lengths are in bytes.
"""

from eliop2p.interfaces._chunks import (
    Fetched,
    IChunkOrigin,
    IChunkParts,
    IChunkReader,
    IChunkReading,
    IChunkSink,
    IChunkSource,
    IHeldChunks,
    ILocalChunks,
    IPartSink,
)
from eliop2p.interfaces._cluster import (
    IControlPlane,
    IMembership,
    NodeLoad,
    Registration,
)
from eliop2p.interfaces._selection import IPeerSelector
from eliop2p.interfaces._storage import (
    IBodyReceiver,
    IBodySource,
    IOrigin,
    IOriginResponse,
    IRecordStore,
)
from eliop2p.interfaces._swarm import (
    ICatalog,
    IObjectDirectory,
    IPeerLinks,
    IPeerRequests,
    IPieceTaker,
    IReplicas,
    Place,
)
from eliop2p.interfaces._system import (
    IBodySender,
    INetwork,
    IRunSender,
    IStreamTransport,
    IWorker,
)
from eliop2p.interfaces._tiers import (
    BackendSettings,
    CacheUsage,
    ICacheBackend,
    ICacheBackendFactory,
    IChunkHandle,
    IChunksAtOnce,
    IChunkViews,
    IPagedChunks,
    IPartialChunks,
    IReplicaAware,
    ISmallChunks,
    PartialChunk,
)
from eliop2p.wire.rules import OneWay

__all__ = [
    "BackendSettings",
    "CacheUsage",
    "Fetched",
    "IBodyReceiver",
    "IBodySender",
    "IBodySource",
    "ICacheBackend",
    "ICacheBackendFactory",
    "ICatalog",
    "IChunkHandle",
    "IChunkOrigin",
    "IChunkParts",
    "IChunkReader",
    "IChunkReading",
    "IChunkSink",
    "IChunkSource",
    "IChunkViews",
    "IChunksAtOnce",
    "IControlPlane",
    "IHeldChunks",
    "ILocalChunks",
    "IMembership",
    "INetwork",
    "IObjectDirectory",
    "IOrigin",
    "IOriginResponse",
    "IPagedChunks",
    "IPartSink",
    "IPartialChunks",
    "IPeerLinks",
    "IPeerRequests",
    "IPeerSelector",
    "IPieceTaker",
    "IRecordStore",
    "IReplicaAware",
    "IReplicas",
    "IRunSender",
    "ISmallChunks",
    "IStreamTransport",
    "IWorker",
    "NodeLoad",
    "OneWay",
    "PartialChunk",
    "Place",
    "Registration",
]

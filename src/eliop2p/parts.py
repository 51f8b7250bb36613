"""
Parts of a node, made from its configuration.
"""

import random
from collections.abc import Callable

import attrs
from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from eliop2p.base.config import NodeConfig
from eliop2p.base.config_sections import CacheConfig, TracingConfig
from eliop2p.base.errors import StartError
from eliop2p.base.metrics import Metrics
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.registry import find_backend
from eliop2p.identity import usable_directory
from eliop2p.interfaces import (
    BackendSettings,
    IBodySender,
    ICacheBackend,
    IChunkSource,
    INetwork,
    IStreamTransport,
    IWorker,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.trails import Trails
from eliop2p.workers.pool import Workers


@attrs.frozen
class Surroundings:
    """
    The world that a node lives in.

    Attributes:
        clock: Time; its seconds count from the epoch.
        network: Connections.
        worker: Threads, or what stands for them.
        agent: HTTP towards the control plane.
        make_sender: Makes the outgoing side of a client's connection.
        rng: Randomness for choices and names.
        nonce: 32 bytes that nobody can guess.
        workers: Processes that send for the node, to be run; None for none.
    """

    clock: IReactorTime
    network: INetwork
    worker: IWorker
    agent: IAgent
    make_sender: Callable[[IStreamTransport], IBodySender]
    rng: random.Random
    nonce: Callable[[], bytes]
    workers: Workers | None = None


def make_chunks(
    config: NodeConfig, source: IChunkSource, world: Surroundings, metrics: Metrics
) -> ChunkManager:
    """
    Make the tiers and the door to their chunks.

    Raises:
        StartError: A directory cannot be used.
    """
    cache = config.cache

    def dropped(chunk_id: ChunkId) -> None:
        metrics.dropped_chunks.inc()
        chunks.dropped(chunk_id)

    def tier(name: str, key: str, size: int, path: str) -> ICacheBackend:
        settings = _settings(cache, size, path)
        return find_backend(name, key).make(
            settings, world.worker, world.clock, dropped
        )

    disk = None
    if cache.disk_cache_size:
        path = usable_directory(cache.disk_cache_path, "[cache] disk_cache_path")
        disk = tier(
            cache.disk_backend, "disk_backend", cache.disk_cache_size, str(path)
        )
    memory = tier(cache.memory_backend, "memory_backend", cache.memory_cache_size, "")
    chunks = ChunkManager(
        memory,
        disk,
        source,
        world.worker,
        world.clock,
        inflight_bytes=config.limits.inflight_memory,
    )
    return chunks


def _settings(cache: CacheConfig, size: int, path: str) -> BackendSettings:
    return BackendSettings(
        size,
        path,
        cache.eviction_threshold,
        cache.eviction_target,
        cache.eviction,
        cache.min_free,
        cache.scrub_rate,
    )


def trace_requests(
    config: TracingConfig, node_id: str, trails: Trails, worker: IWorker
) -> IService | None:
    """
    Have requests traced, if they are to be.

    Returns:
        What sends the traces, to be run; None for nothing.

    Raises:
        StartError: What it takes is not installed.
    """
    if config.endpoint is None:
        return None
    try:
        from eliop2p import tracing  # noqa: PLC0415  its package may be missing
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise StartError(
            "[tracing] endpoint is set, and the package for it is not installed: "
            "pip install 'eliop2p[otel]'"
        ) from None
    processor = tracing.to_collector(config.endpoint)
    made = tracing.Tracing(node_id, config.sample_ratio, processor, worker)
    trails.watcher = made.ended
    return made

"""
The example backend keeps to what every backend must.
"""

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.registry import find_backend
from eliop2p.interfaces import BackendSettings, ICacheBackend
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import cache_backend_tests
from eliop2p.testing.workers import ImmediateWorker


def make(
    case: SynchronousTestCase,
    settings: BackendSettings,
    dropped: Callable[[ChunkId], None],
) -> ICacheBackend:
    """
    Find the backend by its name, as a node does, and make one.
    """
    factory = find_backend("compressed", "memory_backend")
    return factory.make(settings, ImmediateWorker(), Clock(), dropped)


CompressedBackendTests = cache_backend_tests(make)

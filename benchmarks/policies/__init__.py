"""
Eviction policies to compare: those of the product, and others that were not chosen.
"""

from collections.abc import Callable

from benchmarks.policies.arc import ArcPolicy
from benchmarks.policies.lru2 import Lru2Policy
from benchmarks.policies.s3fifo import S3FifoPolicy
from eliop2p.cache.policies import POLICIES
from eliop2p.cache.policy import EvictionPolicy

CANDIDATES: dict[str, Callable[[int], EvictionPolicy]] = {
    **POLICIES,
    "S3-FIFO": S3FifoPolicy,
    "LRU-2": lambda _capacity: Lru2Policy(),
    "ARC": ArcPolicy,
}
"""
Makes each policy from the bytes that the tier keeps when it has made room.
"""

"""
Eviction policies by the names that the configuration has for them.
"""

from collections.abc import Callable
from typing import TypeVar

from eliop2p.base.errors import StartError
from eliop2p.cache.holdings import Entry, Holdings
from eliop2p.cache.lru import LruPolicy
from eliop2p.cache.policy import EvictionPolicy
from eliop2p.cache.tinylfu import TinyLfuPolicy
from eliop2p.cache.wlru import WeightedLruPolicy
from eliop2p.interfaces import BackendSettings

POLICIES: dict[str, Callable[[int], EvictionPolicy]] = {
    "tinylfu": TinyLfuPolicy,
    "wlru": WeightedLruPolicy,
    "lru": lambda _capacity: LruPolicy(),
}
"""
Makes each policy from the bytes that the tier keeps when it has made room.
"""

_E = TypeVar("_E", bound=Entry)


def make_holdings(settings: BackendSettings, now: Callable[[], float]) -> Holdings[_E]:
    """
    Make the table of a tier's chunks.

    Args:
        settings: Its bounds, and the name of its policy.
        now: Gives the time in seconds.

    Raises:
        StartError: No policy is called so; the text names those that there are.
    """
    if settings.eviction not in POLICIES:
        raise StartError(
            f"[cache] eviction = {settings.eviction!r}: there is no such policy; "
            f"expected {' or '.join(POLICIES)}"
        )
    policy = POLICIES[settings.eviction](
        int(settings.capacity * settings.eviction_target)
    )
    return Holdings(
        policy,
        settings.capacity,
        settings.eviction_threshold,
        settings.eviction_target,
        now,
    )

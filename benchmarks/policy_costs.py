"""
What eviction policies cost: time for each operation and memory for each chunk.

    python -m benchmarks.policy_costs [--chunks 1000000] [--rounds 5]
"""

import argparse
import gc
import random
import statistics
import tracemalloc
from collections.abc import Callable
from time import perf_counter

from benchmarks.policies import CANDIDATES
from benchmarks.traces import chunk_id_of
from eliop2p.cache.holdings import Entry, Holdings
from eliop2p.cache.lru import LruPolicy
from eliop2p.cache.policy import EvictionPolicy
from eliop2p.model.chunk import ChunkId, Digest

Make = Callable[[int], EvictionPolicy]


def nobody(chunk_id: ChunkId) -> bool:
    """
    Tell that a chunk is not pinned.
    """
    del chunk_id
    return False


def filled(make: Make, names: list[ChunkId], held: int) -> EvictionPolicy:
    """
    Make a policy that has seen all names, a third of them used again and again, and
    holds as many as it may.
    """
    policy = make(held)
    for number, name in enumerate(names):
        if number >= held:
            policy.evict(nobody)
        policy.added(name, 1, float(number))
        for _ in range(0 if number % 3 else 3):
            policy.used(name, float(number))
    return policy


def times(make: Make, names: list[ChunkId]) -> tuple[float, float, float]:
    """
    Measure, at half as many chunks as there are names.

    Returns:
        Microseconds for a use, and for an eviction with the arrival it makes room for;
        milliseconds for the first eviction after every chunk has been used.
    """
    half = len(names) // 2
    policy = filled(make, names[:half], half)
    rng = random.Random(1)
    order = rng.choices(names[:half], k=half)
    begin = perf_counter()
    for number, name in enumerate(order):
        policy.used(name, float(half + number))
    used = perf_counter() - begin
    for number, name in enumerate(names[:half]):
        policy.used(name, float(2 * half + number))
    begin = perf_counter()
    policy.evict(nobody)
    first = perf_counter() - begin
    begin = perf_counter()
    for number, name in enumerate(names[half : 2 * half - 1]):
        policy.added(name, 1, float(3 * half + number))
        policy.evict(nobody)
    turned = perf_counter() - begin
    return used / half * 1e6, turned / (half - 1) * 1e6, first * 1e3


def policy_bytes(make: Make, names: list[ChunkId]) -> float:
    """
    Measure the memory for each chunk of a policy that holds half of the names and has
    seen the others go; the names themselves belong to the table.
    """
    half = len(names) // 2
    gc.collect()
    tracemalloc.start()
    policy = filled(make, names, half)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del policy
    return size / half


def table_bytes(names: list[ChunkId]) -> float:
    """
    Measure the memory for each chunk of the table that every tier has, with names and
    digests and without what the policy takes.
    """
    half = len(names) // 2
    lru = policy_bytes(lambda _: LruPolicy(), names)
    gc.collect()
    tracemalloc.start()
    table: Holdings[Entry] = Holdings(LruPolicy(), half, 1.0, 1.0, lambda: 0.0)
    for name in names[:half]:
        table.add(Entry(ChunkId(bytes(bytearray(name))), Digest(name[::-1]), 1, 1))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / half - lru


def main() -> None:
    """
    Read the arguments, measure and print.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    few = [chunk_id_of("few", number) for number in range(200_000)]
    print("| policy | use, us | arrival and eviction, us | ", end="")
    print("first eviction after 100,000 uses, ms | bytes a chunk |")
    print("|---" * 5 + "|")
    many = [chunk_id_of("many", number) for number in range(2 * given.chunks)]
    for name, make in CANDIDATES.items():
        measured = [times(make, few) for _ in range(given.rounds)]
        use, turn, first = (
            statistics.median(column) for column in zip(*measured, strict=True)
        )
        size = policy_bytes(make, many)
        print(f"| {name} | {use:.2f} | {turn:.2f} | {first:.2f} | {size:.0f} |")
    print(f"\nThe table itself: {table_bytes(many):.0f} bytes a chunk.")


if __name__ == "__main__":
    main()

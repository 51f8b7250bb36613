"""
What part of the bytes read comes from the cache, by eviction policy and cache size.

    python -m benchmarks.hit_ratio [--length 100000] [--seed 1] [--svg FILE]
"""

import argparse
import heapq
import math
from collections.abc import Callable
from pathlib import Path

from benchmarks.hit_ratio_svg import Panel, draw
from benchmarks.policies import CANDIDATES
from benchmarks.traces import TRACES, Read, Trace
from eliop2p.cache.holdings import Entry, Holdings
from eliop2p.cache.policy import EvictionPolicy
from eliop2p.model.chunk import ChunkId, Digest

THRESHOLD, TARGET = 0.9, 0.8
FUTURE = "the future known"

_WARM_UP = 0.2


class Tier:
    """
    A tier without content, as the memory tier works.
    """

    def __init__(self, make: Callable[[int], EvictionPolicy], capacity: int) -> None:
        self._now = 0.0
        self._holdings: Holdings[Entry] = Holdings(
            make(int(capacity * TARGET)),
            capacity,
            THRESHOLD,
            TARGET,
            lambda: self._now,
        )

    def read(self, read: Read) -> bool:
        """
        Read a chunk, and keep it if there is room.

        Returns:
            Whether it was there.
        """
        self._now = read.now
        held = self._holdings
        entry = held.get(read.chunk_id)
        if entry is not None:
            held.touch(entry)
            return True
        for victim in held.victims(read.size):
            held.remove(victim)
        if held.fits(read.size):
            digest = Digest(b"")
            held.add(Entry(read.chunk_id, digest, read.size, read.size))
        return False


class Clairvoyant:
    """
    Keeps what is read again soonest, and may fill its capacity to the brim. With chunks
    of one size nothing can be better (Belady, 1966).
    """

    def __init__(self, trace: Trace, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._next = _next_reads(trace)
        self._position = 0
        self._held: dict[ChunkId, tuple[float, int]] = {}
        self._heap: list[tuple[float, ChunkId]] = []

    def read(self, read: Read) -> bool:
        """
        Read a chunk, and keep it if it is worth it.
        """
        again = self._next[self._position]
        self._position += 1
        hit = read.chunk_id in self._held
        if not hit:
            self._used += read.size
        self._held[read.chunk_id] = (again, read.size)
        heapq.heappush(self._heap, (-again, read.chunk_id))
        while self._used > self._capacity:
            negative, chunk_id = heapq.heappop(self._heap)
            known = self._held.get(chunk_id)
            if known is not None and known[0] == -negative:
                self._used -= known[1]
                del self._held[chunk_id]
        return hit


def _next_reads(trace: Trace) -> list[float]:
    """
    Give, for each read, the position of the next read of the same chunk.
    """
    upcoming: dict[ChunkId, int] = {}
    found = [math.inf] * len(trace.reads)
    for position in range(len(trace.reads) - 1, -1, -1):
        chunk_id = trace.reads[position].chunk_id
        found[position] = upcoming.get(chunk_id, math.inf)
        upcoming[chunk_id] = position
    return found


def hit_ratio(trace: Trace, read_from: Callable[[Read], bool]) -> float:
    """
    Give the part of the bytes that were there, from the end of the warm-up.
    """
    begin = int(len(trace.reads) * _WARM_UP)
    hits = total = 0
    for position, read in enumerate(trace.reads):
        hit = read_from(read)
        if position >= begin:
            total += read.size
            hits += read.size if hit else 0
    return hits / total


def compare(trace: Trace) -> dict[str, list[float]]:
    """
    Measure every policy with every size of the cache.
    """
    capacities = [int(trace.unique_bytes * share) for share in trace.shares]
    found = {
        name: [hit_ratio(trace, Tier(make, size).read) for size in capacities]
        for name, make in CANDIDATES.items()
    }
    found[FUTURE] = [
        hit_ratio(trace, Clairvoyant(trace, size).read) for size in capacities
    ]
    return found


def print_table(trace: Trace, ratios: dict[str, list[float]]) -> None:
    """
    Print the hit ratios of a trace as a table in Markdown.
    """
    gib = trace.unique_bytes / 2**30
    print(f"\n**{trace.name}**: {len(trace.reads):,} reads of {gib:.0f} GiB\n")
    print("| cache size | " + " | ".join(f"{s:.2%}" for s in trace.shares) + " |")
    print("|---" * (len(trace.shares) + 1) + "|")
    for name, row in ratios.items():
        print(f"| {name} | " + " | ".join(f"{ratio:.3f}" for ratio in row) + " |")


def print_summary(measured: list[tuple[Trace, dict[str, list[float]]]]) -> None:
    """
    Print the mean over all sizes, of each trace and of all, and how far each policy
    falls short of the best of them at its worst.
    """
    print("\n| mean | " + " | ".join(trace.name for trace, _ in measured), end="")
    print(" | all | worst shortfall |")
    print("|---" * (len(measured) + 3) + "|")
    for name in CANDIDATES:
        means = [sum(ratios[name]) / len(ratios[name]) for _, ratios in measured]
        short = max(
            max(ratios[other][size] for other in CANDIDATES) - ratio
            for _, ratios in measured
            for size, ratio in enumerate(ratios[name])
        )
        means.append(sum(means) / len(means))
        print(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means), end="")
        print(f" | {short:.3f} |")


def main() -> None:
    """
    Read the arguments, measure, print and draw.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    measured = []
    for make in TRACES:
        trace = make(given.seed, given.length)
        ratios = compare(trace)
        print_table(trace, ratios)
        measured.append((trace, ratios))
    print_summary(measured)
    if given.svg is not None:
        panels = [Panel(trace.name, trace.shares, found) for trace, found in measured]
        given.svg.write_text(draw(panels), encoding="utf-8")


if __name__ == "__main__":
    main()

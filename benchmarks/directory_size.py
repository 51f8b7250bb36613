"""
What a home's directory takes for each chunk, and its calls cost.

    python -m benchmarks.directory_size [--chunks 100000] [--nodes 1000]

Memory is what Python's allocator has given out for a filled table, names of nodes and
of chunks included: a chunk's name is a bytes object of 65 bytes.
"""

import argparse
import gc
import random
import time
import tracemalloc
from collections.abc import Callable

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.directory import MAX_COMPLETE, Directory
from eliop2p.wire.events import Locate

HOLDERS = (1, 2, 5, 13, MAX_COMPLETE)
RECEIVERS = (1, 2, 5)


def always(_node_id: str) -> bool:
    """
    Everybody is alive.
    """
    return True


def filled(chunks: int, nodes: int, holders: int, *, receiving: bool) -> Directory:
    """
    Make a directory of chunks, each with so many holders, or receivers of which one
    reads the store.
    """
    rng = random.Random(1)
    directory = Directory(1)
    for _ in range(chunks):
        chunk_id, digest = ChunkId(rng.randbytes(32)), Digest(rng.randbytes(32))
        for number in rng.sample(range(nodes), holders):
            name = f"node-{number}"
            if receiving:
                asked = Locate(1, chunk_id, 0, True, ())
                directory.locate(name, asked, always, 1.0)
            else:
                directory.have(name, chunk_id, digest)
    return directory


def measure(make: Callable[[], Directory], chunks: int) -> tuple[float, float]:
    """
    Tell the bytes for each chunk, and the microseconds that it took to make.
    """
    gc.collect()
    begun = time.process_time()
    make()
    seconds = time.process_time() - begun
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    directory = make()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(directory) == chunks
    return size / chunks, seconds / chunks * 1e6


def main() -> None:
    """
    Read the arguments, measure and print.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1000)
    given = parser.parse_args()
    print("| each chunk has | bytes/chunk | us/chunk to fill |\n|---|---|---|")
    for receiving, what in ((False, "holders"), (True, "receivers")):
        for holders in RECEIVERS if receiving else HOLDERS:
            size, cost = measure(
                lambda holders=holders, receiving=receiving: filled(  # type: ignore[misc]
                    given.chunks, given.nodes, holders, receiving=receiving
                ),
                given.chunks,
            )
            print(f"| {holders} {what} | {size:.0f} | {cost:.1f} |", flush=True)


if __name__ == "__main__":
    main()

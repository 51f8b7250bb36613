"""
Made-up sequences of reads, each the same for the same seed.
"""

import itertools
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import sha256

import attrs

from eliop2p.model.chunk import MIB, ChunkId

CHUNK = 8 * MIB


@attrs.frozen
class Read:
    """
    Somebody reads a chunk.

    Attributes:
        chunk_id: Which one.
        size: Its bytes.
        now: When, in seconds.
    """

    chunk_id: ChunkId
    size: int
    now: float


@attrs.frozen
class Trace:
    """
    A sequence of reads.

    Attributes:
        name: What it is called.
        reads: The reads.
        shares: Sizes of the cache to try, as parts of the bytes of all chunks read.
    """

    name: str
    reads: list[Read]
    shares: tuple[float, ...]

    @property
    def unique_bytes(self) -> int:
        """
        The bytes of all chunks read.
        """
        return sum({read.chunk_id: read.size for read in self.reads}.values())


def chunk_id_of(*parts: object) -> ChunkId:
    """
    Make up the name of a chunk.
    """
    return ChunkId(sha256(repr(parts).encode()).digest())


def _timed(
    reads: Iterator[tuple[ChunkId, int]], rng: random.Random, rate: float
) -> list[Read]:
    """
    Spread reads over time, so many in a second on the average.
    """
    now, timed = 0.0, []
    for chunk_id, size in reads:
        now += rng.expovariate(rate)
        timed.append(Read(chunk_id, size, now))
    return timed


def _zipf(count: int, exponent: float, rng: random.Random) -> Callable[[], int]:
    weights = itertools.accumulate((rank + 1) ** -exponent for rank in range(count))
    cumulative = list(weights)
    numbers = range(count)
    return lambda: rng.choices(numbers, cum_weights=cumulative)[0]


def zipf(seed: int, length: int) -> Trace:
    """
    Chunks of one size, each as popular as its rank to the power of -0.9.
    """
    rng = random.Random(seed)
    draw = _zipf(10_000, 0.9, rng)
    names = [chunk_id_of("zipf", number) for number in range(10_000)]
    reads = ((names[draw()], CHUNK) for _ in range(length))
    return Trace("Zipf 0.9", _timed(reads, rng, 20), (0.02, 0.05, 0.1, 0.2, 0.4))


def epochs(seed: int, length: int) -> Trace:
    """
    Training: a data set is read whole, in another order each time.
    """
    rng = random.Random(seed)
    names = [chunk_id_of("epoch", number) for number in range(5_000)]

    def reads() -> Iterator[tuple[ChunkId, int]]:
        for _ in range(length // len(names)):
            rng.shuffle(names)
            yield from ((name, CHUNK) for name in names)

    shares = (0.125, 0.25, 0.5, 0.75, 0.9)
    return Trace("shuffled epochs", _timed(reads(), rng, 20), shares)


def scan(seed: int, length: int) -> Trace:
    """
    A hot set, read half of the time, and a scan of chunks that never come back.
    """
    rng = random.Random(seed)
    draw = _zipf(2_000, 0.6, rng)
    fresh = itertools.count()

    def reads() -> Iterator[tuple[ChunkId, int]]:
        for _ in range(length):
            hot = rng.random() < 0.5
            name = ("hot", draw()) if hot else ("scan", next(fresh))
            yield chunk_id_of(name), CHUNK

    # The hot set is what matters, and the scan makes up nearly all of the bytes.
    whole = length / 2 + 2_000
    shares = tuple(part * 2_000 / whole for part in (0.25, 0.5, 1, 1.5, 2))
    return Trace("scan and hot set", _timed(reads(), rng, 20), shares)


def releases(seed: int, length: int) -> Trace:
    """
    Popularity that moves: every 5,000 reads a new model of 400 chunks comes out and
    takes two thirds of the reads; the older ones are asked for less and less.
    """
    rng = random.Random(seed)
    draw = _zipf(12, 2.0, rng)

    def reads() -> Iterator[tuple[ChunkId, int]]:
        for number in range(length):
            model = number // 5_000 - draw()
            yield chunk_id_of("model", model, rng.randrange(400)), CHUNK

    return Trace("releases", _timed(reads(), rng, 20), (0.02, 0.04, 0.08, 0.15, 0.3))


def mixed(seed: int, length: int) -> Trace:
    """
    A shared cluster: small files, images and checkpoints from 4 KiB to 2 GiB, popular
    as Zipf has it, read from their beginnings and not always to their ends; in between
    a job that reads 10,000 files once; popularity moves slowly.
    """
    rng = random.Random(seed)
    draw = _zipf(20_000, 0.8, rng)
    sizes = [
        min(int(rng.lognormvariate(12.5, 2.8)) + 4096, 2048 * MIB)
        for _ in range(20_000)
    ]
    job = itertools.count()

    def chunks(name: object, size: int) -> Iterator[tuple[ChunkId, int]]:
        for index in range(-(-size // CHUNK)):
            yield chunk_id_of(name, index), min(CHUNK, size - index * CHUNK)

    def reads() -> Iterator[tuple[ChunkId, int]]:
        for count in itertools.count():
            if count % 20_000 < 10_000 and count % 2:
                yield from chunks(("job", next(job)), MIB // 2)
                continue
            number = (draw() + count // 500) % 20_000
            size = sizes[number]
            if rng.random() < 0.2:
                size = max(4096, int(size * rng.random()))
            for index in range(-(-size // CHUNK)):
                whole = min(CHUNK, sizes[number] - index * CHUNK)
                yield chunk_id_of("object", number, index), whole

    shares = (0.02, 0.05, 0.1, 0.2, 0.4)
    some = itertools.islice(reads(), length)
    return Trace("mixed sizes", _timed(some, rng, 50), shares)


def second_tier(seed: int, length: int) -> Trace:
    """
    What a disk tier sees of Zipf 0.9: the reads that a memory tier of 4% left to it.
    """
    memory: OrderedDict[ChunkId, None] = OrderedDict()
    missed = []
    for read in zipf(seed, length).reads:
        if read.chunk_id in memory:
            memory.move_to_end(read.chunk_id)
            continue
        missed.append(read)
        memory[read.chunk_id] = None
        if len(memory) > 400:
            memory.popitem(last=False)
    return Trace("behind memory", missed, (0.05, 0.1, 0.2, 0.4, 0.6))


TRACES = (zipf, epochs, scan, releases, mixed, second_tier)

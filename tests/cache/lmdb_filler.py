"""
A process that writes to an LMDB tier until it is killed.

    python -m tests.cache.lmdb_filler PATH SEED
"""

import os
import random
import sys

from twisted.internet.task import Clock

from eliop2p.cache.lmdb_factory import LmdbFactory
from eliop2p.interfaces import BackendSettings
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import InlineWorker

CAPACITY = 1024 * 1024
LENGTHS = (1, 4096, 9000, 70_000)


def fill(path: str, seed: int) -> None:
    """
    Put and remove chunks for ever; say so on standard output after each.
    """
    settings = BackendSettings(CAPACITY, path, 0.9, 0.8, "lru")
    backend = LmdbFactory().make(settings, InlineWorker(), Clock(), lambda _: None)
    backend.start()
    rng = random.Random(seed)
    while True:
        number = rng.randrange(100)
        if rng.random() < 0.1:
            backend.remove(made_up(number)[0])
        else:
            backend.put(*made_up(number, LENGTHS[number % len(LENGTHS)]))
        os.write(1, b".")


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))

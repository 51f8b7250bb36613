"""
Fills a disk tier until it is killed; run by :mod:`tests.cache.test_kill`.
"""

import os
import random
import sys

from twisted.internet.task import Clock

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import InlineWorker

CAPACITY = 2 * 1024 * 1024
NUMBERS = 64
LENGTHS = (1, 5000, 70_000, 300_000)


def ignore(chunk_id: ChunkId) -> None:
    """
    Nobody is to be told.
    """


def backend_at(path: str) -> tuple[ChunkFiles, DirectoryBackend]:
    """
    Open a directory and list it.
    """
    files = ChunkFiles(path)
    files.claim()
    settings = BackendSettings(CAPACITY, path, 0.9, 0.8, "lru")
    backend = DirectoryBackend(files, settings, InlineWorker(), Clock(), ignore)
    backend.start()
    return files, backend


def fill(path: str, seed: int) -> None:
    """
    Put, remove and open chunks for ever; say so on standard output after each.
    """
    _, backend = backend_at(path)
    rng = random.Random(seed)
    while True:
        number = rng.randrange(NUMBERS)
        if rng.random() < 0.1:
            backend.remove(made_up(number)[0])
        else:
            backend.put(*made_up(number, LENGTHS[number % len(LENGTHS)]))
        os.write(1, b".")


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))

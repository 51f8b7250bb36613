"""
Bits that flip on the disk of a node, and clients that read through it.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from eliop2p.cache.layout import FOLDERS
from eliop2p.cache.open_files import LOOKED_AT
from tests.functional.one_node import OneNode, fetch, make_node, until

FLIPS = int(os.environ.get("BIT_FLIPS", "40"))
MIB = 1024 * 1024


def content(number: int) -> bytes:
    """
    Make up an object of one chunk.
    """
    return random.Random(number).randbytes(100_000 + number)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node in front of objects of one chunk each.
    """
    prepared = make_node(tmp_path)
    for number in range(FLIPS):
        (tmp_path / "store" / "models" / str(number)).write_bytes(content(number))
    prepared.configure(
        cache={
            "memory_cache_size_mb": 8,
            "disk_cache_size_mb": 128,
            "min_free_mb": 0,
            "scrub_mbps": 0,
        },
    )
    prepared.start()
    yield prepared
    prepared.close()


def files(node: OneNode) -> list[Path]:
    """
    Find the files of chunks.
    """
    root = node.directory / "data" / "cache"
    return [path for folder in FOLDERS for path in (root / folder).iterdir()]


def now_on_disk(directory: Path) -> float:
    """
    Tell the time that a file gets which is written now.
    """
    path = directory / "written-now"
    path.write_bytes(b"")
    return path.stat().st_mtime


def test_flips_under_hits(node: OneNode, tmp_path: Path) -> None:
    """
    A bit is flipped in the file of a chunk that clients are reading again and again:
    they get right bytes, and so do those who come after a restart.
    """
    node.end()
    node.configure(proxy={"auth": "open", "freshness_seconds": 3600})
    node.start()
    url = f"{node.url}/models/1"
    for _ in range(5):
        assert fetch(url) == (200, content(1))
    (path,) = files(node)
    with path.open("r+b") as file:
        file.seek(70_000)
        file.write(bytes([content(1)[70_000] ^ 1]))
    looked_at = path.stat().st_mtime + LOOKED_AT
    until(lambda: now_on_disk(tmp_path) > looked_at, "the file is looked at again")
    for _ in range(5):
        assert fetch(url) == (200, content(1))
    found = node.metric("eliop2p_corrupt_chunks_total")
    node.end()
    node.start()
    assert fetch(url) == (200, content(1))
    assert found + node.metric("eliop2p_corrupt_chunks_total") == 1


def test_every_flip_is_found(node: OneNode, capsys: pytest.CaptureFixture[str]) -> None:
    """
    One random bit is flipped in the file of each chunk: every one is found when the
    chunk is read, and no client gets a wrong byte.
    """
    urls = [f"{node.url}/models/{number}" for number in range(FLIPS)]
    for number, url in enumerate(urls):
        assert fetch(url) == (200, content(number))
    node.end()
    rng = random.Random(200)
    paths = files(node)
    assert len(paths) == FLIPS
    for path in paths:
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    node.start()
    wrong = sum(fetch(url) != (200, content(n)) for n, url in enumerate(urls))
    found = node.metric("eliop2p_corrupt_chunks_total")
    with capsys.disabled():
        print(f" bits flipped: {FLIPS}, found: {found:.0f}, wrong answers: {wrong}")
    assert (wrong, found) == (0, FLIPS)

"""
A node with the LMDB tier, killed, and then relieved of objects by its operator.
"""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.one_node import OneNode, fetch, make_node, run, until

SMALL = 300
ADMIN_TOKEN = "4dm1n4dm1n4dm1n4dm1n"


def content(number: int) -> bytes:
    """
    Make up a small object.
    """
    return random.Random(number).randbytes(4096 + number)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node in front of many small objects.
    """
    prepared = make_node(tmp_path, b"weights")
    folder = tmp_path / "store" / "models" / "small"
    folder.mkdir()
    for number in range(SMALL):
        (folder / str(number)).write_bytes(content(number))
    token = tmp_path / "token"
    token.write_text(f"{ADMIN_TOKEN}\n")
    token.chmod(0o600)
    prepared.configure(
        cache={
            "memory_cache_size_mb": 8,
            "disk_cache_size_mb": 64,
            "disk_backend": "lmdb",
            "min_free_mb": 0,
            "scrub_mbps": 0,
        },
        admin={"token_file": token},
    )
    prepared.start()
    yield prepared
    prepared.close()


def read_all(node: OneNode) -> float:
    """
    Read all small objects, which must be right.

    Returns:
        The bytes that left the store for it.
    """
    before = node.metric("eliop2p_origin_bytes_total")
    for number in range(SMALL):
        url = f"{node.url}/models/small/{number}"
        assert fetch(url) == (200, content(number))
    return node.metric("eliop2p_origin_bytes_total") - before


def evict(node: OneNode, location: str) -> dict[str, int]:
    """
    Have objects dropped.
    """
    done = run(
        *("eliop2p", "evict", location, "--admin", node.admin, "--json"),
        *("--token-file", str(node.directory / "token")),
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, int] = json.loads(done.stdout)
    return answer


def test_killed_and_evicted(node: OneNode) -> None:
    """
    What was read is there after the node was killed; what an operator has dropped is
    read from the store again, and nothing else is.
    """
    size = sum(len(content(number)) for number in range(SMALL))
    assert read_all(node) == size
    # What is written behind an answer is written, for all of them, before the next end.
    until(
        lambda: node.metric("eliop2p_cache_chunks") == 2 * SMALL, "both tiers have it"
    )
    assert read_all(node) == 0
    assert (node.directory / "data" / "cache" / "chunks.mdb").exists()
    node.end(signal.SIGKILL)
    node.start()
    assert read_all(node) == 0
    chosen = [number for number in range(SMALL) if str(number).startswith("7")]
    dropped = sum(len(content(number)) for number in chosen)
    assert evict(node, "s3://models/small/7") == {
        "objects": len(chosen),
        "chunks": len(chosen),
        "bytes": dropped,
    }
    assert read_all(node) == dropped
    assert evict(node, "s3://models")["objects"] == SMALL
    assert evict(node, "s3://models")["objects"] == 0
    assert read_all(node) == size


def test_token(node: OneNode) -> None:
    """
    Nobody drops anything without the token.
    """
    done = run("eliop2p", "evict", "s3://models", "--admin", node.admin)
    assert done.returncode == 1
    assert "--token-file" in done.stderr

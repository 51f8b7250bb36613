"""
A node that is killed in the middle of transfers goes on where it was.
"""

import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from time import gmtime, strftime

import pytest

from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import FOLDERS
from eliop2p.cache.partial_files import PartialFiles
from eliop2p.cache.partial_layout import parse_partial
from eliop2p.model.ranges import Extents
from tests.functional.one_node import BOUND, OneNode, fetch, make_node, until
from tests.functional.slow_store import SlowStore, slow_store

MIB = 1024 * 1024
KILLS = int(os.environ.get("RESUME_KILLS", "3"))
SIZE = 12 * MIB + 1234
"""
Two chunks, the last of which is not full.
"""

STEP = MIB
ON_THE_WAY = MIB
"""
What may come while the disk is busy with the MiB before.
"""


@pytest.fixture
def store() -> Iterator[SlowStore]:
    """
    Run a store that sends some 12 MiB/s.
    """
    with slow_store() as running:
        running.pause = 0.005
        yield running


@pytest.fixture
def node(tmp_path: Path, store: SlowStore) -> Iterator[OneNode]:
    """
    Run a node in front of it, with memory for little.
    """
    prepared = make_node(tmp_path)
    prepared.configure(
        cache={
            "memory_cache_size_mb": 16,
            "disk_cache_size_mb": 256,
            "min_free_mb": 0,
            "scrub_mbps": 0,
        },
        storage={"type": "s3", "endpoint": f"http://127.0.0.1:{store.port}"},
    )
    prepared.start()
    yield prepared
    prepared.close()


def read_and_kill(node: OneNode, path: str, length: int) -> int:
    """
    Read from the start of an object, and kill the node after so many bytes.

    Returns:
        How many bytes the client has got in the end.
    """
    head = f"GET {path} HTTP/1.1\r\nHost: store\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", node.ports.proxy), BOUND) as client:
        client.sendall(head)
        got = client.recv(MIB)
        count = len(got) - got.index(b"\r\n\r\n") - 4
        while count < length:
            piece = client.recv(MIB)
            assert piece, "the node has closed the connection"
            count += len(piece)
        node.end(signal.SIGKILL)
    return count


def kept(node: OneNode) -> tuple[Extents, int]:
    """
    Look what the node has left: bytes of its only partial chunk, which is the second
    one when the first is whole.

    Returns:
        Their places in the object, and how many bytes are kept in all.
    """
    root = node.directory / "data" / "cache"
    extents = Extents()
    wholes = sum(len(list((root / folder).iterdir())) for folder in FOLDERS)
    if wholes:
        extents.add(0, 8 * MIB)
    start = 8 * MIB if wholes else 0
    for partial in PartialFiles(ChunkFiles(str(root))).scan().partials:
        for record in partial.records:
            extents.add(start + record.extent.start, start + record.extent.stop)
    return extents, extents.total


def clear(node: OneNode) -> None:
    """
    Empty the cache of a node that does not run.
    """
    root = node.directory / "data" / "cache"
    for folder in (*FOLDERS, "partial"):
        for path in (root / folder).iterdir():
            path.unlink()


def test_killed(
    node: OneNode, store: SlowStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    After kill -9 at any moment of a transfer the store is asked for nothing that was
    checkpointed, no more than the step under way was lost, and every byte is right.
    """
    rng = random.Random(4)
    lost, again = [], []
    for number in range(KILLS):
        path = f"/bucket/object-{number}"
        store.objects[path] = data = rng.randbytes(SIZE)
        got = read_and_kill(node, path, rng.randrange(64 * 1024, SIZE - MIB))
        extents, total = kept(node)
        lost.append(max(0, got - total))
        assert lost[-1] <= STEP + ON_THE_WAY
        store.asked.clear()
        node.start()
        assert fetch(f"{node.url}{path}") == (200, data)
        for _, asked in store.asked:
            gaps = sum(gap.length for gap in extents.gaps(asked.start, asked.stop))
            again.append(asked.length - gaps)
        assert not any(again), "asked for what was there"
        node.end()
        clear(node)
        node.start()
    with capsys.disabled():
        print(
            f" kills: {KILLS}, checkpointed bytes read again: {sum(again)}, bytes that "
            f"a client had and the disk had not: at most {max(lost)}",
        )


def test_signed_range_survives(node: OneNode, store: SlowStore) -> None:
    """
    A range that no other may be asked for in place of is served after kill -9 from what
    is on the disk.
    """
    store.pause = 0.0
    store.objects["/bucket/table"] = data = random.Random(5).randbytes(SIZE)
    now = strftime("%Y%m%dT%H%M%SZ", gmtime())
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    headers = {
        "Range": "bytes=1000000-9000000",
        "x-amz-date": now,
        "Authorization": f"AWS4-HMAC-SHA256 Credential=me/{scope}, "
        "SignedHeaders=host;range;x-amz-date, Signature=00",
    }
    expected = (206, data[1_000_000:9_000_001])
    assert fetch(f"{node.url}/bucket/table", **headers) == expected
    root = node.directory / "data" / "cache"
    files = PartialFiles(ChunkFiles(str(root)))

    def is_kept() -> bool:
        names = [parse_partial(path.name) for path in (root / "partial").iterdir()]
        found = [files.look(name) for name in names if name is not None]
        records = [record for each in found for record in each.records]
        return sum(each.extent.length for each in records) == len(expected[1])

    until(is_kept, "the range is on the disk")
    node.end(signal.SIGKILL)
    node.start()
    store.asked.clear()
    assert fetch(f"{node.url}/bucket/table", **headers) == expected
    assert store.asked == []

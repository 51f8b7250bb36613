"""
``eliop2p preheat`` with real nodes: interrupted, resumed, and what is there afterwards.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import attrs
import pytest

from eliop2p.cli.byte_counter import ByteCounter
from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import BUCKET, Store
from tests.functional.stores.store import client
from tests.functional.test_cluster import metric, noise

OBJECTS = 100
SIZE = 256 * 1024
HEAD = 4096
"""
More bytes than the heads that the store sends for one request.
"""


@pytest.fixture
def own_store(store: Store) -> Iterator[Store]:
    """
    Reach the store by a way of the test's own, which it may close.
    """
    counter = ByteCounter(urlsplit(store.url).port or 80)
    yield attrs.evolve(store, counter=counter)
    counter.close()


@pytest.fixture(params=["passthrough", "open"])
def auth(request: pytest.FixtureRequest) -> str:
    """
    Say who decides who may read.
    """
    return str(request.param)


@pytest.fixture
def five(own_store: Store, auth: str, tmp_path: Path) -> Iterator[LocalCluster]:
    """
    Run five nodes.
    """
    settings: dict[str, dict[str, object]] = {
        "cache": {"memory_cache_size_mb": 128, "disk_cache_size_mb": 1024},
        "proxy": {"auth": auth},
    }
    if auth == "open":
        alice = own_store.alice
        keys = {"access_key": alice.access_key, "secret_key": alice.secret_key}
        settings["storage"] = {"endpoint": own_store.counted_url, **keys}
    running = LocalCluster(tmp_path, own_store.counted_url, 5, settings)
    try:
        running.start()
        yield running
    finally:
        running.stop()


class Command:
    """
    The command, with an operator's credentials in its environment.
    """

    def __init__(self, store: Store, node: LocalNode, state: Path) -> None:
        self._arguments = [
            str(Path(sys.executable).with_name("eliop2p")),
            *("preheat", f"s3://{BUCKET}/warm/", "--nodes", "3", "--replicas", "3"),
            *("--endpoint", store.counted_url, "--admin", node.admin_url, "--json"),
            *("--parallel", "4"),
        ]
        self._environment = os.environ | {
            "AWS_ACCESS_KEY_ID": store.alice.access_key,
            "AWS_SECRET_ACCESS_KEY": store.alice.secret_key,
            "XDG_STATE_HOME": str(state),
        }

    def start(self) -> "subprocess.Popen[bytes]":
        """
        Start it.
        """
        return subprocess.Popen(
            self._arguments,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def holders(node: LocalNode) -> list[dict[str, object]]:
    """
    Ask a node who holds the objects.
    """
    request = urllib.request.Request(
        f"{node.admin_url}/api/v1/objects",
        json.dumps({"prefix": f"s3://{BUCKET}/warm/"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        found: list[dict[str, object]] = json.load(answer)["objects"]
    return found


def preheat_twice(store: Store, nodes: list[LocalNode], state: Path) -> str:
    """
    Start the command, interrupt it, and let it go on.

    Returns:
        What there is to tell about it.
    """
    sent = store.counter.sent
    command = Command(store, nodes[0], state)
    first = command.start()
    pause = threading.Event()
    while store.counter.sent - sent < OBJECTS * SIZE // 3:
        assert first.poll() is None, first.communicate()[0][-300:]
        pause.wait(0.01)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=60)
    assert first.returncode == 1
    assert b"the same command goes on" in told
    second = command.start()
    output, told = second.communicate(timeout=240)
    assert second.returncode == 0, told
    done = json.loads(output)
    assert (done["objects"], done["copies"]) == (OBJECTS, 3 * OBJECTS)
    assert 0 < done["before"] < 3 * OBJECTS
    assert done["before"] + done["read"] == 3 * OBJECTS
    assert done["bytes"] == done["read"] * SIZE
    bodies = store.counter.sent - sent
    assert bodies <= 1.02 * OBJECTS * SIZE + 4 * OBJECTS * HEAD
    return (
        f"{done['before']} copies before the interrupt, {done['read']} after; the "
        f"store sent {bodies / (OBJECTS * SIZE):.3f} x the objects"
    )


def chosen(nodes: list[LocalNode]) -> list[LocalNode]:
    """
    Find the nodes that the command chose: each has every object.
    """
    found = holders(nodes[4])
    assert len(found) == OBJECTS
    names = {tuple(cast("dict[str, int]", each["nodes"])) for each in found}
    assert {len(each) for each in names} == {3}
    (holding,) = names
    return [node for node in nodes if node.name in holding]


def check_secrets(store: Store, directory: Path) -> None:
    """
    Look for what gives access to the store in all that was written by the nodes, but
    for their own configuration.
    """
    for secret in (store.alice.secret_key, "Signature"):
        for file in directory.rglob("*"):
            if file.is_file() and file.suffix in {".txt", ".db", ".log", ".json"}:
                assert secret.encode() not in file.read_bytes(), file


def check_without_store(store: Store, nodes: list[LocalNode]) -> None:
    """
    Read every object whole from each of some nodes, as an SDK does, with the store
    gone: from what the node itself has.
    """
    for node in nodes:
        s3 = client(node.url, store.bob)
        before = metric(node, 'eliop2p_served_bytes_total{source="peer"}')
        for index in range(OBJECTS):
            key = f"warm/{index:03}"
            assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == SIZE
            got = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert got == noise(index, SIZE), (node.name, key)
        assert metric(node, 'eliop2p_served_bytes_total{source="peer"}') == before


def test_interrupted(
    own_store: Store,
    five: LocalCluster,
    auth: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    A hundred objects come whole to three of five nodes although the command is
    interrupted; the store is read once, the second run does only what was left, and no
    credential is on the disk. Where nobody has to be asked who may read, these nodes
    then serve every object with the store stopped, also when they were started anew.
    """
    for index in range(OBJECTS):
        own_store.put(f"warm/{index:03}", noise(index, SIZE))
    told = preheat_twice(own_store, five.nodes, tmp_path / "state")
    nodes = chosen(five.nodes)
    check_secrets(own_store, tmp_path)
    if auth == "open":
        own_store.counter.close()
        check_without_store(own_store, nodes)
        nodes[0].stop()
        nodes[0].start()
        nodes[0].wait_ready()
        check_without_store(own_store, nodes[:1])
        told += f"; {3 * OBJECTS} objects read without it"
    with capsys.disabled():
        print(f"\npreheat with auth = {auth}: {told}")

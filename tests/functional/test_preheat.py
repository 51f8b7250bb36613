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

import pytest

from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import BUCKET, Store
from tests.functional.test_cluster import noise

OBJECTS = 100
SIZE = 256 * 1024
HEAD = 4096
"""
More bytes than the heads that the store sends for one request.
"""


@pytest.fixture
def five(store: Store, tmp_path: Path) -> Iterator[LocalCluster]:
    """
    Run five nodes.
    """
    settings: dict[str, dict[str, object]] = {
        "cache": {"memory_cache_size_mb": 128, "disk_cache_size_mb": 1024}
    }
    running = LocalCluster(tmp_path, store.counted_url, 5, settings)
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


def test_interrupted(
    store: Store,
    five: LocalCluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    A hundred objects come whole to three of five nodes although the command is
    interrupted; the store is read once, the second run does only what was left, and no
    credential is on the disk.
    """
    for index in range(OBJECTS):
        store.put(f"warm/{index:03}", noise(index, SIZE))
    sent, state = store.counter.sent, tmp_path / "state"
    command = Command(store, five.nodes[0], state)
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
    found = holders(five.nodes[4])
    assert len(found) == OBJECTS
    names = {tuple(cast("dict[str, int]", each["nodes"])) for each in found}
    assert {len(nodes) for nodes in names} == {3}
    assert len(names) == 1
    for secret in (store.alice.secret_key, "Signature"):
        for file in tmp_path.rglob("*"):
            if file.is_file() and file.suffix in {".txt", ".db", ".log", ".json"}:
                assert secret.encode() not in file.read_bytes(), file
    with capsys.disabled():
        print(
            f"\npreheat: {done['before']} copies before the interrupt, {done['read']} "
            f"after; the store sent {bodies / (OBJECTS * SIZE):.3f} x the objects"
        )

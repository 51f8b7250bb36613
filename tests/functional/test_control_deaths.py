"""
Real nodes whose control plane dies while they distribute an object.

``pytest tests/functional/test_control_deaths.py --object-mib 512`` takes eight nodes
and the full size.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import Store
from tests.functional.etcd_cluster import EtcdCluster, needs_etcd
from tests.functional.test_cluster import at_once, make_object, read_whole

FULL = 512 << 20
Settings = dict[str, dict[str, object]]


def cluster_of(
    store: Store, directory: Path, size: int, more: Settings
) -> LocalCluster:
    """
    Make nodes, eight for the full size and four otherwise.
    """
    settings: Settings = {
        "cache": {"memory_cache_size_mb": 1024, "disk_cache_size_mb": 0},
        **more,
    }
    count = 8 if size >= FULL else 4
    return LocalCluster(directory, store.counted_url, count, settings)


def distribute(
    store: Store, nodes: list[LocalNode], size: int, kill: Callable[[], object]
) -> float:
    """
    Read an object through all nodes at once, with something killed when a third of it
    has left the store.

    Returns:
        How long it took, in seconds.
    """
    key = f"distributed-{size}-{nodes[0].url}"
    digest = make_object(store, key, size)
    sent = store.counter.sent

    def wait_and_kill() -> None:
        pause = threading.Event()
        while store.counter.sent - sent < size // 3:
            pause.wait(0.01)
        kill()

    killing = threading.Thread(target=wait_and_kill)
    killing.start()
    begun = time.monotonic()  # noqa: TID251  It is printed, and nothing depends on it.
    outcomes = at_once(nodes, store.alice, lambda s3: read_whole(s3, key))
    took = time.monotonic() - begun  # noqa: TID251
    killing.join()
    assert [outcome.error for outcome in outcomes] == [None] * len(nodes)
    assert {outcome.digest for outcome in outcomes} == {digest}
    return took


def until_registered(cluster: LocalCluster) -> float:
    """
    Tell how long it takes until every node is registered.
    """
    begun = time.monotonic()  # noqa: TID251
    cluster.wait_registered()
    return time.monotonic() - begun  # noqa: TID251


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    """
    Run a cluster of three.
    """
    directory = tmp_path / "etcd"
    directory.mkdir()
    running = EtcdCluster(directory, 3)
    yield running
    running.kill_all()


def test_embedded(
    store: Store, tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No client's read fails when the embedded control plane is killed meanwhile; once it
    runs again the nodes are registered again.
    """
    cluster = cluster_of(store, tmp_path, size, {})
    try:
        cluster.start()
        took = distribute(store, cluster.nodes, size, cluster.control.kill)
        cluster.control.start()
        cluster.control.wait_ready()
        back = until_registered(cluster)
    finally:
        cluster.stop()
    with capsys.disabled():
        print(
            f"\nembedded control plane killed: 0 of {len(cluster.nodes)} reads failed "
            f"({took:.1f} s), registered {back:.1f} s after it ran again"
        )


@needs_etcd
def test_etcd(
    store: Store,
    etcd: EtcdCluster,
    tmp_path: Path,
    size: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    No client's read fails when etcd's leader is killed meanwhile, nor when all of etcd
    is; afterwards the nodes are registered again.
    """
    more: Settings = {"control_plane": {"endpoint": etcd.endpoint}}
    cluster = cluster_of(store, tmp_path, size, more)
    try:
        cluster.start()
        leader = etcd.leader()
        first = distribute(store, cluster.nodes, size, lambda: etcd.kill(leader))
        without = until_registered(cluster)
        second = distribute(store, cluster.nodes, size + 1, etcd.kill_all)
        for index in range(3):
            etcd.start(index)
        etcd.wait()
        back = until_registered(cluster)
    finally:
        cluster.stop()
    with capsys.disabled():
        print(
            f"\netcd's leader killed: 0 of {len(cluster.nodes)} reads failed "
            f"({first:.1f} s), registered after {without:.1f} s; all of etcd killed: 0 "
            f"failed ({second:.1f} s), registered {back:.1f} s after it ran again"
        )

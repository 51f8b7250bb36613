"""
Real nodes whose control plane dies while they distribute an object.

``pytest -s tests/functional/test_control_deaths.py --object-mib 512 --nodes 8`` takes
the full size.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eliop2p.cli.byte_counter import ByteCounter
from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import BUCKET, Store
from tests.functional.etcd_cluster import EtcdCluster, needs_etcd
from tests.functional.stores.store import RealStore, client
from tests.functional.test_cluster import at_once, make_object, read_whole

LARGE = 128 << 20
"""
Larger objects come from Ceph: moto copies all of an object for each of its ranges.
"""

PATIENCE = 60.0
"""
Seconds without a byte after which SDKs give up.
"""

Settings = dict[str, dict[str, object]]


@pytest.fixture
def origin(request: pytest.FixtureRequest, scale: tuple[int, int]) -> Iterator[Store]:
    """
    The store: one that is fast enough for the object.
    """
    if scale[0] <= LARGE:
        yield request.getfixturevalue("store")
        return
    ceph = request.getfixturevalue("rgw")
    assert isinstance(ceph, RealStore)
    counter = ByteCounter(ceph.port)
    client(ceph.url, ceph.alice).create_bucket(Bucket=BUCKET)
    yield Store(ceph.url, counter, ceph.alice, ceph.bob)
    counter.close()


def cluster_of(
    store: Store, directory: Path, nodes: int, more: Settings
) -> LocalCluster:
    """
    Make nodes that keep what they read in memory.
    """
    settings: Settings = {
        "cache": {"memory_cache_size_mb": 1024, "disk_cache_size_mb": 0},
        **more,
    }
    return LocalCluster(directory, store.counted_url, nodes, settings)


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
    outcomes = at_once(nodes, store.alice, lambda s3: read_whole(s3, key), PATIENCE)
    took = time.monotonic() - begun  # noqa: TID251
    killing.join()
    assert [outcome.error for outcome in outcomes] == [None] * len(nodes)
    assert {outcome.digest for outcome in outcomes} == {digest}
    client(store.url, store.alice).delete_object(Bucket=BUCKET, Key=key)
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
    origin: Store,
    tmp_path: Path,
    scale: tuple[int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    No client's read fails when the embedded control plane is killed meanwhile; once it
    runs again the nodes are registered again.
    """
    size, nodes = scale
    cluster = cluster_of(origin, tmp_path, nodes, {})
    try:
        cluster.start()
        took = distribute(origin, cluster.nodes, size, cluster.control.kill)
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
    origin: Store,
    etcd: EtcdCluster,
    tmp_path: Path,
    scale: tuple[int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    No client's read fails when etcd's leader is killed meanwhile, nor when all of etcd
    is; afterwards the nodes are registered again.
    """
    size, nodes = scale
    more: Settings = {"control_plane": {"endpoint": etcd.endpoint}}
    cluster = cluster_of(origin, tmp_path, nodes, more)
    try:
        cluster.start()
        leader = etcd.leader()
        first = distribute(origin, cluster.nodes, size, lambda: etcd.kill(leader))
        without = until_registered(cluster)
        second = distribute(origin, cluster.nodes, size + 1, etcd.kill_all)
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

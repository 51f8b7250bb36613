"""
Real processes: moto's server that checks signatures, a counter in front of it, nodes.
"""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest
from botocore.exceptions import BotoCoreError

from eliop2p.cli.byte_counter import ByteCounter
from eliop2p.cli.local_cluster import LocalCluster, free_ports
from tests.functional.stores.fixtures import rgw, swift_store
from tests.functional.stores.store import Credentials, RealStore, client

__all__ = ["rgw", "swift_store"]

BUCKET = "models"
READ_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


@attrs.frozen
class Store:
    """
    The object store of a test.

    Attributes:
        url: The store itself.
        counter: Stands between the nodes and the store.
        alice: May do everything.
        bob: Is known, and may do nothing.
    """

    url: str
    counter: ByteCounter
    alice: Credentials
    bob: Credentials

    @property
    def counted_url(self) -> str:
        """
        The store as the nodes reach it.
        """
        return f"http://127.0.0.1:{self.counter.port}"

    def put(self, key: str, data: bytes) -> None:
        """
        Write an object without any node knowing.
        """
        client(self.url, self.alice).put_object(Bucket=BUCKET, Key=key, Body=data)


def _user(url: str, name: str, *, allowed: bool) -> Credentials:
    iam = client(url, Credentials("setup", "setup"), "iam")
    iam.create_user(UserName=name)
    if allowed:
        iam.put_user_policy(
            UserName=name, PolicyName="all", PolicyDocument=json.dumps(READ_POLICY)
        )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def _wait(url: str) -> None:
    s3 = client(url, Credentials("setup", "setup"))
    pause = threading.Event()
    for _ in range(600):
        try:
            s3.list_buckets()
        except BotoCoreError:
            pause.wait(0.05)
        else:
            return
    raise TimeoutError(f"{url} does not answer")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """
    Run moto's server, enforcing signatures and policies.
    """
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = (tmp_path_factory.mktemp("moto") / "moto.log").open("wb")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-p", str(port)],
        stdout=log,
        stderr=log,
    )
    try:
        _wait(url)
        alice, bob = _user(url, "alice", allowed=True), _user(url, "bob", allowed=False)
        client(url, alice).create_bucket(Bucket=BUCKET)
        enforce = urllib.request.Request(
            f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(enforce).close()
        counter = ByteCounter(port)
        yield Store(url, counter, alice, bob)
        counter.close()
    finally:
        process.terminate()
        process.wait()
        log.close()


@pytest.fixture(scope="session")
def moto_store(store: Store) -> RealStore:
    """
    Take moto's server as one of the real stores.
    """
    return RealStore("moto", urlsplit(store.url).port or 80, store.alice, store.bob)


@pytest.fixture
def cluster(store: Store, tmp_path: Path) -> Iterator[LocalCluster]:
    """
    Run a control plane and three nodes in front of the store.
    """
    running = LocalCluster(
        tmp_path,
        store.counted_url,
        3,
        {"cache": {"memory_cache_size_mb": 256, "disk_cache_size_mb": 4096}},
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Let the size of the object be chosen.
    """
    parser.addoption(
        "--object-mib", type=int, default=96, help="size of the object that is read"
    )
    parser.addoption(
        "--nodes", type=int, default=4, help="how many nodes lose their control plane"
    )
    parser.addoption(
        "--requests",
        type=int,
        default=60,
        help="how many made-up requests to compare with each store's own answers",
    )
    parser.addoption(
        "--first-seed", type=int, default=1000, help="what the first is made from"
    )
    parser.addoption(
        "--all-clients",
        nargs="?",
        const="",
        metavar="DIR",
        help="try clients that must be installed first, in DIR",
    )


@pytest.fixture
def size(request: pytest.FixtureRequest) -> int:
    """
    The size of the object, in bytes.
    """
    mib = request.config.getoption("--object-mib")
    assert isinstance(mib, int)
    return mib * 1024 * 1024


@pytest.fixture
def scale(request: pytest.FixtureRequest, size: int) -> tuple[int, int]:
    """
    The size of the object, in bytes, and the number of nodes.
    """
    count = request.config.getoption("--nodes")
    assert isinstance(count, int)
    return size, count

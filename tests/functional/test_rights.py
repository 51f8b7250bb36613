"""
What a warm cache must not change: who may read, and what there is to be read.

The store is Ceph's object gateway, behind three nodes that all hold the object.
"""

import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import boto3
import pytest
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from eliop2p.cli.local_cluster import LocalCluster
from tests.functional.stores.store import REGION, Credentials, RealStore, client

BUCKET = "rights"
SIZE = 3 * 1024 * 1024 + 17


@pytest.fixture(scope="module")
def nodes(
    rgw: RealStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """
    Run three nodes in front of the gateway, with chunks of 1 MiB.

    Yields:
        Their addresses.
    """
    directory = tmp_path_factory.mktemp("rights")
    settings: dict[str, dict[str, object]] = {
        "cache": {"chunk_size_mb": 1, "memory_cache_size_mb": 128}
    }
    cluster = LocalCluster(Path(directory), rgw.url, 3, settings)
    try:
        cluster.start()
        client(rgw.url, rgw.alice).create_bucket(Bucket=BUCKET)
        yield [node.url for node in cluster.nodes]
    finally:
        cluster.stop()


@attrs.frozen
class Warm:
    """
    An object that every node holds.

    Attributes:
        store: The client of its owner, at the store itself.
        nodes: Where the nodes are.
        key: Its key.
        data: Its content.
        rgw: The store.
    """

    store: BaseClient
    nodes: list[str]
    key: str
    data: bytes
    rgw: RealStore

    def read(self, node: str, who: Credentials | None = None) -> bytes:
        """
        Read it as somebody, by default its owner.
        """
        return _read(client(node, who or self.rgw.alice), self.key)[0]

    def refusals(self, make: Callable[[str], BaseClient]) -> list[str]:
        """
        Read it from every node as somebody who may not.

        Returns:
            The codes of the errors.
        """
        codes = []
        for node in self.nodes:
            with pytest.raises(ClientError) as refused:
                _read(make(node), self.key)
            codes.append(refused.value.response["Error"]["Code"])
        return codes

    def seen(self) -> list[tuple[bytes, dict[str, str]]]:
        """
        Read it from every node.

        Returns:
            Its content and metadata.
        """
        return [_read(client(node, self.rgw.alice), self.key) for node in self.nodes]


def _read(s3: BaseClient, key: str) -> tuple[bytes, dict[str, str]]:
    answer = s3.get_object(Bucket=BUCKET, Key=key)
    return answer["Body"].read(), answer["Metadata"]


def _anonymous(node: str) -> BaseClient:
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 0})
    return boto3.client("s3", endpoint_url=node, region_name=REGION, config=config)


def _hits(s3: BaseClient, key: str) -> bool:
    answer = s3.get_object(Bucket=BUCKET, Key=key)
    answer["Body"].read()
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return bool(headers["x-cache"] == "HIT")


@pytest.fixture
def warm(rgw: RealStore, nodes: list[str], request: pytest.FixtureRequest) -> Warm:
    """
    Put an object past the nodes, and read it from each until each has it.
    """
    key = f"{request.node.name}/object"
    data = random.Random(key).randbytes(SIZE)
    store = client(rgw.url, rgw.alice)
    store.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata={"state": "first"})
    made = Warm(store, nodes, key, data, rgw)
    for node in nodes:
        assert made.read(node) == data
        assert _hits(client(node, rgw.alice), key)
    return made


def test_other_user(warm: Warm) -> None:
    """
    Another user of the store is refused.
    """
    assert (
        warm.refusals(lambda node: client(node, warm.rgw.bob)) == ["AccessDenied"] * 3
    )


def test_wrong_secret(warm: Warm) -> None:
    """
    One who knows the owner's access key but not the secret is refused.
    """
    forger = Credentials(warm.rgw.alice.access_key, "not-the-secret")
    codes = warm.refusals(lambda node: client(node, forger))
    assert codes == ["SignatureDoesNotMatch"] * 3


def test_anonymous(warm: Warm) -> None:
    """
    One who signs nothing is refused.
    """
    assert warm.refusals(_anonymous) == ["AccessDenied"] * 3


def test_expired_url(warm: Warm) -> None:
    """
    A presigned URL reads until it expires, and not a moment longer.
    """
    urls = [
        client(node, warm.rgw.alice).generate_presigned_url(
            "get_object", {"Bucket": BUCKET, "Key": warm.key}, ExpiresIn=4
        )
        for node in warm.nodes
    ]
    for url in urls:
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == warm.data
    _pass(6)
    for url in urls:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        assert refused.value.code == 403
        refused.value.close()


def _pass(seconds: float) -> None:
    """
    Let the store's clock go on, which nobody else can.
    """
    time.sleep(seconds)  # noqa: TID251  The store expires URLs by the real clock.


def test_revoked(warm: Warm) -> None:
    """
    A right is good from when the store gives it to when the store takes it back.
    """
    for grant, allowed in (("public-read", True), ("private", False)) * 2:
        warm.store.put_object_acl(Bucket=BUCKET, Key=warm.key, ACL=grant)
        if allowed:
            for node in warm.nodes:
                assert _read(_anonymous(node), warm.key)[0] == warm.data
        else:
            assert warm.refusals(_anonymous) == ["AccessDenied"] * 3


def test_deleted(warm: Warm) -> None:
    """
    An object that was deleted behind the nodes' backs is gone.
    """
    warm.store.delete_object(Bucket=BUCKET, Key=warm.key)
    codes = warm.refusals(lambda node: client(node, warm.rgw.alice))
    assert codes == ["NoSuchKey"] * 3


def test_replaced(warm: Warm) -> None:
    """
    An object that was replaced behind the nodes' backs has its new content.
    """
    data = random.Random(2).randbytes(SIZE)
    warm.store.put_object(
        Bucket=BUCKET, Key=warm.key, Body=data, Metadata={"state": "second"}
    )
    assert warm.seen() == [(data, {"state": "second"})] * 3


def test_newer_known(warm: Warm) -> None:
    """
    A client that has heard of the new version, and insists on it, makes the node learn
    it: what it reads next is a hit.
    """
    data = random.Random(5).randbytes(SIZE)
    etag = warm.store.put_object(Bucket=BUCKET, Key=warm.key, Body=data)["ETag"]
    s3 = client(warm.nodes[0], warm.rgw.alice)
    outcomes = []
    for _ in range(2):
        answer = s3.get_object(Bucket=BUCKET, Key=warm.key, IfMatch=etag)
        assert answer["Body"].read() == data
        outcomes.append(answer["ResponseMetadata"]["HTTPHeaders"]["x-cache"])
    assert outcomes == ["MISS", "HIT"]


def test_metadata_replaced(warm: Warm) -> None:
    """
    Metadata that were replaced by a copy of the object onto itself, which leaves the
    ETag as it is, are the new ones.
    """
    # Last-Modified, which alone tells, counts in seconds.
    _pass(1.1)
    warm.store.copy_object(
        Bucket=BUCKET,
        Key=warm.key,
        CopySource={"Bucket": BUCKET, "Key": warm.key},
        Metadata={"state": "second"},
        MetadataDirective="REPLACE",
    )
    assert warm.seen() == [(warm.data, {"state": "second"})] * 3


def test_recreated(warm: Warm) -> None:
    """
    An object that was deleted and made anew, shorter, behind the nodes' backs is the
    new one, also where the deletion was noticed.
    """
    warm.store.delete_object(Bucket=BUCKET, Key=warm.key)
    with pytest.raises(ClientError):
        warm.read(warm.nodes[0])
    data = random.Random(3).randbytes(SIZE // 2)
    warm.store.put_object(Bucket=BUCKET, Key=warm.key, Body=data)
    assert warm.seen() == [(data, {})] * 3


def test_written_through(warm: Warm) -> None:
    """
    A write through one node is seen through every other at once, and so is a deletion.
    """
    data = random.Random(4).randbytes(SIZE)
    writer = client(warm.nodes[0], warm.rgw.alice)
    writer.put_object(Bucket=BUCKET, Key=warm.key, Body=data)
    assert warm.seen() == [(data, {})] * 3
    writer.delete_object(Bucket=BUCKET, Key=warm.key)
    codes = warm.refusals(lambda node: client(node, warm.rgw.alice))
    assert codes == ["NoSuchKey"] * 3

"""
What a warm cache must not change, with Alibaba OSS: who may read, and what there is.

The store checks every signature and stands behind three nodes that all hold the object,
which has left the store once.
"""

import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs
import oss2
import pytest
from oss2.auth import AuthBase as Auth

from eliop2p.cli.local_cluster import LocalCluster
from tests.functional.stores.oss_origin import OssServer
from tests.functional.stores.oss_world import (
    ALICE,
    BOB,
    REGION,
    SECRETS,
    STS,
    TOKEN,
    World,
    make_world,
)

BUCKET = "models"
SIZE = 3 * 1024 * 1024 + 17
NODES = 3
VERSIONS = ("v1", "v2", "v4")
META = "x-oss-meta-state"


@pytest.fixture(scope="module")
def server() -> Iterator[OssServer]:
    """
    A store for the whole module; each test has its own object.
    """
    running = OssServer(make_world())
    yield running
    running.close()


@pytest.fixture(scope="module")
def nodes(
    server: OssServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """
    Run three nodes in front of the store, with chunks of 1 MiB.

    Yields:
        Their addresses.
    """
    directory = tmp_path_factory.mktemp("oss-rights")
    settings: dict[str, dict[str, object]] = {
        "cache": {"chunk_size_mb": 1, "memory_cache_size_mb": 128},
        "storage": {"type": "oss", "region": REGION},
    }
    cluster = LocalCluster(Path(directory), server.url, NODES, settings)
    try:
        cluster.start()
        yield [node.url for node in cluster.nodes]
    finally:
        cluster.stop()


def signer(version: str, key: str = ALICE, secret: str = "") -> Auth:
    """
    Sign as somebody, in one of OSS's ways.
    """
    secret = secret or SECRETS.get(key, "none")
    auth: Auth = oss2.make_auth(key, secret, version)
    return auth


@attrs.frozen
class Warm:
    """
    An object that every node holds.

    Attributes:
        world: What the store holds.
        nodes: Where the nodes are.
        version: How its owner signs.
        key: Its key.
        data: Its content.
    """

    world: World
    nodes: list[str]
    version: str
    key: str
    data: bytes

    def buckets(self, auth: Auth | None = None) -> list[oss2.Bucket]:
        """
        Make a stock client of each node, by default the owner's.
        """
        auth = auth or signer(self.version)
        return [
            oss2.Bucket(auth, node, BUCKET, region=REGION, is_path_style=True)
            for node in self.nodes
        ]

    def refusals(self, auth: Auth | None) -> list[tuple[int, str]]:
        """
        Read from every node what is refused there, in whole and in part.

        Returns:
            The status and code of each node's refusals, which must be alike.
        """
        found = []
        for bucket in self.buckets(auth):
            whole = self._refusal(bucket, None)
            assert self._refusal(bucket, (5, 99)) == whole
            found.append(whole)
        return found

    def _refusal(
        self, bucket: oss2.Bucket, part: tuple[int, int] | None
    ) -> tuple[int, str]:
        with pytest.raises(oss2.exceptions.ServerError) as refused:
            bucket.get_object(self.key, byte_range=part)
        return refused.value.status, refused.value.code

    def seen(self) -> list[tuple[bytes, str | None]]:
        """
        Read it from every node.

        Returns:
            Its content and state.
        """
        answers = [bucket.get_object(self.key) for bucket in self.buckets()]
        return [(answer.read(), answer.headers.get(META)) for answer in answers]

    def fetched(self, urls: list[str]) -> list[tuple[int, bytes]]:
        """
        GET each URL.

        Returns:
            Statuses and bodies.
        """
        return [_fetch(url) for url in urls]

    @property
    def plain(self) -> list[str]:
        """
        Its URL at each node, unsigned.
        """
        return [f"{node}/{BUCKET}/{self.key}" for node in self.nodes]


def _fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture(params=VERSIONS)
def warm(
    server: OssServer, nodes: list[str], request: pytest.FixtureRequest
) -> Iterator[Warm]:
    """
    Put an object past the nodes, and read it from each until each has it; the store
    sends it once.
    """
    world, version = server.world, request.param
    key = f"rights/{request.node.name}".replace("[", "/").rstrip("]")
    data = random.Random(key).randbytes(SIZE)
    world.put(BUCKET, key, data, **{META: "first"})
    made = Warm(world, nodes, version, key, data)
    sent = world.bytes_sent
    for bucket in made.buckets():
        outcomes = []
        for _ in range(2):
            answer = bucket.get_object(key)
            assert answer.read() == data
            outcomes.append(answer.headers["X-Cache"])
        assert outcomes[1] == "HIT"
    assert world.bytes_sent == sent + SIZE
    yield made
    world.ahead = timedelta(0)
    world.public.clear()
    world.users[ALICE].allowed = True


def test_other_user(warm: Warm) -> None:
    """
    Another user of the store is refused.
    """
    refused = warm.refusals(signer(warm.version, BOB))
    assert refused == [(403, "AccessDenied")] * NODES


def test_wrong_secret(warm: Warm) -> None:
    """
    One who knows the owner's access key but not the secret is refused, and so is one
    whom the store does not know.
    """
    forged = warm.refusals(signer(warm.version, ALICE, "another"))
    assert forged == [(403, "SignatureDoesNotMatch")] * NODES
    unknown = warm.refusals(signer(warm.version, "AKNOBODY"))
    assert unknown == [(403, "InvalidAccessKeyId")] * NODES


def test_wrong_token(warm: Warm) -> None:
    """
    Temporary keys read with their token, and with no other.
    """

    def temporary(token: str) -> Auth:
        auth: Auth = oss2.StsAuth(
            *(STS, SECRETS[STS], token), auth_version=warm.version
        )
        return auth

    for bucket in warm.buckets(temporary(TOKEN)):
        assert bucket.get_object(warm.key).read() == warm.data
    refused = warm.refusals(temporary("of-yesterday"))
    assert [status for status, _ in refused] == [403] * NODES


def test_anonymous(warm: Warm) -> None:
    """
    One who signs nothing is refused.
    """
    refused = warm.refusals(oss2.AnonymousAuth())
    assert refused == [(403, "AccessDenied")] * NODES


def test_old_signature(warm: Warm) -> None:
    """
    A signature whose date is too far from the store's is refused.
    """
    warm.world.ahead = timedelta(minutes=16)
    refused = warm.refusals(None)
    assert refused == [(403, "RequestTimeTooSkewed")] * NODES


def test_expired_url(warm: Warm) -> None:
    """
    A signed URL reads until it expires, and not a moment longer.
    """
    urls = [
        bucket.sign_url("GET", warm.key, 600, slash_safe=True)
        for bucket in warm.buckets()
    ]
    assert warm.fetched(urls) == [(200, warm.data)] * NODES
    warm.world.ahead = timedelta(seconds=602)
    for status, body in warm.fetched(urls):
        assert (status, b"Request has expired" in body) == (403, True)


def test_revoked(warm: Warm) -> None:
    """
    A right is good from when the store gives it to when the store takes it back.
    """
    for _ in range(2):
        warm.world.public.add(BUCKET)
        assert warm.fetched(warm.plain) == [(200, warm.data)] * NODES
        warm.world.public.clear()
        assert [status for status, _ in warm.fetched(warm.plain)] == [403] * NODES
        warm.world.users[ALICE].allowed = False
        assert warm.refusals(None) == [(403, "AccessDenied")] * NODES
        warm.world.users[ALICE].allowed = True
        assert warm.seen() == [(warm.data, "first")] * NODES


def test_deleted(warm: Warm) -> None:
    """
    An object that was deleted behind the nodes' backs is gone.
    """
    del warm.world.buckets[BUCKET][warm.key]
    assert warm.refusals(None) == [(404, "NoSuchKey")] * NODES


def test_replaced(warm: Warm) -> None:
    """
    An object that was replaced behind the nodes' backs has its new content.
    """
    data = random.Random(2).randbytes(SIZE)
    warm.world.put(BUCKET, warm.key, data, **{META: "second"})
    assert warm.seen() == [(data, "second")] * NODES


def test_metadata_replaced(warm: Warm) -> None:
    """
    Metadata that were replaced by a copy of the object onto itself, which leaves the
    ETag as it is, are the new ones.
    """
    before = warm.world.buckets[BUCKET][warm.key]
    # Last-Modified, which alone tells, counts in seconds.
    warm.world.ahead = timedelta(seconds=2)
    warm.world.copy(BUCKET, warm.key, before, {META: "second"})
    assert warm.world.buckets[BUCKET][warm.key].etag == before.etag
    assert warm.seen() == [(warm.data, "second")] * NODES


def test_recreated(warm: Warm) -> None:
    """
    An object that was deleted and made anew, shorter, behind the nodes' backs is the
    new one, also where the deletion was noticed.
    """
    del warm.world.buckets[BUCKET][warm.key]
    with pytest.raises(oss2.exceptions.NoSuchKey):
        warm.buckets()[0].get_object(warm.key)
    data = random.Random(3).randbytes(SIZE // 2)
    warm.world.put(BUCKET, warm.key, data)
    assert warm.seen() == [(data, None)] * NODES


def test_written_through(warm: Warm) -> None:
    """
    A write through one node is seen through every other at once: new content, a copy
    of the object onto itself with other metadata, a deletion.
    """
    data = random.Random(4).randbytes(SIZE)
    writer = warm.buckets()[0]
    writer.put_object(warm.key, data, headers={META: "second"})
    assert warm.seen() == [(data, "second")] * NODES
    warm.world.ahead = timedelta(seconds=2)
    headers = {"x-oss-metadata-directive": "REPLACE", META: "third"}
    writer.copy_object(BUCKET, warm.key, warm.key, headers=headers)
    assert warm.seen() == [(data, "third")] * NODES
    writer.delete_object(warm.key)
    assert warm.refusals(None) == [(404, "NoSuchKey")] * NODES

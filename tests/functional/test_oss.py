"""
Alibaba's own clients, through a node, to a store that checks every signature.
"""

import itertools
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import alibabacloud_oss_v2 as oss_v2
import attrs
import oss2
import pytest

from tests.functional.one_node import OneNode, make_node
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

Settings = dict[str, object]

NAMES: Settings = {"domains": "oss.test", "custom_hosts": "cdn.test=models"}
"""
What else clients call the store, and its bucket.
"""

BUCKET = "models"
MIB = 1024 * 1024
KEY = "dir/a b+c~é?.bin"
VERSIONS = ("v1", "v2", "v4")
MINE, MINE_SECRET = "AKMINE", "mine/secret+"


@attrs.frozen
class Oss:
    """
    A store with a node in front of it.
    """

    server: OssServer
    node: OneNode

    @property
    def world(self) -> World:
        """
        What the store holds.
        """
        return self.server.world

    def bucket(self, version: str, key: str = ALICE, secret: str = "") -> oss2.Bucket:
        """
        Make a stock oss2 client whose one setting for us is the endpoint.
        """
        secret = secret or SECRETS.get(key, "none")
        auth = oss2.make_auth(key, secret, version)
        if key == STS:
            auth = oss2.StsAuth(key, secret, TOKEN, auth_version=version)
        return oss2.Bucket(
            auth, self.node.url, BUCKET, region=REGION, is_path_style=True
        )

    def second(self, version: str) -> oss_v2.Client:
        """
        Make a stock client of Alibaba's second generation.
        """
        config = oss_v2.config.load_default()
        config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(
            ALICE, SECRETS[ALICE]
        )
        config.region, config.endpoint = REGION, self.node.url
        config.use_path_style, config.signature_version = True, version
        config.retry_max_attempts = 1
        return oss_v2.Client(config)


def run(
    directory: Path, proxy: Settings | None = None, storage: Settings | None = None
) -> Iterator[Oss]:
    """
    Run a store and a node.
    """
    server, node = OssServer(make_world()), make_node(directory)
    store = {"type": "oss", "endpoint": server.url, "region": REGION}
    try:
        node.configure(
            proxy={"listen_port": node.ports.proxy, **(proxy or {})},
            storage={**store, **NAMES, **(storage or {})},
        )
        node.start()
        yield Oss(server, node)
    finally:
        node.close()
        server.close()


@pytest.fixture(scope="module")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    """
    A store and a node for the whole module; each test has its own keys.
    """
    yield from run(tmp_path_factory.mktemp("oss"))


@pytest.fixture(scope="module")
def verifying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    """
    A node that checks its clients itself and signs with temporary keys of its own.
    """
    directory = tmp_path_factory.mktemp("verifying")
    clients = directory / "clients.ini"
    clients.write_text(
        f"[mine]\naccess_key = {MINE}\nsecret_key = {MINE_SECRET}\n"
        f"allow = write {BUCKET}/mine/\n"
    )
    clients.chmod(0o600)
    yield from run(
        directory,
        {"auth": "verify", "credentials_file": clients, "freshness_seconds": 600},
        {"access_key": STS, "secret_key": SECRETS[STS], "session_token": TOKEN},
    )


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    """
    Call what must be refused by the store.
    """
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        call()
    return caught.value.status, caught.value.code


def fetch(url: str) -> tuple[int, bytes]:
    """
    GET a signed URL.
    """
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("who", [ALICE, STS])
def test_oss2(oss: Oss, version: str, who: str) -> None:
    """
    oss2 reads what it wrote, whole and in part, cold and warm, checks the CRC itself,
    lists, copies, and deletes, with each signature and with temporary keys.
    """
    bucket, key = oss.bucket(version, who), f"{version}/{who}/{KEY}"
    data = os.urandom(9 * MIB + 7)
    bucket.put_object(key, data, headers={"x-oss-meta-Colour": "blue"})
    for turn in range(2):
        got = bucket.get_object(key)
        assert got.read() == data
        assert got.server_crc == got.client_crc
        assert got.headers["x-oss-meta-colour"] == "blue"
        assert got.headers["X-Cache"] == ("HIT" if turn else "MISS")
        part = bucket.get_object(key, byte_range=(8 * MIB - 3, 8 * MIB + 3))
        assert part.read() == data[8 * MIB - 3 : 8 * MIB + 4]
        assert part.status == 206
    assert bucket.head_object(key).content_length == len(data)
    listed = bucket.list_objects(prefix=f"{version}/{who}/")
    assert [each.key for each in listed.object_list] == [key]
    bucket.copy_object(BUCKET, key, f"{key}.copy")
    assert bucket.get_object(f"{key}.copy").read() == data
    bucket.delete_object(key)
    assert refusal(lambda: bucket.get_object(key)) == (404, "NoSuchKey")


def test_multipart(oss: Oss, tmp_path: Path) -> None:
    """
    Resumable uploads and downloads in parts are whole, cold and warm.
    """
    bucket = oss.bucket("v4")
    source, target = tmp_path / "up", tmp_path / "down"
    source.write_bytes(os.urandom(5 * MIB + 11))
    oss2.resumable_upload(
        *(bucket, "parts", str(source)),
        store=oss2.ResumableStore(root=str(tmp_path)),
        multipart_threshold=MIB,
        part_size=MIB,
    )
    for turn in range(2):
        sent = oss.world.bytes_sent
        oss2.resumable_download(
            *(bucket, "parts", str(target)),
            store=oss2.ResumableDownloadStore(root=str(tmp_path)),
            multiget_threshold=MIB,
            part_size=MIB,
        )
        assert target.read_bytes() == source.read_bytes()
        target.unlink()
        assert not turn or oss.world.bytes_sent == sent


@pytest.mark.parametrize("version", ["v1", "v4"])
def test_second_generation(oss: Oss, version: str) -> None:
    """
    alibabacloud-oss-v2 writes, reads whole and in part, lists and presigns, cold and
    warm.
    """
    client, key = oss.second(version), f"second/{version}/{KEY}"
    data = os.urandom(MIB + 1)
    client.put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key=key, body=data))
    whole = oss_v2.GetObjectRequest(bucket=BUCKET, key=key)
    part = oss_v2.GetObjectRequest(bucket=BUCKET, key=key, range_header="bytes=5-99")
    for _ in range(2):
        assert client.get_object(whole).body.content == data
        assert client.get_object(part).body.content == data[5:100]
        assert fetch(client.presign(whole).url) == (200, data)
    listed = client.list_objects_v2(
        oss_v2.ListObjectsV2Request(bucket=BUCKET, prefix=f"second/{version}/")
    )
    assert [each.key for each in listed.contents] == [key]


@pytest.mark.parametrize("version", VERSIONS)
def test_signed_urls(oss: Oss, version: str) -> None:
    """
    A signed URL reads a warm object until it expires.
    """
    bucket, key = oss.bucket(version), f"url/{version}"
    oss.world.put(BUCKET, key, b"by url")
    url = bucket.sign_url("GET", key, 600, slash_safe=True)
    for _ in range(2):
        assert fetch(url) == (200, b"by url")
    oss.world.ahead = timedelta(hours=1)
    try:
        status, body = fetch(url)
        assert status == 403
        assert b"Request has expired" in body
    finally:
        oss.world.ahead = timedelta(0)


@pytest.mark.parametrize("version", VERSIONS)
def test_refused_on_a_warm_object(oss: Oss, version: str) -> None:
    """
    A wrong secret, another user, nobody, an unknown key, a clock that is off, a right
    taken away and an object deleted: each shows at once, although the bytes are there.
    """
    key, world = f"warm/{version}", oss.world
    world.put(BUCKET, key, b"secret")
    alice = oss.bucket(version)
    for _ in range(2):
        assert alice.get_object(key).read() == b"secret"
    wrong = oss.bucket(version, ALICE, "another")
    code = refusal(lambda: wrong.get_object(key))
    assert code == (403, "SignatureDoesNotMatch")
    bob = oss.bucket(version, BOB)
    assert refusal(lambda: bob.get_object(key)) == (403, "AccessDenied")
    nobody = oss.bucket(version, "AKNOBODY")
    assert refusal(lambda: nobody.get_object(key)) == (403, "InvalidAccessKeyId")
    status, body = fetch(f"{oss.node.url}/{BUCKET}/{key}")
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)
    world.ahead = timedelta(minutes=16)
    assert refusal(lambda: alice.get_object(key)) == (403, "RequestTimeTooSkewed")
    world.ahead = timedelta(0)
    world.users[ALICE].allowed = False
    assert refusal(lambda: alice.get_object(key)) == (403, "AccessDenied")
    world.users[ALICE].allowed = True
    assert alice.get_object(key).read() == b"secret"
    world.put(BUCKET, key, b"anew")
    assert alice.get_object(key).read() == b"anew"
    del world.buckets[BUCKET][key]
    assert refusal(lambda: alice.get_object(key)) == (404, "NoSuchKey")


def test_public(oss: Oss) -> None:
    """
    What the bucket's owner makes public anybody reads from the cache, and nobody once
    it is private again.
    """
    oss.world.put(BUCKET, "public", b"for all")
    url = f"{oss.node.url}/{BUCKET}/public"
    assert fetch(url)[0] == 403
    oss.world.public.add(BUCKET)
    assert [fetch(url) for _ in range(2)] == [(200, b"for all")] * 2
    oss.world.public.clear()
    assert fetch(url)[0] == 403


@pytest.mark.parametrize("version", VERSIONS)
def test_named_by_the_host(oss: Oss, version: str) -> None:
    """
    Clients that name the bucket by the store's host, or by a host that stands for it,
    have the same object as those that name it in the path, from the cache too.
    """
    data, key = os.urandom(1000), f"host/{version}"
    oss.world.put(BUCKET, key, data)
    assert oss.bucket(version).get_object(key).read() == data
    sent = oss.world.bytes_sent
    auth = oss2.make_auth(ALICE, SECRETS[ALICE], version)
    for url, cname in (("http://oss.test", False), ("http://cdn.test", True)):
        bucket = oss2.Bucket(
            *(auth, url, BUCKET),
            is_cname=cname,
            region=REGION,
            proxies={"http": oss.node.url},
        )
        assert bucket.get_object(key).read() == data
        got = bucket.get_object(key, byte_range=(1, 9))
        assert got.read() == data[1:10]
    assert oss.world.bytes_sent == sent


RANGES = ("0-9", "90-", "-10", "0-99", "0-100", "50-500", "100-", "200-300", "-500")


@pytest.mark.parametrize(
    ("text", "standard"), list(itertools.product(RANGES, (False, True)))
)
def test_range_rule(oss: Oss, text: str, standard: bool) -> None:
    """
    Cold and warm a range is answered as the store answers it: ignored where it does not
    lie within the object, unless the standard's behaviour is asked for.
    """
    key = f"range/{text}/{standard}"
    oss.world.put(BUCKET, key, os.urandom(100))
    headers = {"Range": f"bytes={text}"}
    if standard:
        headers["x-oss-range-behavior"] = "standard"
    auth = oss2.AuthV4(ALICE, SECRETS[ALICE])
    direct = oss2.Bucket(auth, oss.server.url, BUCKET, region=REGION, session=ToBase())
    node = oss.bucket("v4")

    def answer(bucket: oss2.Bucket) -> tuple[object, ...]:
        try:
            got = bucket.get_object(key, headers=dict(headers))
        except oss2.exceptions.ServerError as error:
            return error.status, error.code
        names = ("Content-Length", "Content-Range", "ETag", "x-oss-hash-crc64ecma")
        return got.status, got.read(), [got.headers.get(name) for name in names]

    expected = answer(direct)
    assert [answer(node) for _ in range(2)] == [expected] * 2
    assert node.get_object(key).read() == oss.world.buckets[BUCKET][key].data
    assert [answer(node) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_verify(verifying: Oss, version: str) -> None:
    """
    The node checks OSS's signatures, in headers and URLs, and the client's rights, and
    signs with its own keys: a warm hit asks the store nothing.
    """
    bucket = verifying.bucket(version, MINE, MINE_SECRET)
    key, data = f"mine/{version}/{KEY}", os.urandom(MIB)
    bucket.put_object(key, data)
    assert bucket.get_object(key).read() == data
    asked = verifying.node.metric("eliop2p_origin_requests_total")
    assert bucket.get_object(key).read() == data
    assert bucket.get_object(key, byte_range=(5, 9)).read() == data[5:10]
    url = bucket.sign_url("GET", key, 600, slash_safe=True)
    assert fetch(url) == (200, data)
    assert verifying.node.metric("eliop2p_origin_requests_total") == asked
    listed = bucket.list_objects(prefix="mine/")
    assert key in [each.key for each in listed.object_list]
    wrong = verifying.bucket(version, MINE, "another")
    stranger = verifying.bucket(version, ALICE)
    denied: tuple[tuple[str, Callable[[], object]], ...] = (
        ("SignatureDoesNotMatch", lambda: wrong.get_object(key)),
        ("InvalidAccessKeyId", lambda: stranger.get_object(key)),
        ("AccessDenied", lambda: bucket.get_object("other")),
        ("AccessDenied", bucket.list_objects),
        ("AccessDenied", lambda: bucket.put_object("other", b"x")),
        ("AccessDenied", lambda: bucket.copy_object(BUCKET, "other", "mine/copy")),
        ("AccessDenied", lambda: bucket.put_object_acl(key, "public-read")),
    )
    for code, call in denied:
        assert refusal(call) == (403, code)


class ToBase(oss2.Session):  # type: ignore[misc]  # oss2 has no types
    """
    Reaches buckets of the store, which no name server knows, by its address.
    """

    def do_request(self, req: oss2.http.Request, timeout: float) -> object:
        """
        Send a request for ``address/bucket/key`` to the bucket's host.
        """
        scheme, _, rest = req.url.partition("://")
        base, _, path = rest.partition("/")
        bucket, _, key = path.partition("/")
        req.url = f"{scheme}://{base}/{key}"
        req.headers["Host"] = f"{bucket}.{base}"
        return super().do_request(req, timeout)

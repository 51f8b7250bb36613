"""
A node as a forward proxy: stock clients, two stores, and hosts that are no stores.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.functional.conftest import BUCKET
from tests.functional.one_node import OneNode, make_node, say
from tests.functional.stores import tls
from tests.functional.stores.daemons import Daemons, missing
from tests.functional.stores.store import REGION, RealStore, client
from tests.functional.stores.tls import start_tls

DOMAIN = "s3.lan"
KEY = "same/key"


@pytest.fixture
def node(rgw: RealStore, moto_store: RealStore, tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node whose store is moto's, under a name of its own, and that may reach the
    gateway, too. Both hold an object of the same name.
    """
    for store, data in ((rgw, b"of the gateway"), (moto_store, b"of moto")):
        s3 = client(store.url, store.alice)
        if store is rgw:
            s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=data)
    prepared = make_node(tmp_path)
    prepared.configure(
        storage={"type": "s3", "endpoint": moto_store.url, "domains": DOMAIN},
        proxy={"listen_port": prepared.ports.proxy, "allowed_hosts": rgw.url},
    )
    try:
        prepared.start()
        yield prepared
    finally:
        prepared.close()


def read(s3: BaseClient) -> tuple[bytes, str]:
    """
    Read the object.

    Returns:
        Its content, and what the node says of its cache.
    """
    answer = s3.get_object(Bucket=BUCKET, Key=KEY)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return answer["Body"].read(), headers["x-cache"]


def named(node: OneNode, store: RealStore, style: str, name: str) -> BaseClient:
    """
    Make a client that knows moto's server under its own name only.
    """
    return boto3.client(
        "s3",
        endpoint_url=f"http://{name}",
        region_name=REGION,
        aws_access_key_id=store.alice.access_key,
        aws_secret_access_key=store.alice.secret_key,
        config=Config(
            proxies={"http": node.url},
            s3={"addressing_style": style},
            retries={"max_attempts": 0},
        ),
    )


def test_two_stores(node: OneNode, rgw: RealStore, moto_store: RealStore) -> None:
    """
    Each store is reached under its own name, and what they call the same is kept
    apart.
    """
    for store, data in ((rgw, b"of the gateway"), (moto_store, b"of moto")):
        s3 = client(store.url, store.alice, proxy=node.url)
        assert read(s3) == (data, "MISS")
        assert read(s3) == (data, "HIT")
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=data + b" anew")
        assert read(s3)[0] == data + b" anew"


def test_styles(node: OneNode, moto_store: RealStore) -> None:
    """
    A bucket in the host name and one in the path are the same: what is read in one
    style is a hit in the other, forward or reverse.
    """
    virtual = named(node, moto_store, "virtual", DOMAIN)
    assert read(virtual) == (b"of moto", "MISS")
    assert read(virtual) == (b"of moto", "HIT")
    assert read(client(node.url, moto_store.alice)) == (b"of moto", "HIT")


def test_refused(node: OneNode, rgw: RealStore) -> None:
    """
    Hosts that are no stores are refused as S3 would, with a request id, and counted.
    """
    for endpoint in ("http://127.0.0.1:1", "http://169.254.169.254", "http://evil.lan"):
        with pytest.raises(ClientError) as refused:
            read(client(endpoint, rgw.alice, proxy=node.url))
        answer = refused.value.response
        assert answer["Error"]["Code"] == "AccessDenied"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert answer["ResponseMetadata"]["RequestId"]
    said = say(node.ports.proxy, b"CONNECT evil.lan:443 HTTP/1.1\r\nHost: e\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert node.metric("eliop2p_forbidden_total") == 4


def test_tunnel(node: OneNode, rgw: RealStore) -> None:
    """
    What goes through a tunnel is the store's own, and is not cached.
    """
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = client(rgw.url, rgw.alice).generate_presigned_url(
        "get_object", {"Bucket": BUCKET, "Key": KEY}
    )
    for _ in range(2):
        done = subprocess.run(
            [curl, "-sS", "--noproxy", "", "-p", "-x", node.url, "-D", "-", url],
            capture_output=True,
            check=True,
            timeout=20,
        )
        assert b"of the gateway" in done.stdout
        assert b"X-Cache" not in done.stdout.partition(b"\r\n\r\n")[2]
    assert node.metric("eliop2p_tunnels_total") == 2
    assert node.metric("eliop2p_tunnels") == 0
    assert node.metric("eliop2p_tunnel_bytes_total") > 0


def test_environment(node: OneNode, moto_store: RealStore, tmp_path: Path) -> None:
    """
    The AWS command line finds the node through its environment.
    """
    aws = shutil.which("aws", path="/usr/local/bin:/usr/bin")
    if aws is None:
        pytest.skip("aws is not installed; apt-get install awscli")
    # To moto every name but localhost begins with a bucket.
    (tmp_path / ".aws").mkdir()
    style = "[default]\ns3 =\n  addressing_style = virtual\n"
    (tmp_path / ".aws" / "config").write_text(style)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "HTTP_PROXY": node.url,
        "http_proxy": node.url,
        "NO_PROXY": "169.254.169.254,localhost,127.0.0.1",
        "AWS_ACCESS_KEY_ID": moto_store.alice.access_key,
        "AWS_SECRET_ACCESS_KEY": moto_store.alice.secret_key,
        "AWS_DEFAULT_REGION": REGION,
    }
    for _ in range(2):
        copied = subprocess.run(
            [
                *(aws, "--endpoint-url", f"http://{DOMAIN}"),
                *("s3", "cp", f"s3://{BUCKET}/{KEY}", "-"),
            ],
            env=environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert copied.stdout == b"of moto", copied.stderr
    assert node.metric("eliop2p_served_bytes_total") == 2 * len(b"of moto")


@pytest.fixture
def tls_port(moto_store: RealStore, tmp_path: Path) -> Iterator[int]:
    """
    Put TLS in front of moto's server.
    """
    absent = missing(*tls.PROGRAMS)
    if absent is not None:
        pytest.skip(f"{absent} is not installed; apt-get install {absent}")
    directory = tmp_path / "tls"
    directory.mkdir()
    daemons = Daemons(directory)
    try:
        yield start_tls(daemons, moto_store.port)
    finally:
        daemons.stop()


def test_tls(moto_store: RealStore, tls_port: int, tmp_path: Path) -> None:
    """
    Clients with an http endpoint read a store that speaks TLS, through the cache; those
    with an https endpoint talk TLS to the store itself, through a tunnel.
    """
    s3 = client(moto_store.url, moto_store.alice)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"in private")
    certificate = tmp_path / "tls" / "cert.pem"
    node = make_node(tmp_path / "node")
    node.configure(
        storage={
            "type": "s3",
            "endpoint": f"https://127.0.0.1:{tls_port}",
            "ca_file": certificate,
        }
    )
    node.start()
    try:
        plain = named(node, moto_store, "path", "127.0.0.1")
        assert read(plain) == (b"in private", "MISS")
        assert read(plain) == (b"in private", "HIT")
        private = boto3.client(
            "s3",
            endpoint_url=f"https://127.0.0.1:{tls_port}",
            region_name=REGION,
            aws_access_key_id=moto_store.alice.access_key,
            aws_secret_access_key=moto_store.alice.secret_key,
            verify=str(certificate),
            config=Config(proxies={"https": node.url}, retries={"max_attempts": 0}),
        )
        body = private.get_object(Bucket=BUCKET, Key=KEY)["Body"]
        assert body.read() == b"in private"
        assert node.metric("eliop2p_tunnels_total") == 1
    finally:
        node.close()

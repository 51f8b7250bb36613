"""
A node that checks its clients itself, in front of a store that knows only the node.
"""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.functional.conftest import BUCKET, Store
from tests.functional.one_node import OneNode, make_node, until
from tests.functional.stores.store import Credentials

TRAINER = Credentials("AKTRAINER", "trainer/secret+1")
READER = Credentials("AKREADER", "reader/secret+2")
CLIENTS = f"""
[trainer]
access_key = {TRAINER.access_key}
secret_key = {TRAINER.secret_key}
allow = write {BUCKET}

[reader]
access_key = {READER.access_key}
secret_key = {READER.secret_key}
allow = read {BUCKET}/public/
"""
MIB = 1024 * 1024


def s3(node: OneNode, who: Credentials, **options: Any) -> BaseClient:
    """
    Make a stock client that signs with what the node, and not the store, knows.
    """
    return boto3.client(
        "s3",
        endpoint_url=node.url,
        region_name="us-east-1",
        aws_access_key_id=who.access_key,
        aws_secret_access_key=who.secret_key,
        config=Config(retries={"max_attempts": 0}, read_timeout=20, **options),
    )


def write_clients(node: OneNode, text: str) -> None:
    """
    Put a credentials file in place of the one that is there.
    """
    path = node.directory / "clients.new"
    path.write_text(text)
    path.chmod(0o600)
    path.rename(node.directory / "clients.ini")


def start(node: OneNode, store: Store, **proxy: object) -> None:
    """
    Start the node with credentials of its own.
    """
    node.configure(
        proxy={
            "listen_port": node.ports.proxy,
            "auth": "verify",
            "credentials_file": "clients.ini",
            **proxy,
        },
        storage={
            "type": "s3",
            "endpoint": store.counted_url,
            "access_key": store.alice.access_key,
            "secret_key": store.alice.secret_key,
        },
    )
    write_clients(node, CLIENTS)
    node.start()


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node that asks the store each time.
    """
    made = make_node(tmp_path)
    try:
        start(made, store)
        yield made
    finally:
        made.close()


def code_of(error: ClientError) -> str:
    """
    Give the code that a client was refused with.
    """
    code: str = error.response["Error"]["Code"]
    return code


def refused(call: Any, **arguments: Any) -> str:
    """
    Call what must be refused, and give the code.
    """
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return code_of(caught.value)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_reads_and_writes(node: OneNode, store: Store, version: str) -> None:
    """
    A stock client writes, reads whole and in part, lists and deletes, cold and warm,
    although the store has never heard of it, with Signature V4 and V2.
    """
    client = s3(node, TRAINER, signature_version=version)
    data = os.urandom(9 * MIB)
    key = f"verify/{version} + ü~.bin"
    client.put_object(Bucket=BUCKET, Key=key, Body=data, Metadata={"Colour": "blue"})
    for _ in range(2):
        got = client.get_object(Bucket=BUCKET, Key=key)
        assert got["Body"].read() == data
        assert got["Metadata"] == {"colour": "blue"}
        ranged = client.get_object(Bucket=BUCKET, Key=key, Range="bytes=100-8388700")
        assert ranged["Body"].read() == data[100:8388701]
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix="verify/")
    assert key in [each["Key"] for each in listed["Contents"]]
    client.delete_object(Bucket=BUCKET, Key=key)
    assert refused(client.get_object, Bucket=BUCKET, Key=key) == "NoSuchKey"


def test_multipart_and_managed_transfers(node: OneNode, tmp_path: Path) -> None:
    """
    Uploads in parts and parallel ranged downloads, as boto3 manages them, are whole.
    """
    client = s3(node, TRAINER)
    source, target = tmp_path / "up", tmp_path / "down"
    source.write_bytes(os.urandom(17 * MIB + 5))
    client.upload_file(str(source), BUCKET, "verify/parts")
    for _ in range(2):
        client.download_file(BUCKET, "verify/parts", str(target))
        assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned(node: OneNode, store: Store, version: str) -> None:
    """
    A presigned URL reads and writes until it is tampered with.
    """
    client = s3(node, TRAINER, signature_version=version)
    store.put("verify/url", b"by url")
    there = {"Bucket": BUCKET, "Key": "verify/url"}
    url = client.generate_presigned_url("get_object", Params=there, ExpiresIn=60)
    for _ in range(2):
        assert urllib.request.urlopen(url, timeout=20).read() == b"by url"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("verify/url", "verify/parts"), timeout=20)
    assert b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()
    put = client.generate_presigned_url("put_object", Params=there, ExpiresIn=60)
    connection = HTTPConnection("127.0.0.1", node.ports.proxy, timeout=20)
    connection.request("PUT", put.removeprefix(node.url), b"anew")
    assert connection.getresponse().status == 200
    connection.close()
    assert urllib.request.urlopen(url, timeout=20).read() == b"anew"


def test_refusals_on_a_warm_object(node: OneNode, store: Store) -> None:
    """
    Of an object in the cache, a client without the right, with a wrong secret, unknown
    or anonymous gets nothing but the store's own word for it.
    """
    store.put("public/a", b"for all")
    store.put("verify/secret", b"for some")
    trainer, reader = s3(node, TRAINER), s3(node, READER)
    for _ in range(2):
        trainer.get_object(Bucket=BUCKET, Key="verify/secret")["Body"].read()
    secret = {"Bucket": BUCKET, "Key": "verify/secret"}
    wrong = s3(node, Credentials(TRAINER.access_key, "another"))
    unknown = s3(node, Credentials("AKNOBODY", "whatever"))
    assert refused(reader.get_object, **secret) == "AccessDenied"
    assert refused(wrong.get_object, **secret) == "SignatureDoesNotMatch"
    assert refused(unknown.get_object, **secret) == "InvalidAccessKeyId"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{node.url}/{BUCKET}/verify/secret", timeout=20)
    assert b"<Code>AccessDenied</Code>" in caught.value.read()
    assert reader.get_object(Bucket=BUCKET, Key="public/a")["Body"].read() == b"for all"


def test_prefixes(node: OneNode, store: Store) -> None:
    """
    A client with a prefix lists, reads and copies within it and writes nowhere.
    """
    store.put("public/a", b"for all")
    store.put("verify/secret", b"for some")
    trainer, reader = s3(node, TRAINER), s3(node, READER)
    listed = reader.list_objects_v2(Bucket=BUCKET, Prefix="public/")
    assert [each["Key"] for each in listed["Contents"]] == ["public/a"]
    denied: tuple[tuple[Any, dict[str, Any]], ...] = (
        (reader.list_objects_v2, {}),
        (reader.list_objects_v2, {"Prefix": "ver"}),
        (reader.put_object, {"Key": "public/b", "Body": b"x"}),
        (reader.delete_object, {"Key": "public/a"}),
        (reader.get_object, {"Key": "public/../verify/secret"}),
        (reader.get_bucket_policy, {}),
        (trainer.put_bucket_acl, {"ACL": "public-read"}),
        (trainer.put_object, {"Key": "verify/b", "Body": b"x", "ACL": "public-read"}),
        (trainer.create_bucket, {}),
    )
    for call, arguments in denied:
        assert refused(call, Bucket=BUCKET, **arguments) == "AccessDenied"
    assert refused(reader.list_buckets) == "AccessDenied"


def test_reload(node: OneNode, store: Store) -> None:
    """
    A client struck out of the file is refused while the node runs, another let in; a
    file that cannot be used changes nothing.
    """
    store.put("verify/revoked", b"mine")
    there = {"Bucket": BUCKET, "Key": "verify/revoked"}
    client = s3(node, TRAINER)
    client.get_object(**there)["Body"].read()
    write_clients(node, "no such thing")
    until(lambda: "clients stay as they were" in node.output, "the node complains")
    client.get_object(**there)["Body"].read()
    write_clients(node, CLIENTS.replace("AKTRAINER", "AKSUCCESSOR"))
    until(lambda: "2 clients are known" in node.output, "the file is read again")
    assert refused(client.get_object, **there) == "InvalidAccessKeyId"
    successor = s3(node, Credentials("AKSUCCESSOR", TRAINER.secret_key))
    assert successor.get_object(**there)["Body"].read() == b"mine"
    assert TRAINER.secret_key not in node.output


def test_freshness(store: Store, tmp_path: Path) -> None:
    """
    While what the store said is fresh a hit costs no request to it, and a write through
    the node shows at once.
    """
    node = make_node(tmp_path)
    try:
        start(node, store, freshness_seconds=3600)
        client = s3(node, TRAINER)
        there = {"Bucket": BUCKET, "Key": "verify/fresh"}
        client.put_object(**there, Body=b"one")
        assert client.get_object(**there)["Body"].read() == b"one"
        before = node.metric("eliop2p_origin_requests_total")
        for _ in range(5):
            got = client.get_object(**there)
            assert got["Body"].read() == b"one"
            assert got["ETag"] == f'"{hashlib.md5(b"one").hexdigest()}"'
        assert client.get_object(**there, Range="bytes=1-1")["Body"].read() == b"n"
        assert node.metric("eliop2p_origin_requests_total") == before
        client.put_object(**there, Body=b"two")
        assert client.get_object(**there)["Body"].read() == b"two"
    finally:
        node.close()

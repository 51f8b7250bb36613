"""
A node that checks its clients itself, in front of stores that check the node.
"""

import http.client
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eliop2p.base.secret import Secret
from eliop2p.http1.message import RequestHead
from eliop2p.signing.aws import V4, Scope
from tests.functional.conftest import BUCKET as MODELS
from tests.functional.one_node import OneNode, make_node
from tests.functional.stores.store import RealStore, client
from tests.functional.test_verify import CLIENTS, TRAINER, refused, s3, write_clients
from tests.signing.test_payload import chunked

BUCKET = "verified"
MIB = 1024 * 1024
KEYS = ("a b", "a+b", "a//b", "/lead", "a/../b", "ü", "a?b", "a#b", "a&b=c", "~t'(!)*")


@pytest.fixture(scope="module", params=["rgw", "swift_store"])
def store(request: pytest.FixtureRequest) -> RealStore:
    """
    Each real store in turn, with the bucket.
    """
    found = request.getfixturevalue(request.param)
    assert isinstance(found, RealStore)
    client(found.url, found.alice).create_bucket(Bucket=BUCKET)
    return found


@pytest.fixture(scope="module")
def node(
    store: RealStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OneNode]:
    """
    Run a node that signs as alice.
    """
    made = make_node(tmp_path_factory.mktemp("node"))
    made.configure(
        proxy={
            "listen_port": made.ports.proxy,
            "auth": "verify",
            "credentials_file": "clients.ini",
            "freshness_seconds": 600,
        },
        storage={
            "type": "s3",
            "endpoint": store.url,
            "access_key": store.alice.access_key,
            "secret_key": store.alice.secret_key,
        },
    )
    write_clients(made, CLIENTS.replace(MODELS, BUCKET))
    try:
        made.start()
        yield made
    finally:
        made.close()


def upload_in_chunks(node: OneNode, key: str, data: bytes, sent: bytes = b"") -> int:
    """
    PUT data in chunks that are signed one by one, as SDKs do without TLS.

    Args:
        node: Where to.
        key: The object.
        data: What is signed.
        sent: What is sent; the same when empty.

    Returns:
        The status.
    """
    scope = Scope(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", "us-east-1")
    signer = V4(Secret(TRAINER.secret_key), scope)
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    headers = {
        "host": f"127.0.0.1:{node.ports.proxy}",
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": payload,
        "x-amz-date": scope.timestamp,
        "x-amz-decoded-content-length": str(len(data)),
    }
    head = RequestHead(
        b"PUT",
        f"/{BUCKET}/{key}".encode(),
        tuple((name.encode(), value.encode()) for name, value in headers.items()),
    )
    seed = signer.sign_request(head, list(headers), "", payload)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={TRAINER.access_key}/{scope.text}, "
        f"SignedHeaders={';'.join(headers)}, Signature={seed}"
    )
    body = chunked(data, signer, seed, 65536)
    connection = http.client.HTTPConnection("127.0.0.1", node.ports.proxy, timeout=20)
    if sent:
        body = body.replace(data[:100], sent[:100], 1)
    connection.request("PUT", head.target.decode(), body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_whatever_a_client_sends(node: OneNode, tmp_path: Path) -> None:
    """
    Odd keys, ranges that nobody signed, uploads whole, in parts and in signed chunks:
    what the node signs anew the store accepts, and a warm hit asks it nothing.
    """
    for version in ("s3v4", "s3"):
        mine = s3(node, TRAINER, signature_version=version)
        for key in KEYS:
            mine.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
            got = mine.get_object(Bucket=BUCKET, Key=key)
            assert got["Body"].read() == key.encode(), key
    source, target = tmp_path / "up", tmp_path / "down"
    source.write_bytes(os.urandom(17 * MIB + 5))
    mine = s3(node, TRAINER)
    mine.upload_file(str(source), BUCKET, "parts")
    for _ in range(2):
        asked = node.metric("eliop2p_origin_requests_total")
        mine.download_file(BUCKET, "parts", str(target))
        assert target.read_bytes() == source.read_bytes()
    # boto3 asks with HEAD for the length first, and that is always relayed.
    assert node.metric("eliop2p_origin_requests_total") == asked + 1


def test_signed_chunks(node: OneNode) -> None:
    """
    An upload in signed chunks is stored as the data that was signed; one that was
    changed on its way is refused, and the object stays as it was.
    """
    data, mine = os.urandom(3 * MIB + 7), s3(node, TRAINER)
    assert upload_in_chunks(node, "chunks", data) == 200
    assert mine.get_object(Bucket=BUCKET, Key="chunks")["Body"].read() == data
    assert upload_in_chunks(node, "chunks", data, b"x" * 100) == 403
    assert mine.get_object(Bucket=BUCKET, Key="chunks")["Body"].read() == data


def test_wrong_body(node: OneNode, store: RealStore) -> None:
    """
    A body that is not the one signed is refused, and the store keeps what it had.
    """
    mine = s3(node, TRAINER)
    mine.put_object(Bucket=BUCKET, Key="body", Body=b"as it was")
    mine.meta.events.register(
        "before-send.s3.PutObject",
        lambda request, **_: setattr(request, "body", b"tampered!"),
    )
    code = refused(mine.put_object, Bucket=BUCKET, Key="body", Body=b"signed!!!")
    assert code == "XAmzContentSHA256Mismatch"
    direct = client(store.url, store.alice)
    assert direct.get_object(Bucket=BUCKET, Key="body")["Body"].read() == b"as it was"

"""
The store's last word, in passthrough: off by default, and for one signed request alone.
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import oss2
import pytest

from tests.functional.one_node import OneNode, make_node
from tests.functional.stores.oss_origin import OssServer
from tests.functional.stores.oss_world import ALICE, REGION, SECRETS, make_world
from tests.functional.test_oss import BUCKET, Oss, fetch, run


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[Oss]:
    """
    A node that trusts a granted request for a long time.
    """
    yield from run(tmp_path, {"freshness_seconds": 3600})


def test_fresh(trusting: Oss) -> None:
    """
    The very same URL is granted again without a question, whatever happened to the
    right meanwhile; another signature for the same object is not.
    """
    world, bucket = trusting.world, trusting.bucket("v4")
    world.put(BUCKET, "k", b"data")
    url = bucket.sign_url("GET", "k", 600)
    assert fetch(url) == (200, b"data")
    asked = trusting.node.metric("eliop2p_origin_requests_total")
    world.users[ALICE].allowed = False
    assert fetch(url) == (200, b"data")
    assert trusting.node.metric("eliop2p_origin_requests_total") == asked
    assert fetch(bucket.sign_url("GET", "k", 601))[0] == 403
    world.users[ALICE].allowed = True


def test_head(trusting: Oss) -> None:
    """
    A HEAD is the store's to answer, and what it shows to be otherwise is trusted no
    more: another object, and none.
    """
    world, bucket = trusting.world, trusting.bucket("v4")
    world.put(BUCKET, "k", b"data")
    url = bucket.sign_url("GET", "k", 600)
    assert fetch(url) == (200, b"data")
    assert bucket.head_object("k").content_length == 4
    world.put(BUCKET, "k", b"anew!")
    assert fetch(url) == (200, b"data")
    assert bucket.head_object("k").content_length == 5
    assert [fetch(url) for _ in range(2)] == [(200, b"anew!")] * 2
    del world.buckets[BUCKET]["k"]
    assert fetch(url) == (200, b"anew!")
    with pytest.raises(oss2.exceptions.NotFound):
        bucket.head_object("k")
    assert fetch(url)[0] == 404


def test_expired(trusting: Oss) -> None:
    """
    A URL is granted no longer than it lasts: near its end the store is asked.
    """
    world, bucket = trusting.world, trusting.bucket("v1")
    world.put(BUCKET, "k", b"data")
    # The node stops to rely on a signature ten seconds before its end.
    url = bucket.sign_url("GET", "k", 9)
    for _ in range(2):
        assert fetch(url) == (200, b"data")
    world.users[ALICE].allowed = False
    assert fetch(url)[0] == 403


def test_anonymous(trusting: Oss) -> None:
    """
    What was read without a signature is asked for each time.
    """
    trusting.world.put(BUCKET, "k", b"data")
    trusting.world.public.add(BUCKET)
    url = f"{trusting.node.url}/{BUCKET}/k"
    assert [fetch(url)[0] for _ in range(2)] == [200, 200]
    trusting.world.public.clear()
    assert fetch(url)[0] == 403


@pytest.mark.parametrize("bears", [0, 3600])
def test_store_gone(tmp_path: Path, bears: int) -> None:
    """
    When the store is gone a warm read fails in a way that clients try again, unless the
    operator lets what was granted before count; other requests fail all the same.
    """
    server, node = OssServer(make_world()), make_node(tmp_path)
    oss, data = Oss(server, node), os.urandom(1000)
    node.configure(
        proxy={"listen_port": node.ports.proxy, "stale_if_error_seconds": bears},
        storage={"type": "oss", "endpoint": server.url, "region": REGION},
    )
    try:
        node.start()
        server.world.put(BUCKET, "k", data)
        bucket = oss.bucket("v4", ALICE, SECRETS[ALICE])
        url = bucket.sign_url("GET", "k", 600)
        assert fetch(url) == (200, data)
        server.close()
        check_gone(node, url, data if bears else None)
        assert fetch(bucket.sign_url("GET", "k", 601))[0] == 503
    finally:
        node.close()


def check_gone(node: OneNode, url: str, data: bytes | None) -> None:
    """
    Read from a node without a store.
    """
    if data is not None:
        assert fetch(url) == (200, data)
        assert node.metric('eliop2p_auth_total{outcome="stale"}') == 1
        return
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=20)
    assert caught.value.code == 503
    assert caught.value.headers["Retry-After"]
    caught.value.close()

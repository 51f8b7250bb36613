"""
Where the node's own credentials come from: botocore's chain, in a running node.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eliop2p.storage.keys import look
from tests.functional.conftest import BUCKET, Store
from tests.functional.one_node import OneNode, environment, make_node
from tests.functional.stores.store import Credentials
from tests.functional.test_verify import CLIENTS, TRAINER, refused, s3, write_clients

ROLE = "node-role"


class Metadata(ThreadingHTTPServer):
    """
    An instance's and a container's metadata service.

    Attributes:
        keys: What it gives.
        asked: The paths that were asked for.
    """

    daemon_threads = True

    def __init__(self, keys: Credentials) -> None:
        super().__init__(("127.0.0.1", 0), MetadataHandler)
        self.keys = keys
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """
        Where it is.
        """
        return f"http://127.0.0.1:{self.server_port}"


class MetadataHandler(BaseHTTPRequestHandler):
    """
    Answers one connection.
    """

    server: Metadata

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """
        Say nothing.
        """

    def _answer(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self._body().encode())

    do_GET = do_PUT = _answer  # noqa: N815

    def _body(self) -> str:
        if self.path == "/latest/api/token":
            return "imds-token"
        if self.path.endswith("/security-credentials/"):
            return ROLE
        ends = datetime.now(UTC) + timedelta(hours=6)
        return json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": self.server.keys.access_key,
                "SecretAccessKey": self.server.keys.secret_key,
                "Token": "",
                "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            }
        )


@pytest.fixture
def metadata(store: Store) -> Iterator[Metadata]:
    """
    Run a metadata service that gives keys that the store knows.
    """
    server = Metadata(store.alice)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Iterator[OneNode]:
    """
    Prepare a node that looks for its credentials.
    """
    made = make_node(tmp_path)
    made.configure(
        proxy={
            "listen_port": made.ports.proxy,
            "auth": "verify",
            "credentials_file": "clients.ini",
        },
        storage={
            "type": "s3",
            "endpoint": store.counted_url,
            "credentials": "chain",
        },
    )
    write_clients(made, CLIENTS)
    yield made
    made.close()


def clean(home: Path, **variables: str) -> dict[str, str]:
    """
    Give an environment in which nothing but what a test says leads to credentials.
    """
    kept = {k: v for k, v in environment().items() if not k.startswith("AWS_")}
    return {**kept, "HOME": str(home), **variables}


def by_environment(keys: Credentials, _home: Path, _url: str) -> dict[str, str]:
    """
    Say the keys in variables.
    """
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
    }


def by_profile(keys: Credentials, home: Path, _url: str) -> dict[str, str]:
    """
    Say them in a profile.
    """
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        f"[node]\naws_access_key_id = {keys.access_key}\n"
        f"aws_secret_access_key = {keys.secret_key}\n"
    )
    return {"AWS_PROFILE": "node"}


def by_instance(_keys: Credentials, _home: Path, url: str) -> dict[str, str]:
    """
    Leave it to the instance's role.
    """
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url}


def by_container(_keys: Credentials, _home: Path, url: str) -> dict[str, str]:
    """
    Leave it to the container's role.
    """
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/role"}


@pytest.mark.parametrize("way", [by_environment, by_profile, by_instance, by_container])
def test_found(
    metadata: Metadata,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Credentials, Path, str], dict[str, str]],
) -> None:
    """
    What AWS's SDKs would find is found, wherever it is.
    """
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    found = way(metadata.keys, tmp_path, metadata.url)
    for name, value in {"HOME": str(tmp_path), **found}.items():
        monkeypatch.setenv(name, value)
    keys = look()()
    assert keys.access_key == metadata.keys.access_key
    assert keys.secret_key.reveal() == metadata.keys.secret_key
    assert bool(metadata.asked) == (way in (by_instance, by_container))


def test_chain(node: OneNode, store: Store, metadata: Metadata, tmp_path: Path) -> None:
    """
    The node signs with the keys of its instance's role, and never shows them.
    """
    store.put("verify/chain", b"found")
    node.start(env=clean(tmp_path, **by_instance(store.alice, tmp_path, metadata.url)))
    got = s3(node, TRAINER).get_object(Bucket=BUCKET, Key="verify/chain")
    assert got["Body"].read() == b"found"
    assert f"/latest/meta-data/iam/security-credentials/{ROLE}" in metadata.asked
    assert store.alice.secret_key not in node.output


def test_none(node: OneNode, tmp_path: Path) -> None:
    """
    A node that finds nothing says so, and answers in a way that clients try again.
    """
    node.start(env=clean(tmp_path, AWS_EC2_METADATA_DISABLED="true"))
    client = s3(node, TRAINER)
    code = refused(client.get_object, Bucket=BUCKET, Key="verify/chain")
    assert code == "ServiceUnavailable"
    assert "AWS's chain of credentials finds none" in node.output

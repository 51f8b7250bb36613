"""
What a client is to do; read by drivers, which run in environments of their own.

A driver's client has some of these methods:

``get(key, path)``
    Download the whole object, in whatever way the client likes best.
``stream(key, path)``
    Download the whole object in one request.
``ranges(key, path, parts)``
    Download half-open parts and write them one after the other.
``put(path, key)``
    Upload in one request.
``multipart(path, key)``
    Upload in parts.
``chunked(path, key)``
    Upload with aws-chunked framing.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

MIB = 1024 * 1024

PART = 8 * MIB
"""
Bytes of a part of an upload.
"""


@dataclasses.dataclass(frozen=True)
class Job:
    """
    Where to work, and as whom.

    Attributes:
        endpoint: URL of the store, as the client is to name it.
        proxy: URL of the node when it is a forward proxy, else empty.
        bucket: Where the objects are.
        access_key: The client's.
        secret_key: The client's.
        region: What to sign for.
        scratch: A directory for what the client wants to keep.
    """

    endpoint: str
    proxy: str
    bucket: str
    access_key: str
    secret_key: str
    region: str
    scratch: str

    @property
    def authority(self) -> str:
        """
        The endpoint's host and port.
        """
        return self.endpoint.partition("//")[2]

    @property
    def proxies(self) -> dict[str, str]:
        """
        The proxy by scheme.
        """
        return {"http": self.proxy} if self.proxy else {}

    def url(self, key: str) -> str:
        """
        Name an object.
        """
        return f"{self.endpoint}/{self.bucket}/{key}"

    def export(self) -> None:
        """
        Put credentials and proxy into the environment, where many clients look.
        """
        os.environ.update(
            AWS_ACCESS_KEY_ID=self.access_key,
            AWS_SECRET_ACCESS_KEY=self.secret_key,
            AWS_DEFAULT_REGION=self.region,
            AWS_REGION=self.region,
            AWS_EC2_METADATA_DISABLED="true",
        )
        if self.proxy:
            os.environ.update(HTTP_PROXY=self.proxy, http_proxy=self.proxy)


def run(make: Callable[[Job], object], version: Callable[[], str]) -> None:
    """
    Do what standard input asks for; print the client's version.

    Args:
        make: Makes the client; it has some of the methods above.
        version: Names the client's version.
    """
    asked = json.load(sys.stdin)
    job = Job(**asked["job"])
    job.export()
    client = make(job)
    for name, *arguments in asked["steps"]:
        getattr(client, name)(*arguments)
    print(version())


def output(*arguments: str) -> bytes:
    """
    Run a command-line client.

    Returns:
        What it printed.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:].decode(errors="replace")
        raise RuntimeError(f"{arguments}: {said}")
    return done.stdout


def command(*arguments: str) -> str:
    """
    Run a command-line client that prints text; see :func:`output`.
    """
    return output(*arguments).decode()


def version_in(text: str) -> str:
    """
    Find the version in what a command says of itself.
    """
    found = re.search(r"\d+\.\d+(\.\d+)?", text)
    assert found is not None, text
    return found[0]


def save(path: str, pieces: Sequence[bytes]) -> None:
    """
    Write pieces one after the other.
    """
    Path(path).write_bytes(b"".join(pieces))
